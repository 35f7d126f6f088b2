//! The data set: eleven collections and a view in three databases that a sync
//! takes, and a few namespaces that [`in_scope`] leaves out.
//!
//! A document's `_id` is a function of its number, so that a writer can name any
//! document without reading it.

use anyhow::{Context, Result};
use bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use futures::{StreamExt, TryStreamExt};
use mongodb::{Client, Database, error::ErrorKind};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    fields::{audit, cart, customer, device, note, order, product, reading, review},
    values::{int, mixed_id, object_id},
};

/// A collection of the set.
pub struct Collection {
    pub database: &'static str,
    pub name: &'static str,
    /// Of 1,000 documents of the set.
    share: u64,
    options: fn() -> Document,
    indexes: fn() -> Vec<Document>,
    pub id: fn(u64) -> Bson,
    /// Everything but the `_id`.
    fields: fn(&mut StdRng, u64) -> Document,
    /// False for a capped collection, which only grows.
    pub updatable: bool,
}

/// The documents that [`load`] has written, in scope.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    pub collections: u64,
    pub documents: u64,
    pub bytes: u64,
}

impl Collection {
    pub fn document(&self, rng: &mut StdRng, number: u64) -> Document {
        let mut document = doc! { "_id": (self.id)(number) };
        document.extend((self.fields)(rng, number));
        document
    }

    /// How many documents this collection begins with.
    pub fn count(&self, documents: u64) -> u64 {
        (documents * self.share / 1000).max(1)
    }
}

/// The namespaces that [`filters`] let through.
pub fn in_scope(database: &str, collection: &str) -> bool {
    ["shop", "crm", "telemetry"].contains(&database)
        && !collection.to_ascii_lowercase().starts_with("tmp_")
        && (database, collection) != ("telemetry", "scratch")
}

/// Include and exclude filters of a start request, by name and by expression.
pub fn filters() -> serde_json::Value {
    serde_json::json!({
        "includeNamespaces": [
            { "database": "shop" },
            { "databaseRegex": { "pattern": "^(CRM|telemetry)$", "options": "i" } },
        ],
        "excludeNamespaces": [
            { "databaseRegex": { "pattern": ".*" },
              "collectionsRegex": { "pattern": "^tmp_", "options": "i" } },
            { "database": "telemetry", "collections": ["scratch"] },
        ],
    })
}

/// Creates the set with about this many documents in scope.
pub async fn load(client: &Client, documents: u64, seed: u64) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for (position, collection) in COLLECTIONS.iter().enumerate() {
        let bytes = fill(
            client,
            collection,
            collection.count(documents),
            seed + position as u64,
        )
        .await
        .with_context(|| format!("load {}.{}", collection.database, collection.name))?;
        if in_scope(collection.database, collection.name) {
            loaded.collections += 1;
            loaded.documents += collection.count(documents);
            loaded.bytes += bytes;
        }
    }
    create_view(client).await?;
    loaded.collections += 1;
    Ok(loaded)
}

async fn create_view(client: &Client) -> Result<()> {
    let pipeline = [
        doc! { "$match": { "total": { "$gt": 900 } } },
        doc! { "$project": { "customer": 1, "total": 1, "lines.sku": 1 } },
    ];
    let command = doc! { "create": "expensive", "viewOn": "orders", "pipeline": pipeline };
    client
        .database("shop")
        .run_command(command)
        .await
        .context("create a view")?;
    Ok(())
}

/// Creates a collection, its documents and then its indexes. Returns the bytes.
async fn fill(client: &Client, collection: &Collection, count: u64, seed: u64) -> Result<u64> {
    const BATCH: u64 = 1000;
    let database = client.database(collection.database);
    create(&database, collection).await.context("create")?;
    // A capped collection keeps the order of its inserts: only one insert at a time.
    let at_a_time = if collection.updatable { 3 } else { 1 };
    let batches = (0..count.div_ceil(BATCH)).map(|batch| {
        let target = database.collection::<bson::RawDocumentBuf>(collection.name);
        async move {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) + batch);
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(count);
            let documents: Vec<_> = numbers
                .map(|number| {
                    bson::RawDocumentBuf::try_from(&collection.document(&mut rng, number))
                })
                .collect::<Result<_, _>>()?;
            let bytes: u64 = documents.iter().map(|d| d.as_bytes().len() as u64).sum();
            target
                .insert_many(documents)
                .ordered(!collection.updatable)
                .await?;
            anyhow::Ok(bytes)
        }
    });
    let bytes = futures::stream::iter(batches)
        .buffered(at_a_time)
        .try_fold(0, async |sum, bytes| Ok(sum + bytes))
        .await?;
    let indexes = (collection.indexes)();
    if !indexes.is_empty() {
        let command = doc! { "createIndexes": collection.name, "indexes": indexes };
        database
            .run_command(command)
            .await
            .context("createIndexes")?;
    }
    Ok(bytes)
}

/// Creates a collection with its options; without them on a server before 6.0 that does not know them.
async fn create(database: &Database, collection: &Collection) -> Result<()> {
    /// An unknown field, and a field of another type.
    const UNKNOWN: [i32; 2] = [40415, 14];
    let plain = doc! { "create": collection.name };
    let mut create = plain.clone();
    create.extend((collection.options)());
    let created = database.run_command(create).await;
    let is_unknown = |error: &mongodb::error::Error| matches!(&*error.kind, ErrorKind::Command(refusal) if UNKNOWN.contains(&refusal.code));
    match created {
        Err(error) if is_unknown(&error) => database.run_command(plain).await?,
        created => created?,
    };
    Ok(())
}

pub static COLLECTIONS: &[Collection] = &[
    Collection {
        database: "shop",
        name: "orders",
        share: 300,
        options: Document::new,
        indexes: || {
            vec![
                doc! { "key": { "customer": 1, "placed": -1 }, "name": "by_customer" },
                doc! { "key": { "number": 1 }, "name": "number_unique", "unique": true },
                doc! { "key": { "status": 1 }, "name": "large_open",
                "partialFilterExpression": { "total": { "$gt": 500 }, "status": "open" } },
            ]
        },
        id: |number| Bson::ObjectId(object_id(number)),
        fields: order,
        updatable: true,
    },
    Collection {
        database: "shop",
        name: "products",
        share: 80,
        options: || {
            doc! { "validator": { "$jsonSchema": { "required": ["sku", "price"],
                "properties": { "sku": { "bsonType": "string" }, "price": { "minimum": 0 } } } },
            "validationLevel": "moderate", "validationAction": "error" }
        },
        indexes: || {
            vec![
                doc! { "key": { "sku": 1 }, "name": "sku_1", "unique": true },
                doc! { "key": { "attributes.$**": 1 }, "name": "attributes" },
            ]
        },
        id: |number| Bson::String(format!("product/{number:06}")),
        fields: product,
        updatable: true,
    },
    Collection {
        database: "shop",
        name: "carts",
        share: 60,
        options: Document::new,
        indexes: || {
            vec![
                doc! { "key": { "touched": 1 }, "name": "expiry", "expireAfterSeconds": 7_776_000 },
            ]
        },
        id: |number| Bson::Int64(i64::try_from(number).unwrap_or(0) << 20),
        fields: cart,
        updatable: true,
    },
    Collection {
        database: "shop",
        name: "reviews",
        share: 20,
        options: Document::new,
        indexes: || vec![doc! { "key": { "stars": -1 }, "name": "stars" }],
        id: |number| Bson::Int32(int(number)),
        fields: review,
        updatable: true,
    },
    Collection {
        database: "crm",
        name: "customers",
        share: 160,
        options: Document::new,
        indexes: || {
            vec![
                doc! { "key": { "email": 1 }, "name": "email", "unique": true, "sparse": true },
                doc! { "key": { "name.last": 1, "name.first": 1 }, "name": "names",
                "collation": { "locale": "de", "strength": 2 } },
                doc! { "key": { "city": 1 }, "name": "city_hidden", "hidden": true },
            ]
        },
        id: mixed_id,
        fields: customer,
        updatable: true,
    },
    Collection {
        database: "crm",
        name: "notes",
        share: 80,
        options: Document::new,
        indexes: || vec![doc! { "key": { "tags": 1 }, "name": "tags_1" }],
        id: |number| {
            Bson::Document(doc! { "customer": int(number / 8), "sequence": int(number % 8) })
        },
        fields: note,
        updatable: true,
    },
    Collection {
        database: "crm",
        name: "audit",
        share: 60,
        options: || doc! { "capped": true, "size": 134_217_728_i64 },
        indexes: || vec![doc! { "key": { "at": 1 }, "name": "at_1" }],
        id: |number| Bson::ObjectId(object_id(number)),
        fields: audit,
        updatable: false,
    },
    Collection {
        database: "telemetry",
        name: "readings",
        share: 200,
        options: Document::new,
        indexes: || vec![doc! { "key": { "device": 1, "at": 1 }, "name": "device_1_at_1" }],
        id: |number| Bson::Int64(i64::try_from(number).unwrap_or(0)),
        fields: reading,
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "devices",
        share: 20,
        options: || doc! { "changeStreamPreAndPostImages": { "enabled": true } },
        indexes: || {
            vec![
                doc! { "key": { "serial": "hashed" }, "name": "serial_hashed" },
                doc! { "key": { "place": "2dsphere" }, "name": "place", "2dsphereIndexVersion": 3 },
            ]
        },
        id: |number| {
            Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: number.to_be_bytes().to_vec(),
            })
        },
        fields: device,
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "labels",
        share: 10,
        options: || doc! { "collation": { "locale": "en", "strength": 2 } },
        indexes: || vec![doc! { "key": { "label": 1 }, "name": "label_1" }],
        id: |number| {
            Bson::String(format!(
                "{}{number}",
                if number % 2 == 0 { "Label" } else { "label" }
            ))
        },
        fields: |_, number| doc! { "label": format!("Label {number}") },
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "clustered",
        share: 10,
        options: || doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "by id" } },
        indexes: Vec::new,
        id: |number| {
            Bson::DateTime(DateTime::from_millis(
                1_600_000_000_000 + i64::from(int(number)) * 1000,
            ))
        },
        fields: reading,
        updatable: true,
    },
    Collection {
        database: "shop",
        name: "TMP_import",
        share: 5,
        options: Document::new,
        indexes: Vec::new,
        id: |number| Bson::Int32(int(number)),
        fields: |_, number| doc! { "row": int(number) },
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "scratch",
        share: 5,
        options: Document::new,
        indexes: Vec::new,
        id: |number| Bson::Int32(int(number)),
        fields: |_, number| doc! { "row": int(number) },
        updatable: true,
    },
    Collection {
        database: "legacy",
        name: "archive",
        share: 5,
        options: Document::new,
        indexes: Vec::new,
        id: |number| Bson::Int32(int(number)),
        fields: |_, number| doc! { "row": int(number) },
        updatable: true,
    },
];
