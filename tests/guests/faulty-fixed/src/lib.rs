//! The build of `faulty` with all faults fixed: it keeps every document.

use tidegate_plugin_sdk::{
    ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

pub struct FaultyFixed;

impl Plugin for FaultyFixed {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "faulty",
        version: "1.0.1",
        semantics: 1,
        scope: Scope::Document,
        config_schema: r#"{"type": "object", "additionalProperties": false}"#,
    };

    fn configure(Config {}: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Transform for FaultyFixed {
    fn transform(
        &self,
        _namespace: &Namespace,
        _document: &[u8],
        _replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        Ok(Verdict::Keep)
    }
}

tidegate_plugin_sdk::export!(FaultyFixed: transform);
