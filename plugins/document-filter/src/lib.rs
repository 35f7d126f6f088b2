//! documentFilter as a transform component.
//!
//! Documents that match the filter are kept, others are dropped; nothing is rewritten. The filter has the
//! meaning of a `find` on the source, including value types and arrays. The configuration is that of `/start`:
//!
//! ```json
//! {"field": "tenant.region", "matchValues": ["eu", "uk"]}
//! ```
//!
//! or a subset of MongoDB's query syntax, which the module `query` lists:
//!
//! ```json
//! {"filter": {"status": {"$ne": "closed"}, "created": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}}
//! ```

mod condition;
mod filter;
mod query;
mod types;

use filter::Filter;
use serde_json::Value as Json;
use tidegate_plugin_sdk::{
    ConfigError, ConfigFault, Description, DocumentFailure, Namespace, Plugin, Scope, Transform,
    Verdict,
};

/// The filter as configured, in its short or its full form.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    field: Option<String>,
    match_values: Option<Vec<Json>>,
    filter: Option<Json>,
}

/// The compiled filter.
#[derive(Debug)]
pub struct DocumentFilter {
    filter: Filter,
}

impl Plugin for DocumentFilter {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "document-filter",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Document,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let filter = match (config.field, config.match_values, config.filter) {
            (Some(field), Some(values), None) => query::one_of(&field, &values)?,
            (None, None, Some(query)) => query::parse(&query, "filter")?,
            (None, None, None) => {
                return Err(incomplete("", "`field` and `matchValues`, or `filter`"));
            }
            (Some(_), None, None) => return Err(incomplete("matchValues", "the values to match")),
            (None, Some(_), None) => return Err(incomplete("field", "the field to look at")),
            (_, _, Some(_)) => {
                return Err(ConfigError::new(
                    ConfigFault::InvalidValue,
                    "filter",
                    "a filter has `filter` or `field` and `matchValues`, not both",
                ));
            }
        };
        Ok(Self { filter })
    }
}

fn incomplete(path: &str, lacks: &str) -> ConfigError {
    let reason = format!("the configuration lacks {lacks}");
    ConfigError::new(ConfigFault::MissingField, path, reason)
}

impl Transform for DocumentFilter {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        _replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        match self.filter.takes(document) {
            Ok(true) => Ok(Verdict::Keep),
            Ok(false) => Ok(Verdict::Drop),
            Err(malformed) => Err(DocumentFailure::Document(malformed.to_string())),
        }
    }
}

tidegate_plugin_sdk::export!(DocumentFilter: transform);

#[cfg(test)]
mod tests;
