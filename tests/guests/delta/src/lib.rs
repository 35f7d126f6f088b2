//! Declares scope `delta`. Sets the field called `zero` to 0, as the contract demands. With `where` in its
//! configuration it does so only in documents in which another field has a certain text, which the contract forbids
//! for this scope.

use serde::Deserialize;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, find};
use tidegate_plugin_sdk::{
    ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    zero: String,
    r#where: Option<Where>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    field: String,
    is: String,
}

impl Plugin for Delta {
    type Config = Self;

    const DESCRIPTION: Description = Description {
        name: "delta",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: r#"{"type": "object", "required": ["zero"]}"#,
    };

    fn configure(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl Transform for Delta {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        if let Some(Where { field, is }) = &self.r#where {
            let found = find(document, field)?;
            if found.and_then(|found| found.as_str()) != Some(is) {
                return Ok(Verdict::Keep);
            }
        }
        let mut walk = elements(document)?;
        let before = walk.rest();
        let Some(found) = walk.find_name(self.zero.as_bytes())? else {
            return Ok(Verdict::Keep);
        };
        let mut writer = DocumentWriter::append_to(replacement);
        writer.copy_until(before, &found);
        writer.int32(found.name, 0);
        writer.raw(walk.rest());
        writer.finish();
        Ok(Verdict::Replace)
    }
}

tidegate_plugin_sdk::export!(Delta: transform);
