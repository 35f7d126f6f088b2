//! Collections, views and indexes as the server lists them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::{Client, Database};

use super::{Comparison, documents::Order};

/// Database and collection.
pub(super) type Name = (String, String);

const SERVER_DATABASES: [&str; 3] = ["admin", "config", "local"];
const METADATA_PREFIXES: [&str; 3] = [
    "mongosync_internal_",
    "mongosync_reserved_",
    "__mdb_internal",
];

/// A collection or view.
pub(super) struct Entry {
    /// "collection", "view" or "timeseries".
    pub(super) kind: String,
    options: BTreeMap<String, Bson>,
    pub(super) indexes: BTreeMap<String, BTreeMap<String, Bson>>,
}

impl Entry {
    pub(super) fn order(&self) -> Order {
        match self.options.get("capped") {
            Some(Bson::Boolean(true)) => Order::Natural,
            _ => Order::Id,
        }
    }

    pub(super) fn compare(&self, other: &Self, name: &str, found: &mut Comparison) {
        if self.kind != other.kind {
            found.differs(
                name,
                format!(
                    "{} on the source, {} on the destination",
                    self.kind, other.kind
                ),
            );
        }
        for what in fields_that_differ(&self.options, &other.options) {
            found.differs(name, format!("option {what}"));
        }
        for (index, spec) in &self.indexes {
            match other.indexes.get(index) {
                None => found.differs(name, format!("index {index} is not on the destination")),
                Some(theirs) => {
                    for what in fields_that_differ(spec, theirs) {
                        found.differs(name, format!("index {index}: {what}"));
                    }
                }
            }
        }
        for index in other
            .indexes
            .keys()
            .filter(|index| !self.indexes.contains_key(*index))
        {
            found.differs(name, format!("index {index} is on the destination only"));
        }
    }
}

/// Every collection and view that is not the server's or a sync tool's own.
pub(super) async fn read(client: &Client) -> Result<BTreeMap<Name, Entry>> {
    let mut entries = BTreeMap::new();
    for database in client
        .list_database_names()
        .await
        .context("list databases")?
    {
        if SERVER_DATABASES.contains(&database.as_str())
            || METADATA_PREFIXES
                .iter()
                .any(|prefix| database.starts_with(prefix))
        {
            continue;
        }
        let handle = client.database(&database);
        for listed in list(&handle, doc! { "listCollections": 1 }).await? {
            let name = listed
                .get_str("name")
                .context("a collection without a name")?
                .to_owned();
            let is_synced = name == "system.js" || name.starts_with(super::BUCKETS);
            if name.starts_with("system.") && !is_synced {
                continue;
            }
            let entry = read_entry(&handle, &name, &listed).await?;
            entries.insert((database.clone(), name), entry);
        }
    }
    Ok(entries)
}

async fn read_entry(database: &Database, name: &str, listed: &Document) -> Result<Entry> {
    let kind = listed.get_str("type").unwrap_or("collection").to_owned();
    let mut options = listed.get_document("options").cloned().unwrap_or_default();
    // An option that `collMod` writes with its default value equals an option that `create` leaves out.
    for (option, default) in [("validationLevel", "strict"), ("validationAction", "error")] {
        if options.get_str(option).is_ok_and(|value| value == default) {
            options.remove(option);
        }
    }
    let mut indexes = BTreeMap::new();
    if kind == "collection" {
        for spec in list(database, doc! { "listIndexes": name }).await? {
            let index = spec
                .get_str("name")
                .context("an index without a name")?
                .to_owned();
            indexes.insert(index, spec.into_iter().collect());
        }
    }
    Ok(Entry {
        kind,
        options: options.into_iter().collect(),
        indexes,
    })
}

async fn list(database: &Database, command: Document) -> Result<Vec<Document>> {
    let what = command.keys().next().cloned().unwrap_or_default();
    let cursor = database.run_cursor_command(command).await;
    cursor
        .with_context(|| format!("{what} in {}", database.name()))?
        .try_collect()
        .await
        .with_context(|| format!("{what} in {}", database.name()))
}

/// Fields with different values, with both values. `Bson` compares documents including their order.
fn fields_that_differ(
    source: &BTreeMap<String, Bson>,
    destination: &BTreeMap<String, Bson>,
) -> Vec<String> {
    let shown = |value: Option<&Bson>| value.map_or("absent".to_owned(), Bson::to_string);
    let mut names: Vec<&String> = source.keys().chain(destination.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| !same(source.get(*name), destination.get(*name)))
        .map(|name| {
            let (ours, theirs) = (shown(source.get(name)), shown(destination.get(name)));
            format!("{name} is {ours} on the source, {theirs} on the destination")
        })
        .collect()
}

/// Equal byte for byte, so that a NaN equals itself and -0.0 differs from 0.0.
fn same(one: Option<&Bson>, other: Option<&Bson>) -> bool {
    let bytes = |value: Option<&Bson>| value.map(|value| doc! { "": value.clone() }.to_vec().ok());
    bytes(one) == bytes(other)
}
