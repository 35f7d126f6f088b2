//! Metadata version 1 to 2, and back.
//!
//! | collection | version 2 adds |
//! |---|---|
//! | all | `term`: the lease term of the document's last writer; 0 for a writer without a lease |
//! | `session` | `begunBy`, `features`, `upgrades`, `swaps`, `recopy`; in `pinned` the slot, role and abi of each component |
//!
//! All other fields of a document stay, byte for byte and in their order. A document of the target version is
//! written unchanged, so a repeated step has no effect; forward and then back gives the same bytes.
//!
//! The step back is refused where a host of version 1 could not continue the sync. `metadataVersion` is set by
//! the host, in both directions.

mod back;
mod field;
mod forward;
mod pinned;

use tidegate_plugin_sdk::bson::validate_layout;
use tidegate_plugin_sdk::{
    ConfigError, Context, Description, Direction, DocumentFailure, Migrate, Output, Plugin, Scope,
    Step,
};

/// The only collection that changes in more than its term.
const SESSION: &str = "session";

/// There is nothing to configure.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The step.
#[derive(Debug)]
pub struct MetadataV1ToV2;

impl Plugin for MetadataV1ToV2 {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "metadata-v1-to-v2",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(_config: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Migrate for MetadataV1ToV2 {
    const STEP: Step = Step {
        from: 1,
        reversible: true,
        collections: &[
            SESSION,
            "namespaces",
            "partitions",
            "position",
            "components",
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
            (Direction::Forward, SESSION) => forward::session(document, out),
            (Direction::Forward, _) => forward::other(document, out),
            (Direction::Back, SESSION) => back::session(document, out),
            (Direction::Back, _) => back::other(document, out),
        }
    }
}

tidegate_plugin_sdk::export!(MetadataV1ToV2: migrate);

#[cfg(test)]
mod tests;
