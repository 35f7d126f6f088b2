//! An entry of `includeNamespaces` or `excludeNamespaces`.

use pcre::{LengthError, Regex};
use serde::Deserialize;
use tidegate_plugin_sdk::{ConfigError, ConfigFault, Namespace};

/// Databases that are never synced, by name or prefix.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "local", "config"];
const METADATA_PREFIXES: [&str; 3] = [
    "mongosync_internal_",
    "mongosync_reserved_",
    "__mdb_internal",
];

/// An entry, as configured.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FilterConfig {
    database: Option<String>,
    database_regex: Option<RegexConfig>,
    collections: Option<Vec<String>>,
    collections_regex: Option<RegexConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegexConfig {
    pattern: String,
    #[serde(default)]
    options: String,
}

/// A compiled entry: selects a namespace if both of its parts match.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The position in the configuration.
    path: String,
    database: NamePattern,
    collections: NamePattern,
}

#[derive(Debug)]
enum NamePattern {
    Any,
    List(Vec<String>),
    Expression(Regex),
}

impl NamePattern {
    fn take(&self, name: &str) -> Result<bool, LengthError> {
        match self {
            Self::Any => Ok(true),
            Self::List(names) => Ok(names.iter().any(|known| known == name)),
            Self::Expression(regex) => regex.is_match(name),
        }
    }
}

impl Filter {
    pub(crate) fn new(config: FilterConfig, path: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            path: path.to_owned(),
            database: database(config.database, config.database_regex, path)?,
            collections: collections(config.collections, config.collections_regex, path)?,
        })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn selects(&self, namespace: &Namespace) -> Result<bool, LengthError> {
        Ok(self.database.take(&namespace.database)?
            && self.collections.take(&namespace.collection)?)
    }
}

fn database(
    name: Option<String>,
    regex: Option<RegexConfig>,
    path: &str,
) -> Result<NamePattern, ConfigError> {
    match (name, regex) {
        (Some(_), Some(_)) => Err(both(path, "database", "databaseRegex")),
        (None, None) => Err(ConfigError::new(
            ConfigFault::MissingField,
            path,
            "a filter needs `database` or `databaseRegex`",
        )),
        (None, Some(regex)) => compile(&regex, &format!("{path}.databaseRegex")),
        (Some(name), None) => {
            check_database(&name, &format!("{path}.database"))?;
            Ok(NamePattern::List(vec![name]))
        }
    }
}

fn collections(
    names: Option<Vec<String>>,
    regex: Option<RegexConfig>,
    path: &str,
) -> Result<NamePattern, ConfigError> {
    match (names, regex) {
        (Some(_), Some(_)) => Err(both(path, "collections", "collectionsRegex")),
        (None, None) => Ok(NamePattern::Any),
        (None, Some(regex)) => compile(&regex, &format!("{path}.collectionsRegex")),
        (Some(names), None) if names.is_empty() => Err(ConfigError::new(
            ConfigFault::InvalidValue,
            format!("{path}.collections"),
            "the list is empty; leave it out to take every collection of the database",
        )),
        (Some(names), None) => {
            if let Some(position) = names.iter().position(String::is_empty) {
                let path = format!("{path}.collections[{position}]");
                return Err(ConfigError::new(
                    ConfigFault::InvalidValue,
                    path,
                    "the name is empty",
                ));
            }
            Ok(NamePattern::List(names))
        }
    }
}

fn check_database(name: &str, path: &str) -> Result<(), ConfigError> {
    let reason = if name.is_empty() {
        "the name is empty".to_owned()
    } else if SYSTEM_DATABASES.contains(&name) {
        format!("`{name}` is a system database, which is never synced; leave it out")
    } else if METADATA_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        format!("`{name}` holds a sync tool's metadata, which is never synced; leave it out")
    } else {
        return Ok(());
    };
    Err(ConfigError::new(ConfigFault::InvalidValue, path, reason))
}

fn both(path: &str, name: &str, regex: &str) -> ConfigError {
    let reason = format!("a filter has `{name}` or `{regex}`, not both");
    ConfigError::new(ConfigFault::InvalidValue, path, reason)
}

fn compile(regex: &RegexConfig, path: &str) -> Result<NamePattern, ConfigError> {
    Regex::new(&regex.pattern, &regex.options)
        .map(NamePattern::Expression)
        .map_err(|reason| {
            let reason = format!(
                "the regular expression `{}` is refused: {reason}",
                regex.pattern
            );
            ConfigError::new(ConfigFault::InvalidRegex, path, reason)
        })
}
