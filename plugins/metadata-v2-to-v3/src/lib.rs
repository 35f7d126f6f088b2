//! Metadata version 2 to 3, and back.
//!
//! | collection | change in version 3 |
//! |---|---|
//! | `position` | renamed to `streamPosition` |
//! | `partitions` | renamed to `copyPartitions`; optional `begun` and `suspect` |
//! | `intents` | new: DDL that may still take effect |
//!
//! Everything else in a document stays, byte for byte and in its order. A document
//! of the target version is written unchanged, so a repeated step has no effect;
//! forward and then back gives the same bytes.
//!
//! The way back is refused where a host of version 2 would lose data: it knows
//! neither intents nor suspect partitions. `metadataVersion` is set by the host.

mod back;
mod field;
mod forward;

use tidegate_plugin_sdk::bson::validate_layout;
use tidegate_plugin_sdk::{
    ConfigError, Context, Description, Direction, DocumentFailure, Migrate, Output, Plugin, Scope,
    Step,
};

const POSITION: &str = "position";
const STREAM_POSITION: &str = "streamPosition";
const PARTITIONS: &str = "partitions";
const COPY_PARTITIONS: &str = "copyPartitions";
const INTENTS: &str = "intents";

/// There is nothing to configure.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The step.
#[derive(Debug)]
pub struct MetadataV2ToV3;

impl Plugin for MetadataV2ToV3 {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "metadata-v2-to-v3",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(_config: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Migrate for MetadataV2ToV3 {
    const STEP: Step = Step {
        from: 2,
        reversible: true,
        // Intents first: a refusal costs nothing.
        collections: &[
            INTENTS,
            POSITION,
            STREAM_POSITION,
            PARTITIONS,
            COPY_PARTITIONS,
        ],
    };

    fn migrate(
        &self,
        context: &Context<'_>,
        document: &[u8],
        output: &mut Output,
    ) -> Result<(), DocumentFailure> {
        validate_layout(document)?;
        match (context.direction, context.collection) {
            (Direction::Forward, POSITION) => copy(document, STREAM_POSITION, output),
            (Direction::Forward, PARTITIONS) => {
                forward::partition(document, output.collection(COPY_PARTITIONS))?;
            }
            (Direction::Back, STREAM_POSITION) => copy(document, POSITION, output),
            (Direction::Back, COPY_PARTITIONS) => {
                back::partition(document, output.collection(PARTITIONS))?;
            }
            (Direction::Back, INTENTS) => return Err(back::intent(document)),
            // Already of the target version.
            (_, collection) => copy(document, collection, output),
        }
        Ok(())
    }
}

fn copy(document: &[u8], collection: &str, output: &mut Output) {
    output.collection(collection).extend_from_slice(document);
}

tidegate_plugin_sdk::export!(MetadataV2ToV3: migrate);

#[cfg(test)]
mod tests;
