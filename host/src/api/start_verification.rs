//! The option `verification` of `POST /start`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use crate::model::options::{OnMismatch, VerificationOptions};

/// `verification`: an object, or mongosync's older boolean.
pub(super) struct Verification {
    enabled: Option<bool>,
    on_mismatch: Option<OnMismatchField>,
}

/// Reaction to a document that differs.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", expecting = "a string")]
#[schema(as = OnMismatch)]
pub(super) enum OnMismatchField {
    Report,
    Repair,
}

#[derive(Deserialize, ToSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object or a boolean"
)]
#[schema(as = Verification)]
pub(super) struct VerificationField {
    /// True if absent.
    enabled: Option<bool>,
    /// Reaction to documents that differ: `report` if absent, or `repair`.
    on_mismatch: Option<OnMismatchField>,
}

impl<'de> Deserialize<'de> for Verification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VerificationVisitor)
    }
}

struct VerificationVisitor;

impl<'de> Visitor<'de> for VerificationVisitor {
    type Value = Verification;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a boolean")
    }

    fn visit_bool<E>(self, enabled: bool) -> Result<Verification, E> {
        Ok(Verification {
            enabled: Some(enabled),
            on_mismatch: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Verification, A::Error> {
        let field = VerificationField::deserialize(de::value::MapAccessDeserializer::new(fields))?;
        Ok(Verification {
            enabled: field.enabled,
            on_mismatch: field.on_mismatch,
        })
    }
}

impl From<Verification> for VerificationOptions {
    fn from(field: Verification) -> Self {
        Self {
            enabled: field.enabled.unwrap_or(true),
            on_mismatch: match field.on_mismatch {
                None | Some(OnMismatchField::Report) => OnMismatch::Report,
                Some(OnMismatchField::Repair) => OnMismatch::Repair,
            },
        }
    }
}
