//! The field `enableUserWriteBlocking`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::model::options::WriteBlockMode;

/// `enableUserWriteBlocking`: mongosync's words "none", "destinationOnly" and "sourceAndDestination", or the boolean
/// of its older releases.
pub(super) struct ModeField(pub(super) WriteBlockMode);

impl<'de> Deserialize<'de> for ModeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModeVisitor)
    }
}

struct ModeVisitor;

impl Visitor<'_> for ModeVisitor {
    type Value = ModeField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a boolean")
    }

    fn visit_bool<E: de::Error>(self, blocks: bool) -> Result<ModeField, E> {
        Ok(ModeField(match blocks {
            true => WriteBlockMode::SourceAndDestination,
            false => WriteBlockMode::None,
        }))
    }

    fn visit_str<E: de::Error>(self, mode: &str) -> Result<ModeField, E> {
        match mode {
            "none" => Ok(ModeField(WriteBlockMode::None)),
            "destinationOnly" => Ok(ModeField(WriteBlockMode::DestinationOnly)),
            "sourceAndDestination" => Ok(ModeField(WriteBlockMode::SourceAndDestination)),
            _ => Err(E::unknown_variant(
                mode,
                &["none", "destinationOnly", "sourceAndDestination"],
            )),
        }
    }
}
