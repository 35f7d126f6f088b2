//! The data set: ten collections and a view in three databases that a sync
//! takes, and a few namespaces that [`in_scope`] leaves out.
//!
//! A document's `_id` is a function of its number, so that a writer can name any
//! document without reading it.

use anyhow::{Context, Result};
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
};
use futures::{StreamExt, TryStreamExt};
use mongodb::Client;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// One collection of the set.
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

/// What [`load`] put there, in scope.
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
        let bytes = fill(client, collection, collection.count(documents), seed + position as u64)
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
    client.database("shop").run_command(command).await.context("create a view")?;
    Ok(())
}

/// Creates one collection, its documents and then its indexes; answers the bytes.
async fn fill(client: &Client, collection: &Collection, count: u64, seed: u64) -> Result<u64> {
    const BATCH: u64 = 1000;
    let database = client.database(collection.database);
    let mut create = doc! { "create": collection.name };
    create.extend((collection.options)());
    database.run_command(create).await.context("create")?;
    // A capped collection keeps the order of its inserts: one at a time.
    let at_a_time = if collection.updatable { 3 } else { 1 };
    let batches = (0..count.div_ceil(BATCH)).map(|batch| {
        let target = database.collection::<bson::RawDocumentBuf>(collection.name);
        async move {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) + batch);
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(count);
            let documents: Vec<_> = numbers
                .map(|number| bson::RawDocumentBuf::try_from(&collection.document(&mut rng, number)))
                .collect::<Result<_, _>>()?;
            let bytes: u64 = documents.iter().map(|d| d.as_bytes().len() as u64).sum();
            target.insert_many(documents).ordered(!collection.updatable).await?;
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
        database.run_command(command).await.context("createIndexes")?;
    }
    Ok(bytes)
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
            vec![doc! { "key": { "touched": 1 }, "name": "expiry", "expireAfterSeconds": 7_776_000 }]
        },
        id: |number| Bson::Int64(i64::try_from(number).unwrap_or(0) << 20),
        fields: cart,
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
        id: |number| Bson::Document(doc! { "customer": int(number / 8), "sequence": int(number % 8) }),
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
        share: 220,
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
        id: |number| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: number.to_be_bytes().to_vec() }),
        fields: device,
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "labels",
        share: 10,
        options: || doc! { "collation": { "locale": "en", "strength": 2 } },
        indexes: || vec![doc! { "key": { "label": 1 }, "name": "label_1" }],
        id: |number| Bson::String(format!("{}{number}", if number % 2 == 0 { "Label" } else { "label" })),
        fields: |_, number| doc! { "label": format!("Label {number}") },
        updatable: true,
    },
    Collection {
        database: "telemetry",
        name: "clustered",
        share: 10,
        options: || doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "by id" } },
        indexes: Vec::new,
        id: |number| Bson::DateTime(DateTime::from_millis(1_600_000_000_000 + i64::from(int(number)) * 1000)),
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

fn order(rng: &mut StdRng, number: u64) -> Document {
    let lines: Vec<Document> = (0..rng.random_range(1..12))
        .map(|line| {
            doc! { "line": line, "sku": format!("SKU-{:05}", rng.random_range(0..99_999)),
            "quantity": rng.random_range(1..9), "price": price(rng), "note": words(rng, 4) }
        })
        .collect();
    doc! {
        "number": int(number),
        "customer": rng.random_range(0..50_000),
        "placed": date(rng),
        "status": *["open", "paid", "shipped", "returned"].choose(rng).unwrap_or(&"open"),
        "total": rng.random_range(1..1500),
        "lines": lines,
        "ship": { "to": { "street": words(rng, 3), "city": words(rng, 1), "zip": rng.random_range(10_000..99_999) },
            "window": [date(rng), date(rng)] },
        "comment": words(rng, 30),
    }
}

fn product(rng: &mut StdRng, number: u64) -> Document {
    doc! {
        "sku": format!("SKU-{number:06}"),
        "price": rng.random_range(1..10_000),
        "title": words(rng, 6),
        "description": words(rng, 90),
        "attributes": { "colour": words(rng, 1), "weight": rng.random::<f64>(), "sizes": ["S", "M", "L"] },
        "": "an empty field name",
        "stock": { "0": rng.random_range(0..50), "1": rng.random_range(0..50) },
    }
}

fn cart(rng: &mut StdRng, number: u64) -> Document {
    let items: Vec<Bson> = (0..rng.random_range(0..20)).map(|_| price(rng)).collect();
    doc! { "touched": DateTime::now(), "session": int(number), "items": items, "blob": blob(rng, 200) }
}

fn customer(rng: &mut StdRng, number: u64) -> Document {
    let mut document = doc! {
        "name": { "first": words(rng, 1), "last": words(rng, 1) },
        "city": words(rng, 1),
        "since": date(rng),
        "about": words(rng, 70),
        "limits": { "low": f64::NEG_INFINITY, "zero": -0.0_f64, "unknown": f64::NAN, "none": Bson::Null },
    };
    if !number.is_multiple_of(3) {
        document.insert("email", format!("customer{number}@example.org"));
    }
    document
}

fn note(rng: &mut StdRng, _number: u64) -> Document {
    let tags: Vec<String> = (0..rng.random_range(0..6)).map(|_| words(rng, 1)).collect();
    doc! { "tags": tags, "matrix": [[1, 2, [3]], [], [doc! {}]], "text": words(rng, 80) }
}

fn audit(rng: &mut StdRng, number: u64) -> Document {
    doc! { "at": date(rng), "who": int(number), "what": words(rng, 20) }
}

fn reading(rng: &mut StdRng, number: u64) -> Document {
    doc! { "device": rng.random_range(0..5000), "at": date(rng), "value": rng.random::<f64>(),
    "ok": !number.is_multiple_of(7), "raw": blob(rng, 40) }
}

fn device(rng: &mut StdRng, number: u64) -> Document {
    let place = [rng.random_range(-170.0..170.0), rng.random_range(-80.0..80.0)];
    doc! { "serial": int(number), "place": { "type": "Point", "coordinates": place.to_vec() },
    "firmware": { "version": words(rng, 1), "image": blob(rng, 600) },
    "clock": Timestamp { time: 1_600_000_000, increment: 7 } }
}

/// Every type an `_id` may have, the odd values first.
fn mixed_id(number: u64) -> Bson {
    let small = int(number);
    match number {
        0 => Bson::Null,
        1 => Bson::MinKey,
        2 => Bson::MaxKey,
        3 => Bson::Double(f64::NAN),
        4 => Bson::Boolean(true),
        5 => Bson::Double(f64::NEG_INFINITY),
        _ => match number % 10 {
            0 => Bson::Int32(small),
            1 => Bson::Int64(i64::from(small) << 32),
            2 => Bson::Double(f64::from(small) + 0.5),
            3 => Bson::String(small.to_string()),
            4 => Bson::ObjectId(object_id(number)),
            5 => Bson::DateTime(DateTime::from_millis(i64::from(small) * 1000)),
            6 => Bson::Document(doc! { "region": small % 5, "customer": small }),
            7 => Bson::Decimal128(decimal(number)),
            8 => Bson::Timestamp(Timestamp { time: 1_500_000_000, increment: small.unsigned_abs() }),
            _ => Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: u128::from(number).to_be_bytes().to_vec() }),
        },
    }
}

/// The decimal `number` and three quarters.
fn decimal(number: u64) -> Decimal128 {
    format!("{number}.75").parse().unwrap_or_else(|_| Decimal128::from_bytes([0; 16]))
}

fn object_id(number: u64) -> ObjectId {
    let mut bytes = [0x65; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn int(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn price(rng: &mut StdRng) -> Bson {
    match rng.random_range(0..4) {
        0 => Bson::Int32(rng.random_range(1..1000)),
        1 => Bson::Decimal128(decimal(rng.random_range(1..1000))),
        _ => Bson::Double(f64::from(rng.random_range(100..100_000)) / 100.0),
    }
}

fn date(rng: &mut StdRng) -> Bson {
    Bson::DateTime(DateTime::from_millis(rng.random_range(1_500_000_000_000..1_700_000_000_000)))
}

fn blob(rng: &mut StdRng, length: usize) -> Bson {
    let mut bytes = vec![0; length];
    rng.fill(bytes.as_mut_slice());
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
}

fn words(rng: &mut StdRng, count: usize) -> String {
    const WORDS: [&str; 24] = [
        "tide", "gate", "water", "harbour", "ebb", "flow", "moon", "lock", "quay", "river", "delta",
        "salt", "basin", "Straße", "été", "潮", "anchor", "buoy", "shoal", "reef", "strait", "sound",
        "mole", "weir",
    ];
    let mut text = String::with_capacity(count * 7);
    for position in 0..count {
        if position > 0 {
            text.push(' ');
        }
        text.push_str(WORDS.choose(rng).unwrap_or(&""));
    }
    text
}
