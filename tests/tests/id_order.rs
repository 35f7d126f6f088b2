//! The order of `_id`s against the server's: a key that is put into the wrong partition while collections are copied
//! would be lost data. `TIDEGATE_SEED` repeats the values.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "values of the test's own, and what it has measured"
)]

use anyhow::{Context as _, Result, ensure};
use bson::{Decimal128, RawDocument, RawDocumentBuf, rawdoc};
use futures::TryStreamExt;
use mongodb::options::Hint;
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use support::{ReplicaSet, TestDir, doc, guide, replica_set};
use tidegate::{
    model::{
        key_order::{self, RawKey},
        options::ClusterName,
        raw::{self, Writer, kind},
    },
    mongo::connect,
    sync::places,
};

const IDS: usize = 12_000;
const PARTNERS: usize = 60;

fn seed() -> Result<u64> {
    let seed = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().context("TIDEGATE_SEED")?,
        Err(_absent) => rand::rng().random_range(0..1_000_000),
    };
    eprintln!("seed {seed}");
    Ok(seed)
}

/// A type and the bytes of a value.
type Owned = (u8, Vec<u8>);

/// Numbers at which representations, or lengths of index keys, meet.
fn edges() -> Vec<i128> {
    let powers = (0..64).map(|bits| 1_i128 << bits);
    let tens = (0..19).map(|digits| 10_i128.pow(digits));
    let positive: Vec<i128> = powers.chain(tens).flat_map(|n| [n - 1, n, n + 1]).collect();
    positive.iter().flat_map(|&n| [n, -n]).collect()
}

fn decimal(text: &str) -> Option<Owned> {
    let decimal: Decimal128 = text.parse().ok()?;
    Some((kind::DECIMAL128, decimal.bytes().to_vec()))
}

#[expect(clippy::cast_precision_loss, reason = "near is as good")]
#[expect(clippy::too_many_lines, reason = "one arm for each kind of number")]
fn number(rng: &mut StdRng, edges: &[i128]) -> Owned {
    let whole = *edges.choose(rng).unwrap();
    let double = |double: f64| (kind::DOUBLE, double.to_le_bytes().to_vec());
    let near = |rng: &mut StdRng, double: f64| match rng.random_range(0..3) {
        0 => double,
        1 => double.next_up(),
        _ => double.next_down(),
    };
    match rng.random_range(0..12) {
        0 => (kind::INT32, rng.random::<i32>().to_le_bytes().to_vec()),
        1 => (kind::INT64, rng.random::<i64>().to_le_bytes().to_vec()),
        2 => i32::try_from(whole).map_or_else(
            |_large| double(near(rng, whole as f64)),
            |n| (kind::INT32, n.to_le_bytes().to_vec()),
        ),
        3 | 4 => i64::try_from(whole).map_or_else(
            |_large| double(near(rng, whole as f64)),
            |n| (kind::INT64, n.to_le_bytes().to_vec()),
        ),
        5 => double(near(rng, whole as f64)),
        6 => double(near(rng, (whole as f64) / 8.0)),
        7 => double(f64::from_bits(rng.random())),
        8 => {
            let specials = [
                f64::NAN,
                -f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                0.0,
                -0.0,
                f64::MAX,
                f64::MIN,
                5e-324,
                -5e-324,
                f64::MIN_POSITIVE,
                1e-300,
                0.1,
                1e22,
                1e23,
            ];
            double(*specials.choose(rng).unwrap())
        }
        9 => (kind::DECIMAL128, rng.random::<[u8; 16]>().to_vec()),
        10 => {
            let texts = [
                "NaN",
                "-NaN",
                "Infinity",
                "-Infinity",
                "0",
                "-0",
                "0E+6111",
                "1E-6176",
                "-1E-6176",
                "1E+6144",
                "9.999999999999999999999999999999999E+6144",
                "0.1",
                "0.10",
                "1E+308",
                "2E+308",
                "1E-323",
                "1E-330",
            ];
            decimal(texts.choose(rng).unwrap()).unwrap()
        }
        _ => {
            // The digits of a double or of an edge, cut at any length.
            let text = match rng.random() {
                true => format!(
                    "{:.*e}",
                    rng.random_range(0..34),
                    near(rng, whole as f64 / 8.0)
                ),
                false => format!("{whole}.{}", ["0", "5", "000000001"].choose(rng).unwrap()),
            };
            decimal(&text).unwrap_or_else(|| double(whole as f64))
        }
    }
}

/// A string: length, text, NUL.
fn string(rng: &mut StdRng) -> Vec<u8> {
    let pieces: [&[u8]; 11] = [
        b"a",
        b"A",
        b"b",
        b"\0",
        b"\x01",
        b"\xff",
        b"1",
        b"10",
        "é".as_bytes(),
        "ß".as_bytes(),
        "\u{10ffff}".as_bytes(),
    ];
    let mut text = vec![0; 4];
    for _ in 0..rng.random_range(0..5) {
        text.extend_from_slice(pieces.choose(rng).unwrap());
    }
    text.push(0);
    let length = u32::try_from(text.len() - 4).unwrap();
    text[..4].copy_from_slice(&length.to_le_bytes());
    text
}

fn binary(rng: &mut StdRng) -> Vec<u8> {
    let length = *[0, 1, 2, 16, 254, 255, 256, 300].choose(rng).unwrap();
    let subtype = *[0, 1, 3, 4, 5, 6, 127, 128, 255].choose(rng).unwrap();
    let last = rng.random_range(0..3);
    let mut value = u32::to_le_bytes(length).to_vec();
    value.push(subtype);
    value.extend((0..length).map(|at| if at + 1 == length { last } else { 7 }));
    value
}

fn document(rng: &mut StdRng, edges: &[i128], depth: u32, is_array: bool) -> Vec<u8> {
    let mut writer = Writer::new();
    for at in 0..rng.random_range(0..4) {
        let name = match is_array {
            true => at.to_string(),
            false => (*["", "a", "b", "ab", "a.b", "é", "0"].choose(rng).unwrap()).to_owned(),
        };
        let (kind, value) = value(rng, edges, depth);
        writer.value(kind, name.as_bytes(), &value);
    }
    writer.finish()
}

/// A namespace that the index cuts off at its NUL, with its length.
const CUT: &[u8] = b"\x04\0\0\0a\0Z\0";

fn pointer(rng: &mut StdRng, namespaces: &[&[u8]]) -> Owned {
    let id = [rng.random_range(0..2); 12];
    let namespace = namespaces.choose(rng).unwrap();
    (kind::DB_POINTER, [namespace, &id[..]].concat())
}

/// A value of any type; below `depth` levels also documents.
fn value(rng: &mut StdRng, edges: &[i128], depth: u32) -> Owned {
    let kinds = if depth == 0 { 17 } else { 28 };
    match rng.random_range(0..kinds) {
        0..=4 => number(rng, edges),
        5 => (kind::STRING, string(rng)),
        6 => (kind::SYMBOL, string(rng)),
        7 => (kind::BINARY, binary(rng)),
        8 => (kind::OBJECT_ID, vec![rng.random_range(0..4) * 85; 12]),
        9 => (kind::BOOLEAN, vec![rng.random_range(0..2)]),
        10 => (
            kind::DATE,
            (rng.random::<i64>() >> rng.random_range(0..64))
                .to_le_bytes()
                .to_vec(),
        ),
        11 => (
            kind::TIMESTAMP,
            (rng.random::<u64>() >> rng.random_range(0..64))
                .to_le_bytes()
                .to_vec(),
        ),
        12 => (
            *[kind::NULL, kind::MIN_KEY, kind::MAX_KEY, kind::UNDEFINED]
                .choose(rng)
                .unwrap(),
            Vec::new(),
        ),
        13 => (kind::JAVASCRIPT, string(rng)),
        14 => {
            let (code, scope) = (string(rng), document(rng, edges, 0, false));
            let length = u32::try_from(4 + code.len() + scope.len()).unwrap();
            (
                kind::SCOPED_JAVASCRIPT,
                [&length.to_le_bytes(), &code[..], &scope].concat(),
            )
        }
        15 => {
            let namespaces: [&[u8]; 4] =
                [b"\x01\0\0\0\0", b"\x02\0\0\0a\0", b"\x03\0\0\0a.\0", CUT];
            pointer(rng, &namespaces)
        }
        16 => {
            let patterns: [&[u8]; 5] = [b"\0\0", b"a\0\0", b"a\0i\0", b"a\0im\0", b"ab\0\0"];
            (kind::REGEX, patterns.choose(rng).unwrap().to_vec())
        }
        17..=20 => (kind::ARRAY, document(rng, edges, depth - 1, true)),
        _ => (kind::DOCUMENT, document(rng, edges, depth - 1, false)),
    }
}

fn with_id((kind, value): &Owned) -> RawDocumentBuf {
    let mut writer = Writer::new();
    writer.value(*kind, b"_id", value);
    RawDocumentBuf::from_bytes(writer.finish()).unwrap()
}

fn key_of(document: &RawDocument) -> RawKey<'_> {
    let id = raw::find(document.as_bytes(), "_id").unwrap().unwrap();
    (id.kind, id.value)
}

/// Inserts documents with these `_id`s, but for those that the server refuses, and returns them in the order of the
/// index.
async fn sorted(set: &ReplicaSet, collection: &str, ids: &[Owned]) -> Result<Vec<RawDocumentBuf>> {
    let database = set.db("ids");
    for ids in ids.chunks(1_000) {
        let documents: Vec<_> = ids.iter().map(with_id).collect();
        let insert = doc! { "insert": collection, "ordered": false };
        let mut insert = RawDocumentBuf::try_from(&insert)?;
        insert.append(
            bson::cstr!("documents"),
            bson::RawArrayBuf::from_iter(documents),
        );
        // The server quotes keys of refused documents, not all of which are text: the driver cannot read its reply.
        if let Err(error) = database.run_raw_command(insert).await {
            ensure!(
                error.to_string().contains("Invalid UTF-8"),
                "insert: {:.300}",
                error.to_string()
            );
        }
    }
    let documents = database.collection::<RawDocumentBuf>(collection);
    let found = documents.find(doc! {});
    let found = found
        .sort(doc! { "_id": 1 })
        .hint(Hint::Keys(doc! { "_id": 1 }));
    Ok(found.await?.try_collect().await?)
}

fn is_cut(document: &RawDocument) -> bool {
    let bytes = document.as_bytes();
    bytes.windows(CUT.len()).any(|found| found == CUT)
}

#[tokio::test]
async fn f74_ids_have_the_order_of_the_index() -> Result<()> {
    let directory = TestDir::new()?;
    let set = ReplicaSet::start(
        "source",
        directory.subdirectory("source")?,
        replica_set::Options::default(),
    )
    .await?;
    let (mut rng, edges) = (StdRng::seed_from_u64(seed()?), edges());
    let ids: Vec<_> = (0..IDS)
        .map(|at| match at % 4 {
            0 => number(&mut rng, &edges),
            1 => value(&mut rng, &edges, 0),
            _ => value(&mut rng, &edges, 3),
        })
        .collect();
    let sorted = sorted(&set, "c", &ids).await?;
    ensure!(
        sorted.len() > IDS / 3,
        "too many were refused: {} are left",
        sorted.len()
    );
    let kinds: std::collections::BTreeSet<u8> = sorted.iter().map(|id| key_of(id).0).collect();
    eprintln!("{} _ids of {} types", sorted.len(), kinds.len());
    ensure!(kinds.len() >= 17, "only these types: {kinds:?}");
    for (at, document) in sorted.iter().enumerate() {
        let partners = (0..PARTNERS).map(|_| rng.random_range(0..sorted.len()));
        for other in partners.chain([at, (at + 1).min(sorted.len() - 1)]) {
            let order = key_order::compare(key_of(document), key_of(&sorted[other]));
            let is_known = !is_cut(document) && !is_cut(&sorted[other]);
            ensure!(
                order == is_known.then(|| at.cmp(&other)),
                "{document:?} and {:?}: {order:?}",
                sorted[other]
            );
        }
    }
    drop(set);
    directory.remove();
    Ok(())
}

/// Strings that collations order otherwise than bytes, and other values between them.
fn collated(rng: &mut StdRng, edges: &[i128]) -> Owned {
    let text = |text: &str| {
        let length = u32::try_from(text.len() + 1).unwrap();
        (
            kind::STRING,
            [&length.to_le_bytes(), text.as_bytes(), &[0]].concat(),
        )
    };
    let words = [
        "a", "A", "á", "b", "B", "ch", "c", "d", "z", "ä", "æ", "1", "2", "10", "9", "-", " ", "ß",
        "\u{301}", "\u{200d}", "\0",
    ];
    let mut joined = String::new();
    for _ in 0..rng.random_range(0..5) {
        joined.push_str(words.choose(rng).unwrap());
    }
    let nested = |(kind, value): Owned| {
        let mut writer = Writer::new();
        writer.value(kind, b"k", &value);
        (kind::DOCUMENT, writer.finish())
    };
    match rng.random_range(0..11) {
        0 => number(rng, edges),
        10 => pointer(rng, &[CUT, b"\x05\0\0\0a\0ZZ\0", b"\x03\0\0\0a.\0"]),
        1 => nested(number(rng, edges)),
        2 | 3 => nested(text(&joined)),
        _ => text(&joined),
    }
}

#[tokio::test]
async fn f75_the_source_gives_the_places_of_ids_under_a_collation() -> Result<()> {
    let directory = TestDir::new()?;
    let set = ReplicaSet::start(
        "source",
        directory.subdirectory("source")?,
        replica_set::Options::secure(),
    )
    .await?;
    let uri = guide::user(&set, "tidegateSource").await?;
    let source = connect(ClusterName::Cluster0, &uri, "tidegate-test")
        .await?
        .client;
    let (mut rng, edges) = (StdRng::seed_from_u64(seed()?), edges());
    for (at, collation) in [
        doc! { "locale": "en", "strength": 1 },
        doc! { "locale": "en", "strength": 1, "caseLevel": true },
        doc! { "locale": "en", "numericOrdering": true, "caseFirst": "upper" },
        doc! { "locale": "sv", "strength": 2, "alternate": "shifted" },
        doc! { "locale": "fr", "backwards": true },
        doc! { "locale": "es@collation=traditional", "strength": 5 },
        doc! { "locale": "simple" },
    ]
    .into_iter()
    .enumerate()
    {
        let name = at.to_string();
        set.db("ids")
            .run_command(doc! { "create": &name, "collation": &collation })
            .await?;
        let ids: Vec<_> = (0..4_000).map(|_| collated(&mut rng, &edges)).collect();
        let sorted = sorted(&set, &name, &ids).await?;
        ensure!(
            sorted.len() > 400,
            "too few _ids under {collation}: {}",
            sorted.len()
        );
        let bounds: Vec<_> = sorted.iter().skip(3).step_by(5).cloned().collect();
        let mut numbers: Vec<usize> = (0..sorted.len()).collect();
        numbers.shuffle(&mut rng);
        let keys: Vec<_> = numbers
            .iter()
            .map(|&number| key_of(&sorted[number]))
            .collect();
        let listed = listed_collation(&set, &name).await?;
        let places = places(&source, listed.as_deref(), &bounds, &keys).await?;
        for ((number, key), place) in numbers.iter().zip(&keys).zip(places) {
            let expected = (number + 2) / 5;
            ensure!(
                place == expected,
                "{key:?} under {collation}: {place} bounds, not {expected}"
            );
        }
        eprintln!(
            "{} places among {} bounds under {collation}",
            keys.len(),
            bounds.len()
        );
    }
    large(&source, &mut rng).await?;
    drop(set);
    directory.remove();
    Ok(())
}

/// The collation of a collection as the catalog has it.
async fn listed_collation(set: &ReplicaSet, name: &str) -> Result<Option<RawDocumentBuf>> {
    let listed = set
        .db("ids")
        .run_command(doc! { "listCollections": 1, "filter": { "name": name } })
        .await?;
    let first = listed.get_document("cursor")?.get_array("firstBatch")?[0]
        .as_document()
        .context("a collection")?
        .clone();
    let collation = first.get_document("options")?.get_document("collation");
    Ok(collation.ok().map(RawDocumentBuf::try_from).transpose()?)
}

/// Keys, and bounds, that do not fit in one command.
async fn large(source: &tidegate::mongo::Client, rng: &mut StdRng) -> Result<()> {
    let collation = rawdoc! { "locale": "en", "strength": 2 };
    let text = |n: usize, length: usize| format!("{n:04}{}", "x".repeat(length));
    let bounds: Vec<_> = (0..2_500)
        .map(|n| rawdoc! { "_id": text(2 * n, 8_100) })
        .collect();
    // The largest `_id`: a document of 16 MiB with nothing else.
    let largest = (16 << 20) - 15;
    let sizes: Vec<(usize, usize)> = (0..60)
        .map(|_| (rng.random_range(0..5_000), rng.random_range(0..300_000)))
        .collect();
    let documents: Vec<_> = sizes
        .iter()
        .copied()
        .chain([(7, largest - 4)])
        .map(|(n, length)| rawdoc! { "_id": text(n, length).to_uppercase() })
        .collect();
    ensure!(
        documents
            .last()
            .is_some_and(|last| last.as_bytes().len() == 16 << 20),
        "not the largest"
    );
    let keys: Vec<_> = documents.iter().map(|document| key_of(document)).collect();
    let places = places(source, Some(&collation), &bounds, &keys).await?;
    for ((n, length), place) in sizes.iter().copied().chain([(7, largest)]).zip(places) {
        // A bound that begins with the same number is longer, or not.
        let expected = n.div_ceil(2) + usize::from(n % 2 == 0 && length >= 8_100);
        ensure!(
            place == expected,
            "key {n} of {length} bytes: {place}, not {expected}"
        );
    }
    Ok(())
}
