//! {{name}}: keeps the documents whose `field` has any of `values`, drops the others. The configuration:
//!
//! ```json
//! {"field": "status", "values": ["active", 7]}
//! ```

use serde::Deserialize;
use tidegate_plugin_sdk::bson::{Malformed, Value, compare::compare, find, kind};
use tidegate_plugin_sdk::{
    ConfigError, ConfigFault, Description, DocumentFailure, Namespace, Plugin, Scope, Transform,
    Verdict,
};

/// The configuration, as the operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    field: String,
    values: Vec<Wanted>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it is neither a string nor an integer")]
enum Wanted {
    Integer(i64),
    Text(String),
}

/// A configured instance. The same document always gets the same answer.
#[derive(Debug)]
pub struct Filter {
    field: String,
    values: Vec<Wanted>,
}

impl Plugin for Filter {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        // Raise this when the same document gets a different answer on purpose.
        semantics: 1,
        scope: Scope::Document,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let refuse = |path, reason| Err(ConfigError::new(ConfigFault::InvalidValue, path, reason));
        if config.field.is_empty() || config.field.contains('\0') {
            return refuse("field", "it is not the name of a field");
        }
        if config.values.is_empty() {
            return refuse("values", "it is not a list of one value or more");
        }
        Ok(Self {
            field: config.field,
            values: config.values,
        })
    }
}

impl Transform for Filter {
    // This is the function to change. To rewrite a document, append it to `replacement`, with the same `_id`,
    // and return `Verdict::Replace`.
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        _replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        let Some(found) = find(document, &self.field)? else {
            return Ok(Verdict::Drop);
        };
        for wanted in &self.values {
            if wanted.is(found.as_value())? {
                return Ok(Verdict::Keep);
            }
        }
        Ok(Verdict::Drop)
    }
}

impl Wanted {
    fn is(&self, found: Value<'_>) -> Result<bool, Malformed> {
        match self {
            Self::Text(text) => Ok(found.as_str() == Some(text)),
            Self::Integer(integer) => {
                let integer = Value {
                    kind: kind::INT64,
                    bytes: &integer.to_le_bytes(),
                };
                Ok(compare(found, integer)?.is_eq())
            }
        }
    }
}

tidegate_plugin_sdk::export!(Filter: transform);

#[cfg(test)]
mod tests;
