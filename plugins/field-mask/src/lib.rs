//! Masks fields of documents, as a transform component.
//!
//! A rule names a path and the action on the values there. The configuration:
//!
//! ```json
//! {
//!   "key": "6f1c2a…64 hexadecimal digits…",
//!   "rules": [
//!     {"path": "email", "action": "hash", "length": 24},
//!     {"path": "cards.number", "action": "keepLast", "count": 4},
//!     {"path": "born", "action": "truncateDate", "to": "year", "otherwise": "null"},
//!     {"path": "notes", "action": "drop"}
//!   ]
//! }
//! ```
//!
//! A path applies to every element of an array on its way. Everything that no rule reaches is copied byte for
//! byte, in its order; `_id` cannot be reached. A value of a type that the action does not support fails the
//! document, unless the rule has `otherwise`.

mod action;
mod date;
mod hash;
mod mask;
mod rules;

use std::sync::Arc;

use hash::HashKey;
use rules::{Rule, RuleConfig};
use tidegate_plugin_sdk::walk::Paths;
use tidegate_plugin_sdk::{
    ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
};

/// The rules, as configured.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    key: Option<String>,
    rules: Vec<RuleConfig>,
}

/// The rules, by their paths.
#[derive(Debug)]
pub struct FieldMask {
    rules: Paths<Arc<Rule>>,
}

impl Plugin for FieldMask {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "field-mask",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Document,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let key = config.key.as_deref().map(HashKey::new).transpose()?;
        let rules = config
            .rules
            .into_iter()
            .enumerate()
            .map(|(position, rule)| Rule::new(rule, position, key.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        rules::check(&rules, key.is_some())?;
        Ok(Self {
            rules: Paths::new(rules.iter().map(|rule| (rule.path.parts(), rule.clone()))),
        })
    }
}

impl Transform for FieldMask {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        let changed = mask::mask(&self.rules, document, replacement)
            .map_err(|failure| DocumentFailure::Document(failure.to_string()))?;
        Ok(if changed {
            Verdict::Replace
        } else {
            Verdict::Keep
        })
    }
}

tidegate_plugin_sdk::export!(FieldMask: transform);

#[cfg(test)]
mod tests;
