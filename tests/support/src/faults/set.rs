//! The source of the scripted sync: its initial contents, the scope, and the expected final contents of the
//! destination.

use anyhow::Result;
use bson::{Bson, Document, RawDocumentBuf, doc};
use document_filter::DocumentFilter;
use mongodb::{Client, Database};
use serde_json::{Value, json};

use crate::{
    chain::Chain,
    compare::{Expectation, Expected},
};

/// Documents of each collection.
const DOCUMENTS: i32 = 30;
/// The stamp of both builds of the plugin.
pub(super) const STAMP: &str = "same";

/// Collections with their options.
fn collections() -> Vec<(&'static str, &'static str, Document)> {
    let clustered = doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
    vec![
        ("app", "plain", doc! {}),
        (
            "app",
            "collated",
            doc! { "collation": { "locale": "en", "strength": 2 } },
        ),
        ("app", "clustered", clustered),
        ("app", "capped", doc! { "capped": true, "size": 1 << 20 }),
        ("app", "filtered", doc! {}),
        ("app", "stamped", doc! {}),
        ("app", "indexed", doc! {}),
        ("app", "old", doc! {}),
        ("app", "target", doc! {}),
        ("app", "leaving", doc! {}),
        ("app", "hidden_1", doc! {}),
        ("app", "dropped", doc! {}),
        ("gone", "x", doc! {}),
        // Changed while they are copied.
        ("app", "moving", doc! {}),
        ("app", "doomed", doc! {}),
        ("app", "over", doc! {}),
        ("app", "under", doc! {}),
        ("app", "changed", doc! {}),
        ("app", "capped_later", doc! {}),
        ("app", "hidden_3", doc! {}),
        ("app", "leaving_early", doc! {}),
        ("early", "x", doc! {}),
    ]
}

fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "n": 1 }, "name": "n_1", "unique": true },
        doc! { "key": { "at": 1 }, "name": "at_1", "expireAfterSeconds": 86400 },
        doc! { "key": { "text": 1 }, "name": "text_1", "hidden": true },
    ]
}

pub(super) fn document(id: impl Into<Bson>, n: i32) -> Document {
    doc! {
        "_id": id.into(), "n": n, "text": format!("text of {n}"), "at": bson::DateTime::now(),
        "status": if n % 3 == 0 { "out" } else { "in" }, "list": [1, 2, 3], "sub": { "a": n },
    }
}

/// The `_id`s of a collection.
pub(super) fn id(collection: &str, n: i32) -> Bson {
    match collection {
        "collated" => Bson::String(format!("Key{n:04}")),
        _ => Bson::Int32(n),
    }
}

/// Writes the initial contents to an empty source.
pub(super) async fn load(source: &Client) -> Result<()> {
    for (database, name, mut options) in collections() {
        let database = source.database(database);
        let mut create = doc! { "create": name };
        create.extend(std::mem::take(&mut options));
        database.run_command(create).await?;
        let documents = (0..DOCUMENTS).map(|n| document(id(name, n), n));
        let collection = database.collection::<Document>(name);
        collection.insert_many(documents).await?;
    }
    index(&source.database("app")).await
}

async fn index(app: &Database) -> Result<()> {
    for name in ["indexed", "changed", "moving"] {
        app.run_command(doc! { "createIndexes": name, "indexes": indexes() })
            .await?;
    }
    let view = doc! { "create": "view", "viewOn": "plain", "pipeline": [{ "$match": { "n": 1 } }] };
    app.run_command(view).await?;
    Ok(())
}

fn not_out() -> Value {
    json!({ "filter": { "status": { "$ne": "out" } } })
}

/// The body of the start request; `stamp`: the digest of the plugin's first build.
pub(super) fn start(stamp: &str) -> Value {
    let of = |collection: &str| json!([{ "database": "app", "collections": [collection] }]);
    json!({
        "source": "cluster0", "destination": "cluster1",
        "includeNamespaces": [{ "database": "app" }, { "database": "gone" }, { "database": "early" }],
        "excludeNamespaces": [{ "database": "app", "collectionsRegex": { "pattern": "^hidden" } }],
        "plugins": [
            { "component": "document-filter", "config": not_out(), "namespaces": of("filtered") },
            { "component": stamp, "namespaces": of("stamped") },
        ],
    })
}

fn in_scope(database: &str, collection: &str) -> bool {
    ["app", "gone", "early"].contains(&database) && !collection.starts_with("hidden")
}

/// The expected result of the sync for its source.
pub(super) struct Synced(Chain);

impl Synced {
    pub(super) fn new() -> Result<Self> {
        let is_filtered = |database: &str, name: &str| (database, name) == ("app", "filtered");
        let chain = Chain::of(in_scope).then_in::<DocumentFilter>(&not_out(), is_filtered)?;
        Ok(Self(chain))
    }
}

impl Expectation for Synced {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        self.0.name(database, collection)
    }

    fn document(&self, database: &str, collection: &str, document: &[u8]) -> Result<Expected> {
        if (database, collection) != ("app", "stamped") {
            return self.0.document(database, collection, document);
        }
        let mut stamped = RawDocumentBuf::from_bytes(document.to_vec())?;
        stamped.append(bson::cstr!("stamp"), STAMP);
        Ok(Expected::Changed(stamped.into_bytes()))
    }
}
