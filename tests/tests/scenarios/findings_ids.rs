//! Equality of `_id`s, asked of a server: findings 15 and 16 of 0.2.0 as properties. `TIDEGATE_SEED` repeats the
//! values.

use anyhow::{Context, Result, ensure};
use bson::{Binary, Bson, DateTime, Document, Timestamp, doc, oid::ObjectId, spec::BinarySubtype};
use mongodb::Collection;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use support::Rig;
use tidegate::model::{document_key::DocumentKey, raw};

use crate::steps::{insert, wait_in_step};

fn seed() -> Result<u64> {
    let seed = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().context("TIDEGATE_SEED")?,
        Err(_absent) => rand::rng().random_range(0..1_000_000),
    };
    eprintln!("seed {seed}");
    Ok(seed)
}

/// Numbers around which representations meet.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "1",
    "5",
    "0.5",
    "0.1",
    "-2.25",
    "NaN",
    "Infinity",
    "-Infinity",
    "9007199254740993",
    "9223372036854775807",
    "1E+20",
    "1180591620717411303424",
    "1E-3",
    "-1E+6000",
];

/// A number in a type that can hold it, exactly or nearly.
fn number(rng: &mut StdRng) -> Bson {
    let text = NUMBERS.choose(rng).copied().unwrap_or("0");
    let double = || Bson::Double(text.parse().unwrap_or(f64::NAN));
    match rng.random_range(0..4) {
        0 => text.parse().map_or_else(|_| double(), Bson::Int32),
        1 => text.parse().map_or_else(|_| double(), Bson::Int64),
        2 => text.parse().map_or_else(|_| double(), Bson::Decimal128),
        _ => double(),
    }
}

fn value(rng: &mut StdRng, depth: u32) -> Bson {
    let texts = ["", "a", "A", "a\u{0}b", "1"];
    let text = texts.choose(rng).copied().unwrap_or_default().to_owned();
    let bytes = [b"", b"a".as_slice(), b"ab"];
    let kinds = if depth == 0 { 12 } else { 16 };
    match rng.random_range(0..kinds) {
        0..=4 => number(rng),
        5 => Bson::String(text),
        6 => Bson::Symbol(text),
        7 => Bson::Boolean(rng.random()),
        8 => Bson::DateTime(DateTime::from_millis(rng.random_range(0..2))),
        9 => Bson::Timestamp(Timestamp {
            time: rng.random_range(0..2),
            increment: 1,
        }),
        10 => [Bson::Null, Bson::MinKey, Bson::MaxKey, Bson::Undefined]
            .choose(rng)
            .cloned()
            .unwrap_or(Bson::Null),
        11 => Bson::Binary(Binary {
            subtype: [BinarySubtype::Generic, BinarySubtype::UserDefined(0x80)]
                [rng.random_range(0..2)],
            bytes: bytes.choose(rng).copied().unwrap_or_default().to_vec(),
        }),
        12 => Bson::Array(
            (0..rng.random_range(0..3))
                .map(|_| value(rng, depth - 1))
                .collect(),
        ),
        _ => Bson::Document(document(rng, depth - 1)),
    }
}

fn document(rng: &mut StdRng, depth: u32) -> Document {
    let names = ["a", "b", "c"];
    let fields = rng.random_range(0..3);
    names
        .iter()
        .take(fields)
        .map(|name| ((*name).to_owned(), value(rng, depth)))
        .collect()
}

/// The same value with some numbers and strings in another type, or nearly so.
fn other_form(rng: &mut StdRng, original: &Bson) -> Bson {
    match original {
        Bson::Document(document) => {
            let fields = document.iter();
            Bson::Document(
                fields
                    .map(|(name, value)| (name.clone(), other_form(rng, value)))
                    .collect(),
            )
        }
        Bson::Array(values) => {
            Bson::Array(values.iter().map(|value| other_form(rng, value)).collect())
        }
        Bson::String(text) if rng.random() => Bson::Symbol(text.clone()),
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => {
            let text = match original {
                Bson::Decimal128(decimal) => decimal.to_string(),
                other => other.to_string(),
            };
            match rng.random_range(0..4) {
                0 => text.parse().map_or_else(|_| original.clone(), Bson::Int64),
                1 => text.parse().map_or_else(|_| original.clone(), Bson::Double),
                2 => text
                    .parse()
                    .map_or_else(|_| original.clone(), Bson::Decimal128),
                _ => original.clone(),
            }
        }
        other => other.clone(),
    }
}

/// The host's judgement of two `_id`s: whether they are the same key, whether the same applier gets both, and
/// whether it knows that they may be equal.
fn judged(ids: [&Bson; 2]) -> Result<(bool, bool, bool)> {
    let documents = ids.map(|id| doc! { "_id": id });
    let [a, b] = [
        bson::serialize_to_vec(&documents[0])?,
        bson::serialize_to_vec(&documents[1])?,
    ];
    let key = |bytes| -> Result<DocumentKey<'_>> {
        let id = raw::find(bytes, "_id")?.context("_id")?;
        Ok(DocumentKey::new(id.kind, id.value))
    };
    let (a, b) = (key(a.as_slice())?, key(b.as_slice())?);
    Ok((
        a == b,
        a.hash_for_order() == b.hash_for_order(),
        a.is_ambiguous() || b.is_ambiguous(),
    ))
}

/// Whether the server takes the two for the same `_id`.
async fn are_one(collection: &Collection<Document>, ids: [&Bson; 2]) -> Result<bool> {
    collection.delete_many(doc! {}).await?;
    collection.insert_one(doc! { "_id": ids[0] }).await?;
    match collection.insert_one(doc! { "_id": ids[1] }).await {
        Ok(_) => Ok(false),
        Err(error) if error.to_string().contains("E11000") => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn f16_ids_are_one_where_the_server_says_so() -> Result<()> {
    const PAIRS: usize = 1_500;
    let rig = Rig::start().await?;
    let collection = rig.source_db("oracle").collection("ids");
    let mut rng = StdRng::seed_from_u64(seed()?);
    let (mut equal, mut ambiguous) = (0, 0);
    for at in 0..PAIRS {
        let a = match at % 3 {
            0 => number(&mut rng),
            _ => Bson::Document(document(&mut rng, 3)),
        };
        let b = other_form(&mut rng, &a);
        let are_one = are_one(&collection, [&a, &b]).await?;
        let (one_key, one_applier, may_be_one) = judged([&a, &b])?;
        ensure!(
            !one_key || are_one,
            "{a:?} and {b:?} are two _ids, and one key"
        );
        ensure!(
            !are_one || one_applier && (one_key || may_be_one),
            "{a:?} and {b:?} are one _id: key {one_key}, applier {one_applier}, ambiguous {may_be_one}"
        );
        equal += usize::from(are_one);
        ambiguous += usize::from(are_one && !one_key);
    }
    eprintln!("{equal} of {PAIRS} pairs are one _id, {ambiguous} of them under two keys");
    ensure!(
        equal > PAIRS / 4 && ambiguous > 0,
        "too few pairs are equal"
    );
    rig.abandon();
    Ok(())
}

/// Ranges are drawn from a sample: whatever the mixture of types, exactly one range has each document.
#[tokio::test]
async fn f15_ranges_cover_every_mixture_of_ids() -> Result<()> {
    let rig = Rig::start().await?;
    let mut rng = StdRng::seed_from_u64(seed()?);
    let large = "x".repeat(1 << 20);
    let ends = [
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::ObjectId(ObjectId::new()),
    ];
    for name in ["a", "b", "c"] {
        let documents = rig.source_db("app").collection::<Document>(name);
        let drawn: Vec<_> = (0..65)
            .map(|n| match n % 2 {
                0 => value(&mut rng, 0),
                _ => Bson::Document(document(&mut rng, 2)),
            })
            .collect();
        for id in ends.iter().chain(&drawn) {
            // Equal values are refused.
            let _ = documents.insert_one(doc! { "_id": id, "x": &large }).await;
        }
    }
    insert(&rig.source_db("app"), "d", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    let compared = rig.finish().await?;
    ensure!(compared.documents > 100, "{compared:?}");
    Ok(())
}
