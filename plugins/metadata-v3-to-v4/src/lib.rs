//! Metadata version 3 to 4, and back.
//!
//! | collection | change in version 4 |
//! |---|---|
//! | `copyPartitions` | optional `begunAt`, `doneAt` and `compare`; an unfinished range with inserts is `begun`, and stays so |
//! | `namespaces` | optional `compare` |
//! | `session` | optional `resyncs`; more options |
//! | `parkedKeys` | new: keys that change while their range is in work |
//!
//! Everything else in a document stays, byte for byte and in its order. A document
//! of the target version is written unchanged, so a repeated step has no effect.
//! Forward and then back gives the same bytes where the way back is open.
//!
//! The way back is refused where a host of version 3 would lose data: it applies
//! change events only after every collection is copied and its indexes are built.
//! `metadataVersion` is set by the host.

mod back;
mod field;
mod forward;

use tidegate_plugin_sdk::bson::validate_layout;
use tidegate_plugin_sdk::{
    ConfigError, Context, Description, Direction, DocumentFailure, Migrate, Output, Plugin, Scope,
    Step,
};

const SESSION: &str = "session";
const INTENTS: &str = "intents";
const PARKED_KEYS: &str = "parkedKeys";
const NAMESPACES: &str = "namespaces";
const PARTITIONS: &str = "copyPartitions";
const POSITION: &str = "streamPosition";

/// There is nothing to configure.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The step.
#[derive(Debug)]
pub struct MetadataV3ToV4;

impl Plugin for MetadataV3ToV4 {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "metadata-v3-to-v4",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(_config: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Migrate for MetadataV3ToV4 {
    const STEP: Step = Step {
        from: 3,
        reversible: true,
        // Small collections first: a refusal costs little.
        collections: &[
            SESSION,
            INTENTS,
            NAMESPACES,
            PARKED_KEYS,
            POSITION,
            PARTITIONS,
        ],
    };

    fn migrate(
        &self,
        context: &Context<'_>,
        document: &[u8],
        output: &mut Output,
    ) -> Result<(), DocumentFailure> {
        validate_layout(document)?;
        let out = output.collection(context.collection);
        match (context.direction, context.collection) {
            (Direction::Forward, PARTITIONS) => forward::partition(context.session, document, out),
            (Direction::Back, SESSION) => back::session(document, out),
            (Direction::Back, INTENTS) => back::intent(document, out),
            (Direction::Back, NAMESPACES) => back::namespace_document(document, out),
            (Direction::Back, PARKED_KEYS) => Err(back::parked_key(document)),
            (Direction::Back, POSITION) => back::position(context.session, document, out),
            (Direction::Back, PARTITIONS) => back::partition(document, out),
            _ => {
                out.extend_from_slice(document);
                Ok(())
            }
        }
    }
}

tidegate_plugin_sdk::export!(MetadataV3ToV4: migrate);

#[cfg(test)]
mod tests;
