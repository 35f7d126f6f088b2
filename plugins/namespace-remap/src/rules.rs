//! The list of rules: validated as a whole, then looked up by name.

use std::collections::BTreeMap;

use serde::Deserialize;
use tidegate_plugin_sdk::{ConfigError, ConfigFault, Namespace};

use crate::names::{collection_fault, database_fault, too_long};

/// A rule, as configured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    from: Name,
    to: Name,
}

/// A collection, or a whole database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    database: String,
    collection: Option<String>,
}

/// New names by old names.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<String, DatabaseRules>);

/// The rules for a database of the source.
#[derive(Debug, Default)]
struct DatabaseRules {
    /// The new name of the database, for the collections that are not in `collections`.
    renamed: Option<String>,
    collections: BTreeMap<String, Namespace>,
}

impl Rules {
    pub(crate) fn new(configs: Vec<RuleConfig>) -> Result<Self, ConfigError> {
        let mut index = RuleIndex::default();
        let mut rules = Self::default();
        for (position, rule) in configs.into_iter().enumerate() {
            rule.check(position)?;
            index.add(&rule, position)?;
            rules.add(rule);
        }
        Ok(rules)
    }

    fn add(&mut self, RuleConfig { from, to }: RuleConfig) {
        let database = self.0.entry(from.database).or_default();
        match (from.collection, to.collection) {
            (Some(from), Some(collection)) => {
                let database_name = to.database;
                let to = Namespace {
                    database: database_name,
                    collection,
                };
                database.collections.insert(from, to);
            }
            _ => database.renamed = Some(to.database),
        }
    }

    /// The new name of a namespace, if a rule applies.
    pub(crate) fn rename(&self, namespace: &Namespace) -> Option<Namespace> {
        let database = self.0.get(&namespace.database)?;
        let of_its_own = database.collections.get(&namespace.collection).cloned();
        of_its_own.or_else(|| {
            Some(Namespace {
                database: database.renamed.clone()?,
                collection: namespace.collection.clone(),
            })
        })
    }
}

impl RuleConfig {
    fn check(&self, position: usize) -> Result<(), ConfigError> {
        let path = path(position);
        self.from.check(&format!("{path}.from"))?;
        self.to.check(&format!("{path}.to"))?;
        let (lacking, other) = match (&self.from.collection, &self.to.collection) {
            (Some(_), None) => ("to", "from"),
            (None, Some(_)) => ("from", "to"),
            _ => return Ok(()),
        };
        Err(ConfigError::new(
            ConfigFault::MissingField,
            format!("{path}.{lacking}.collection"),
            format!(
                "`{other}` names a collection, `{lacking}` a whole database; \
                 give the collection in both, or in neither"
            ),
        ))
    }
}

impl Name {
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        refuse(database_fault(&self.database), &format!("{path}.database"))?;
        let Some(collection) = &self.collection else {
            return Ok(());
        };
        let fault = collection_fault(collection).or_else(|| too_long(&self.database, collection));
        refuse(fault, &format!("{path}.collection"))
    }
}

/// The names in the rules so far, each with the position of its rule.
#[derive(Default)]
struct RuleIndex {
    from: BTreeMap<Name, usize>,
    to: BTreeMap<Name, usize>,
    /// Destination databases by lower-case name; the server folds ASCII only.
    databases: BTreeMap<String, (String, usize)>,
}

impl RuleIndex {
    fn add(&mut self, rule: &RuleConfig, position: usize) -> Result<(), ConfigError> {
        let path = path(position);
        if let Some(other) = self.from.insert(rule.from.clone(), position) {
            let other = self::path(other);
            return refuse(
                Some(format!("{other} renames the same; leave one of them out")),
                &format!("{path}.from"),
            );
        }
        if let Some(other) = self.to.insert(rule.to.clone(), position) {
            let other = self::path(other);
            return refuse(
                Some(format!("{other} leads there, too; give another name")),
                &format!("{path}.to"),
            );
        }
        self.add_database(&rule.to.database, position)
    }

    /// A server has no two databases whose names differ in case only.
    fn add_database(&mut self, name: &str, position: usize) -> Result<(), ConfigError> {
        let folded = name.to_ascii_lowercase();
        let (known, other) = self
            .databases
            .entry(folded)
            .or_insert_with(|| (name.to_owned(), position));
        let clash = (known != name).then(|| {
            format!(
                "`{name}` differs from `{known}` of {} in case alone, which a server does not take; \
                 write both alike",
                path(*other)
            )
        });
        refuse(clash, &format!("{}.to.database", path(position)))
    }
}

fn path(position: usize) -> String {
    format!("namespaceRemap[{position}]")
}

fn refuse(fault: Option<String>, path: &str) -> Result<(), ConfigError> {
    match fault {
        Some(reason) => Err(ConfigError::new(ConfigFault::InvalidValue, path, reason)),
        None => Ok(()),
    }
}
