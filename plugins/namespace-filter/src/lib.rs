//! includeNamespaces and excludeNamespaces as a route component.
//!
//! A namespace is synced if any include filter selects it, or there is none, and no exclude filter selects it.
//! The configuration is that of `/start`:
//!
//! ```json
//! {
//!   "includeNamespaces": [{"database": "sales", "collectionsRegex": {"pattern": "^order", "options": "i"}}],
//!   "excludeNamespaces": [{"databaseRegex": {"pattern": "_test$"}}]
//! }
//! ```

mod filter;

use filter::{Filter, FilterConfig};
use tidegate_plugin_sdk::{ConfigError, Decision, Description, Namespace, Plugin, Route, Scope};

/// The two lists of filters, as configured.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    include_namespaces: Vec<FilterConfig>,
    exclude_namespaces: Vec<FilterConfig>,
}

/// The two lists of filters, compiled.
#[derive(Debug)]
pub struct NamespaceFilter {
    include: Vec<Filter>,
    exclude: Vec<Filter>,
}

impl Plugin for NamespaceFilter {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "namespace-filter",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            include: compile(config.include_namespaces, "includeNamespaces")?,
            exclude: compile(config.exclude_namespaces, "excludeNamespaces")?,
        })
    }
}

fn compile(filters: Vec<FilterConfig>, list: &str) -> Result<Vec<Filter>, ConfigError> {
    filters
        .into_iter()
        .enumerate()
        .map(|(position, filter)| Filter::new(filter, &format!("{list}[{position}]")))
        .collect()
}

impl Route for NamespaceFilter {
    fn route(&self, namespace: &Namespace) -> Result<Decision, String> {
        let included = self.include.is_empty() || any_selects(&self.include, namespace)?;
        let kept = included && !any_selects(&self.exclude, namespace)?;
        Ok(if kept { Decision::Keep } else { Decision::Skip })
    }
}

fn any_selects(filters: &[Filter], namespace: &Namespace) -> Result<bool, String> {
    for filter in filters {
        if filter.selects(namespace).map_err(|_too_long| {
            format!(
                "{} cannot be tried on `{}.{}`, which is longer than a name can be",
                filter.path(),
                namespace.database,
                namespace.collection
            )
        })? {
            return Ok(true);
        }
    }
    Ok(false)
}

tidegate_plugin_sdk::export!(NamespaceFilter: route);

#[cfg(test)]
mod tests;
