//! The collections and indexes of a cutover.

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::Client;

use super::super::{
    data::Data,
    load::{DATABASE, Documents},
};

/// Of 1 KiB documents.
const COLLECTIONS: [&str; 15] = [
    "accounts",
    "addresses",
    "baskets",
    "customers",
    "events",
    "invoices",
    "items",
    "messages",
    "orders",
    "payments",
    "products",
    "reviews",
    "sessions",
    "shipments",
    "vouchers",
];
/// Of each collection.
const DOCUMENTS: u64 = 20_000;
const DOCUMENT_BYTES: usize = 1024;
/// Collections with a third index, so that there are 33.
const WITH_THIRD: usize = 3;

/// Creates the collections. Returns an n-th of the data.
pub(super) async fn create(client: &Client, divide: u64) -> Result<Data> {
    let collections = COLLECTIONS.map(|collection| Documents {
        collection,
        ..Documents::new(DOCUMENTS / divide, DOCUMENT_BYTES)
    });
    let data = Data::of(collections);
    data.insert(client).await?;
    for (place, collection) in COLLECTIONS.into_iter().enumerate() {
        let command = doc! { "createIndexes": collection, "indexes": indexes(place) };
        let database = client.database(DATABASE);
        database.run_command(command).await.context("index")?;
    }
    Ok(data)
}

/// The indexes of a collection: a third of the collections has a unique index, a third a TTL index, and a third a
/// hidden index.
fn indexes(place: usize) -> Vec<Document> {
    let plain = doc! { "key": { "number": 1 }, "name": "number_1" };
    let relaxed = match place % 3 {
        0 => doc! { "key": { "number": 1, "_id": 1 }, "name": "number_1__id_1", "unique": true },
        // Its values are no dates, so nothing expires.
        1 => {
            doc! { "key": { "touched": 1 }, "name": "touched_1", "expireAfterSeconds": 86_400 }
        }
        _ => doc! { "key": { "score": 1 }, "name": "score_1", "hidden": true },
    };
    let mut indexes = vec![plain, relaxed];
    if place < WITH_THIRD {
        indexes.push(doc! { "key": { "flags.level": 1, "score": -1 }, "name": "level_score" });
    }
    indexes
}
