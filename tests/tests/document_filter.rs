//! The document filter against the server: a document that a query finds and the
//! filter drops would be lost data. Both answer for the same documents, of every
//! type and shape; a query that the server refuses is refused.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bson::{
    Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp,
    oid::ObjectId, spec::BinarySubtype,
};
use document_filter::DocumentFilter;
use futures::TryStreamExt;
use mongodb::{Collection, error::ErrorKind};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value as Json, json};
use support::{Document, ReplicaSet, TestDir, doc, replica_set};
use tidegate_plugin_sdk::{Namespace, Plugin, Transform, Verdict, parse};

const SEED: u64 = 2_207;
const RANDOM_DOCUMENTS: usize = 100;
const RANDOM_FILTERS: usize = 600;

/// The numbers of the documents that a filter takes; nothing when it is refused.
type Answer = Option<BTreeSet<i32>>;

const PATHS: [&str; 10] = [
    "a", "a.b", "a.0", "a.b.c", "a.0.b", "a.b.0", "a.0.0", "a.1", "a.b.1.c", "x",
];
const COMPARISONS: [&str; 6] = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"];

#[rustfmt::skip]
const TYPES: [&str; 22] = [
    "double", "string", "object", "array", "binData", "undefined", "objectId", "bool", "date",
    "null", "regex", "dbPointer", "javascript", "symbol", "javascriptWithScope", "int",
    "timestamp", "long", "decimal", "minKey", "maxKey", "number",
];

fn numbers() -> Vec<Bson> {
    let doubles = [
        0.0,
        -0.0,
        1.0,
        1.5,
        -3.25,
        0.1,
        9_007_199_254_740_992.0,
        1e300,
        5e-324,
    ];
    let specials = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let longs = [0, 1, -4, 9_007_199_254_740_993, i64::MAX, i64::MIN];
    let decimals = [
        "0",
        "-0E+5",
        "1",
        "1.50",
        "0.1",
        "0.1000000000000000055511151231257827",
        "NaN",
        "Infinity",
        "-Infinity",
        "9007199254740993",
        "9.223372036854775808E18",
        "1E-6176",
        "9.999999999999999999999999999999999E6144",
        "-3.25",
    ];
    let decimals = decimals.map(|text| text.parse::<Decimal128>().expect(text));
    let doubles = doubles.into_iter().chain(specials).map(Bson::from);
    let longs = longs.into_iter().map(Bson::from);
    let ints = [0, 1, 2, -4, i32::MAX].into_iter().map(Bson::from);
    let decimals = decimals.into_iter().map(Bson::from);
    doubles.chain(longs).chain(ints).chain(decimals).collect()
}

fn binary(subtype: u8, bytes: &[u8]) -> Bson {
    let bytes = bytes.to_vec();
    Bson::Binary(Binary {
        subtype: BinarySubtype::from(subtype),
        bytes,
    })
}

fn regex(pattern: &str, options: &str) -> Bson {
    let [pattern, options] = [pattern, options].map(|text| text.try_into().expect("no NUL"));
    Bson::RegularExpression(Regex { pattern, options })
}

fn scoped(code: &str, scope: Document) -> Bson {
    let code = code.to_owned();
    Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
}

#[rustfmt::skip]
fn scalars() -> Vec<Bson> {
    let [low, high] = [[0; 12], [0xFF; 12]].map(ObjectId::from_bytes);
    let text = |texts: &[&str]| texts.iter().map(|text| Bson::from(*text)).collect::<Vec<_>>();
    let others = vec![
        Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey, true.into(), false.into(),
        low.into(), high.into(), Bson::Symbol("a".to_owned()), Bson::Symbol("c".to_owned()),
        DateTime::from_millis(0).into(), DateTime::from_millis(-1).into(),
        DateTime::from_millis(i64::MAX).into(),
        Timestamp { time: 0, increment: 1 }.into(), Timestamp { time: u32::MAX, increment: 0 }.into(),
        binary(0, b""), binary(0, b"ab"), binary(0, b"b"), binary(4, &[7; 16]), binary(0x80, b"ab"),
        binary(2, b"ab"), regex("a", ""), regex("a", "i"), regex("b", ""),
        Bson::JavaScriptCode("f".to_owned()), Bson::JavaScriptCode("g".to_owned()),
        scoped("f", doc! {}), scoped("f", doc! { "x": 1 }),
    ];
    [numbers(), text(&["", "a", "b", "A", "é", "ab", "a\0b"]), others].concat()
}

#[rustfmt::skip]
fn compounds() -> Vec<Bson> {
    vec![
        doc! {}.into(), doc! { "b": 1 }.into(), doc! { "b": 1.0 }.into(), doc! { "b": 2 }.into(),
        doc! { "c": 1 }.into(), doc! { "b": 1, "c": 1 }.into(), doc! { "c": 1, "b": 1 }.into(),
        doc! { "b": Bson::Null }.into(), doc! { "b": Bson::Undefined }.into(), doc! { "b": [] }.into(),
        doc! { "b": "1" }.into(), doc! { "b": [1, 2] }.into(), doc! { "b": { "c": 1 } }.into(),
        doc! { "b": [{ "c": 1 }] }.into(), doc! { "b": [{ "c": 2 }, { "c": [1] }] }.into(),
        doc! { "b": [5, { "c": 1 }, 7] }.into(), doc! { "0": 1 }.into(), doc! { "0": { "b": 1 } }.into(),
        doc! { "0": { "0": 1 }, "1": 2 }.into(), doc! { "b": { "0": 1, "1": { "c": 1 } } }.into(),
        bson::bson!([]), bson::bson!([1]), bson::bson!([1.0]), bson::bson!([1, 2]), bson::bson!([2, 1]),
        bson::bson!([[1]]), bson::bson!([[1, 2], [3]]), bson::bson!([[]]), bson::bson!([[[1]]]),
        bson::bson!([null]), bson::bson!([{}]), bson::bson!([{ "b": 1 }]), bson::bson!([[{ "b": 1 }]]),
        bson::bson!([1, { "b": 1 }]), bson::bson!([{ "b": 1 }, { "c": 1 }]), bson::bson!([{ "b": [] }]),
        bson::bson!([{ "b": [1, 2] }, { "b": null }]), bson::bson!([{ "b": [{ "c": 1 }] }]),
        bson::bson!([{ "0": 5 }]), bson::bson!([{ "0": { "b": 1 } }, 1]), bson::bson!([[{ "0": 1 }], 1]),
        bson::bson!(["a", 1, null, [1], { "b": 1 }]), bson::bson!([[1, [2]], [[1], 2]]),
        bson::bson!([{ "b": { "c": [1, null] } }, { "b": 5 }]), Bson::Array(vec![Bson::Undefined]),
        Bson::Array(vec![f64::NAN.into(), Bson::MinKey]), Bson::Array(vec![Bson::MaxKey, Bson::MinKey]),
    ]
}

/// Draws values of every type and shape.
struct Draw<'a> {
    random: &'a mut StdRng,
    values: &'a [Bson],
}

impl Draw<'_> {
    fn one(&mut self) -> Bson {
        self.values
            .choose(self.random)
            .cloned()
            .unwrap_or(Bson::Null)
    }

    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices.choose(self.random).copied().unwrap_or_default()
    }

    fn shape(&mut self, depth: u32) -> Bson {
        let count = self.random.random_range(0..4);
        match self.random.random_range(0..4) {
            0 | 1 if depth > 0 => (0..count)
                .map(|_| {
                    (
                        self.pick(&["b", "c", "0", "1"]).to_owned(),
                        self.shape(depth - 1),
                    )
                })
                .collect::<Document>()
                .into(),
            2 if depth > 0 => Bson::Array((0..count).map(|_| self.shape(depth - 1)).collect()),
            _ => self.one(),
        }
    }

    /// A value for a list. A regular expression in a list is a pattern, which the filter does not support.
    fn plain(&mut self) -> Bson {
        let value = self.one();
        match value {
            Bson::RegularExpression(_) | Bson::Undefined => Bson::Null,
            value => value,
        }
    }

    fn condition(&mut self, depth: u32) -> Document {
        match self.random.random_range(0..12) {
            0 | 1 => doc! { "$in": [self.plain(), self.plain(), self.plain()] },
            2 => doc! { "$nin": [self.plain(), self.plain()] },
            3 => doc! { "$exists": self.random.random::<bool>() },
            4 => doc! { "$type": self.pick(&TYPES) },
            5 | 6 if depth > 0 => doc! { "$not": self.condition(depth - 1) },
            7 => {
                let mut both = self.condition(depth);
                both.extend(doc! { self.pick(&COMPARISONS): self.one() });
                both
            }
            _ => doc! { self.pick(&COMPARISONS): self.one() },
        }
    }

    fn filter(&mut self, depth: u32) -> Document {
        let count = self.random.random_range(1..4);
        match self.random.random_range(0..6) {
            0..3 if depth > 0 => {
                let queries: Vec<_> = (0..count).map(|_| self.filter(depth - 1)).collect();
                doc! { self.pick(&["$and", "$or", "$nor"]): queries }
            }
            3 => doc! { self.pick(&PATHS): self.plain(), self.pick(&PATHS): self.condition(1) },
            _ => doc! { self.pick(&PATHS): self.condition(2) },
        }
    }
}

/// Each value alone, in an array, under a field, and under a field in an array.
fn documents(random: &mut StdRng, values: &[Bson]) -> Vec<Document> {
    let mut documents = vec![doc! {}, doc! { "b": 1 }];
    for value in values {
        documents.push(doc! { "a": value });
        documents.push(doc! { "a": [value, 1] });
        documents.push(doc! { "a": { "b": value } });
        documents.push(doc! { "a": [{ "b": value }, { "c": 1 }] });
    }
    let mut draw = Draw { random, values };
    documents.extend((0..RANDOM_DOCUMENTS).map(|_| doc! { "a": draw.shape(4) }));
    for (number, document) in (0_i32..).zip(&mut documents) {
        let mut whole = doc! { "_id": number };
        whole.extend(std::mem::take(document));
        *document = whole;
    }
    documents
}

/// Every comparison with every value, some on every path, then random filters.
fn filters(random: &mut StdRng, values: &[Bson]) -> Vec<Document> {
    let mut filters = vec![doc! {}];
    for (number, value) in values.iter().enumerate() {
        for comparison in COMPARISONS {
            filters.push(doc! { "a": { comparison: value } });
            let path = PATHS.get(number % PATHS.len()).copied().unwrap_or("a");
            filters.push(doc! { path: { comparison: value } });
        }
        filters.push(doc! { "a": { "$not": { "$gt": value } } });
        if !matches!(value, Bson::RegularExpression(_)) {
            filters.push(doc! { "a": value });
            filters.push(doc! { "a": { "$in": [value] } });
            filters.push(doc! { "a.b": { "$nin": [value, 1] } });
        }
    }
    for path in PATHS {
        filters.push(doc! { path: { "$exists": true } });
        filters.push(doc! { path: { "$exists": false } });
        filters.push(doc! { path: Bson::Null });
        filters.push(doc! { path: { "$ne": Bson::Null } });
        filters.push(doc! { path: { "$in": [] } });
        filters.push(doc! { path: { "$nin": [] } });
        filters.extend(TYPES.map(|name| doc! { path: { "$type": name } }));
    }
    for refused in [
        doc! { "$or": [] },
        doc! { "$gt": 1 },
        doc! { "a": { "$gt": 1, "b": 1 } },
    ] {
        filters.push(refused);
    }
    filters.push(doc! { "a": { "$type": [2, "number", -1] } });
    filters.push(doc! { "a": { "$not": {} } });
    filters.push(doc! { "a": { "$ref": "c", "$id": 1 } });
    let mut draw = Draw { random, values };
    filters.extend((0..RANDOM_FILTERS).map(|_| draw.filter(2)));
    filters
}

/// Canonical Extended JSON.
fn ejson(value: &Bson) -> Json {
    match value {
        Bson::Double(double) if double.is_nan() => json!({ "$numberDouble": "NaN" }),
        Bson::Double(double) if double.is_infinite() => {
            json!({ "$numberDouble": if *double > 0.0 { "Infinity" } else { "-Infinity" } })
        }
        // serde is given these bytes as a list of numbers.
        Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        }) => {
            let mut json = ejson(&binary(0x80, bytes));
            if let Some(subtype) = json.pointer_mut("/$binary/subType") {
                *subtype = "00".into();
            }
            json
        }
        Bson::Array(values) => values.iter().map(ejson).collect(),
        Bson::Document(document) => Json::Object(
            document
                .iter()
                .map(|(name, value)| (name.clone(), ejson(value)))
                .collect(),
        ),
        other => serde_json::to_value(other).expect("Extended JSON"),
    }
}

/// The server's answer.
async fn server(collection: &Collection<RawDocumentBuf>, filter: &Document) -> Result<Answer> {
    let found = collection.clone_with_type::<Document>();
    let found = found.find(filter.clone()).projection(doc! { "_id": 1 });
    let cursor = match found.await {
        Ok(cursor) => cursor,
        Err(error) if matches!(*error.kind, ErrorKind::Command(_)) => return Ok(None),
        Err(error) => return Err(error).with_context(|| filter.to_string()),
    };
    let found: Vec<Document> = cursor.try_collect().await?;
    let numbers = found.iter().map(|document| document.get_i32("_id"));
    Ok(Some(numbers.collect::<Result<_, _>>()?))
}

/// The component's answer.
fn component(documents: &[RawDocumentBuf], config: &Json) -> Result<Answer> {
    let Ok(filter) = parse(&config.to_string()).and_then(DocumentFilter::configure) else {
        return Ok(None);
    };
    let namespace = Namespace {
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    let mut taken = BTreeSet::new();
    for document in documents {
        let verdict = filter.transform(&namespace, document.as_bytes(), &mut Vec::new());
        match verdict {
            Ok(Verdict::Keep) => taken.insert(document.get_i32("_id")?),
            Ok(Verdict::Drop) => continue,
            other => anyhow::bail!("{config} answers {other:?}"),
        };
    }
    Ok(Some(taken))
}

fn difference(documents: &[RawDocumentBuf], server: &Answer, ours: &Answer) -> Option<String> {
    match (server, ours) {
        (Some(_), None) => Some("the server takes it, and we do not".to_owned()),
        (None, Some(_)) => Some("the server refuses it, and we do not".to_owned()),
        (None, None) => None,
        (Some(server), Some(ours)) => {
            let number = *server.symmetric_difference(ours).next()?;
            let document = documents.get(usize::try_from(number).ok()?)?;
            let says = server.contains(&number);
            Some(format!("the server says {says} for {document:?}"))
        }
    }
}

#[tokio::test]
async fn filters_take_what_the_server_finds() -> Result<()> {
    let mut random = StdRng::seed_from_u64(SEED);
    let directory = TestDir::new()?;
    let path = directory.path().join("source");
    let set = ReplicaSet::start("source", path, replica_set::Options::default()).await?;
    let values = [scalars(), compounds()].concat();
    let collection = set.db("filter").collection::<RawDocumentBuf>("documents");
    let documents = documents(&mut random, &values);
    collection
        .clone_with_type::<Document>()
        .insert_many(&documents)
        .await?;
    let stored = collection.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let stored: Vec<RawDocumentBuf> = stored.try_collect().await?;

    let mut differences = Vec::new();
    for filter in filters(&mut random, &values) {
        let theirs = server(&collection, &filter).await?;
        let ours = component(&stored, &json!({ "filter": ejson(&filter.clone().into()) }))?;
        let what = difference(&stored, &theirs, &ours);
        differences.extend(what.map(|what| format!("{filter}: {what}")));
    }
    for value in values.chunks(5) {
        let plain = value
            .iter()
            .filter(|v| !matches!(v, Bson::RegularExpression(_)));
        let plain: Vec<_> = plain.cloned().collect();
        let theirs = server(&collection, &doc! { "a.b": { "$in": &plain } }).await?;
        let values = ejson(&Bson::Array(plain));
        let ours = component(&stored, &json!({ "field": "a.b", "matchValues": values }))?;
        let what = difference(&stored, &theirs, &ours);
        differences.extend(what.map(|what| format!("{value:?}: {what}")));
    }
    ensure!(
        differences.is_empty(),
        "seed {SEED}:\n{}",
        differences.join("\n")
    );
    drop(set);
    directory.remove();
    Ok(())
}
