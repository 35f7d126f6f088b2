//! Renames, moves, copies and converts fields, as a transform component.
//!
//! Rules apply in order, each to the result of the previous rule:
//!
//! ```json
//! {
//!   "rules": [
//!     {"rename": {"from": "address.zip", "to": "postcode"}},
//!     {"move": {"from": "phone", "to": "contact.phone"}},
//!     {"copy": {"from": "_id", "to": "legacy.id", "ifExists": "keep"}},
//!     {"convert": {"path": "items.price", "to": "decimal", "onError": "null"}}
//!   ]
//! }
//! ```
//!
//! The fate of difficult cases is set by the rule: an existing destination, a value that cannot be converted, a
//! loss of digits. By default the document fails. `_id` cannot be changed.

mod config;
mod convert;
mod failure;
mod place;
mod rename;

use config::RuleConfig;
use convert::ConvertRule;
use failure::Failure;
use place::PlaceRule;
use rename::RenameRule;
use tidegate_plugin_sdk::{
    ConfigError, ConfigFault, Description, DocumentFailure, Namespace, Plugin, Scope, Transform,
    Verdict,
};

/// Spare room in the buffer for the additions of a rule.
const MORE_BYTES: usize = 64;

/// The rules, as configured.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    rules: Vec<RuleConfig>,
}

/// The rules, compiled, in order.
#[derive(Debug)]
pub struct FieldRename {
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    Rename(RenameRule),
    Place(PlaceRule),
    Convert(ConvertRule),
}

impl Rule {
    /// Appends the changed document, unless nothing changes. Returns whether anything does.
    fn apply(&self, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        match self {
            Self::Rename(rule) => rule.apply(document, out),
            Self::Place(rule) => rule.apply(document, out),
            Self::Convert(rule) => rule.apply(document, out),
        }
    }
}

impl Plugin for FieldRename {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "field-rename",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Document,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.rules.is_empty() {
            let reason = "the list is empty; add a rule, or remove the plugin";
            return Err(ConfigError::new(ConfigFault::InvalidValue, "rules", reason));
        }
        let rules = config.rules.into_iter().enumerate();
        let rules = rules.map(|(position, rule)| rule.compile(&format!("rules[{position}]")));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl Transform for FieldRename {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        let (mut current, mut next) = (Vec::new(), Vec::new());
        let mut is_changed = false;
        for rule in &self.rules {
            let before = if is_changed { &current } else { document };
            // Reserves room for the document at once: repeated growth would copy it each time.
            next.reserve(before.len() + MORE_BYTES);
            let changes = rule
                .apply(before, &mut next)
                .map_err(|failure| DocumentFailure::Document(failure.to_string()))?;
            if changes {
                is_changed = true;
                std::mem::swap(&mut current, &mut next);
            }
            next.clear();
        }
        if !is_changed || current == document {
            return Ok(Verdict::Keep);
        }
        replacement.extend_from_slice(&current);
        Ok(Verdict::Replace)
    }
}

tidegate_plugin_sdk::export!(FieldRename: transform);

#[cfg(test)]
mod tests;
