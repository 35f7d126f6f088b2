//! namespaceRemap as a route component.
//!
//! A rule renames a collection, or a database with all its collections; a rule for a collection takes
//! precedence over the rule for its database. Other namespaces keep their names. The configuration is that of
//! `/start`:
//!
//! ```json
//! {
//!   "namespaceRemap": [
//!     {"from": {"database": "sales"}, "to": {"database": "sales_eu"}},
//!     {"from": {"database": "sales", "collection": "log"}, "to": {"database": "archive", "collection": "sales_log"}}
//!   ]
//! }
//! ```
//!
//! Contradicting rules are refused, and so are names that the server does not accept. A clash with a collection
//! that no rule names is refused by the host, which sees all namespaces.

mod names;
mod rules;

use rules::{RuleConfig, Rules};
use tidegate_plugin_sdk::{ConfigError, Decision, Description, Namespace, Plugin, Route, Scope};

/// The rules, as configured.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    namespace_remap: Vec<RuleConfig>,
}

/// The rules, compiled.
#[derive(Debug)]
pub struct NamespaceRemap {
    rules: Rules,
}

impl Plugin for NamespaceRemap {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "namespace-remap",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let rules = Rules::new(config.namespace_remap)?;
        Ok(Self { rules })
    }
}

impl Route for NamespaceRemap {
    fn route(&self, namespace: &Namespace) -> Result<Decision, String> {
        let Some(renamed) = self.rules.rename(namespace) else {
            return Ok(Decision::Keep);
        };
        match names::too_long(&renamed.database, &renamed.collection) {
            Some(reason) => Err(format!(
                "`{}.{}` would become `{}.{}`, and {reason}; give the collection a rule of its own",
                namespace.database, namespace.collection, renamed.database, renamed.collection
            )),
            None => Ok(Decision::Rename(renamed)),
        }
    }
}

tidegate_plugin_sdk::export!(NamespaceRemap: route);

#[cfg(test)]
mod tests;
