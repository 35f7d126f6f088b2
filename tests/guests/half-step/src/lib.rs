//! A step of the metadata that answers for most documents, and traps at the position.

use tidegate_plugin_sdk::{
    ConfigError, Context, Description, DocumentFailure, Migrate, Output, Plugin, Scope, Step,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

pub struct HalfStep;

impl Plugin for HalfStep {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "half-step",
        version: "1.0.0",
        semantics: 1,
        scope: Scope::Delta,
        config_schema: r#"{"type": "object", "additionalProperties": false}"#,
    };

    fn configure(Config {}: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Migrate for HalfStep {
    const STEP: Step = Step {
        from: 4,
        reversible: false,
        collections: &["session", "namespaces", "copyPartitions", "streamPosition"],
    };

    #[expect(clippy::panic, reason = "the fault that the host has to survive")]
    fn migrate(
        &self,
        context: &Context<'_>,
        document: &[u8],
        output: &mut Output,
    ) -> Result<(), DocumentFailure> {
        if context.collection == "streamPosition" {
            panic!("half-way");
        }
        let out = output.collection(context.collection);
        out.extend_from_slice(document);
        Ok(())
    }
}

tidegate_plugin_sdk::export!(HalfStep: migrate);
