//! `_id` values of every kind: none is lost, merged or mistaken for another.

use anyhow::{Result, ensure};
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, Timestamp, bson, doc, oid::ObjectId,
    spec::BinarySubtype,
};
use mongodb::Database;
use serde_json::json;
use support::{Rig, host::number, replica_set, rig::Options};

use crate::copy_states::{Gate, wait_in_step_beside, with_load_level};
use crate::steps::{
    self, delete, fail_command, find, go_on_and_die, heal, insert, rig_to_die_at, rig_with_death,
    run, source_time, start_and_die, update, wait_for_document, wait_in_step,
};

const MIB: usize = 1 << 20;

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype,
        bytes: bytes.to_vec(),
    })
}

/// An `_id` of each type, and of each odd value that the server distinguishes.
pub(crate) fn one_of_each() -> Vec<Bson> {
    let oid = |byte| Bson::ObjectId(ObjectId::from_bytes([byte; 12]));
    vec![
        Bson::MinKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        decimal("-1E+6000"),
        Bson::Int64(i64::MIN),
        Bson::Int32(-1),
        Bson::Double(-0.0),
        decimal("0.1"),
        Bson::Double(0.1),
        Bson::Int32(1),
        Bson::Double(1.5),
        Bson::Int64(2),
        decimal("3.00"),
        Bson::Int64((1 << 53) + 1),
        Bson::Double(f64::INFINITY),
        bson!(""),
        bson!("1"),
        bson!("a\u{0}b"),
        bson!("\u{10ffff}"),
        Bson::Symbol("symbol".to_owned()),
        bson!({}),
        bson!({ "a": 1 }),
        bson!({ "a": { "b": [1, { "c": Bson::Null }] } }),
        bson!({ "b": 1, "a": 1 }),
        bson!({ "a": 1, "b": 1 }),
        binary(BinarySubtype::Generic, b""),
        binary(BinarySubtype::Generic, &[0; 16]),
        binary(BinarySubtype::Uuid, &[0; 16]),
        binary(BinarySubtype::UuidOld, &[0; 16]),
        binary(BinarySubtype::UserDefined(0x80), b"x"),
        oid(0),
        oid(255),
        bson!(false),
        bson!(true),
        Bson::DateTime(DateTime::MIN),
        Bson::DateTime(DateTime::from_millis(-1)),
        Bson::DateTime(DateTime::from_millis(0)),
        Bson::Timestamp(Timestamp {
            time: 0,
            increment: 1,
        }),
        Bson::Timestamp(Timestamp {
            time: u32::MAX,
            increment: u32::MAX,
        }),
        Bson::JavaScriptCode("f".to_owned()),
        Bson::MaxKey,
    ]
}

/// In a clustered collection the server itself does not know these for their own duplicates.
fn is_beyond_64_bits(id: &Bson) -> bool {
    match id {
        Bson::Double(number) => number.is_nan() || number.abs() > 1e18,
        Bson::Decimal128(number) => number.to_string().contains('E'),
        Bson::Int64(number) => *number == i64::MIN,
        _ => false,
    }
}

/// Changes all documents of a collection except each third document.
async fn change_all(database: &Database, collection: &str, mark: &str) -> Result<()> {
    for (at, id) in one_of_each().into_iter().enumerate() {
        if at % 3 == 0 || find(database, collection, id.clone()).await?.is_none() {
            continue;
        }
        update(
            database,
            collection,
            id.clone(),
            doc! { "$set": { "z": mark, "at": mark } },
        )
        .await?;
        if at % 3 == 1 {
            delete(database, collection, id.clone()).await?;
            insert(
                database,
                collection,
                vec![doc! { "_id": id, "again": mark }],
            )
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn s17_mixed_id_types() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    for collection in ["small", "dropped"] {
        insert(
            &source,
            collection,
            one_of_each()
                .into_iter()
                .map(|id| doc! { "_id": id, "n": 1 })
                .collect(),
        )
        .await?;
    }
    // All NaNs are the same value for the server, whatever their type.
    insert(
        &source,
        "decimals",
        ["NaN", "-Infinity", "Infinity", "0E-10", "1E+10"]
            .map(|id| doc! { "_id": decimal(id) })
            .into(),
    )
    .await?;
    let clustered = doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "by id" } };
    run(&source, clustered).await?;
    let in_clustered: Vec<_> = one_of_each()
        .into_iter()
        .filter(|id| !is_beyond_64_bits(id))
        .collect();
    let clustered = in_clustered.iter().map(|id| doc! { "_id": id, "n": 1 });
    insert(&source, "clustered", clustered.collect()).await?;
    start_and_die(&mut rig, json!({})).await?;
    for collection in ["small", "clustered"] {
        change_all(&source, collection, "copy").await?;
    }
    source
        .collection::<Document>("dropped")
        .delete_many(doc! {})
        .await?;
    delete(&source, "decimals", decimal("NaN")).await?;
    insert(&source, "decimals", vec![doc! { "_id": f64::NAN }]).await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    for collection in ["small", "clustered"] {
        change_all(&source, collection, "step").await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    let each = one_of_each().len() as u64;
    for (collection, expected) in [("small", each), ("clustered", in_clustered.len() as u64)] {
        ensure!(
            steps::count(&rig.destination_db("app"), collection).await? == expected,
            "{collection}: one of each"
        );
    }
    ensure!(steps::count(&rig.destination_db("app"), "dropped").await? == 0);
    rig.finish().await?;
    Ok(())
}

/// Enough of each type for several partitions: bounds lie between types and within them.
#[tokio::test]
async fn s17_mixed_id_types_in_partitions() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted:20").await?;
    let source = rig.source_db("app");
    let mut ids = one_of_each();
    for n in 0..25 {
        ids.extend([
            bson!(n * 10 + 100),
            bson!(f64::from(n) + 1000.5),
            bson!(format!("id {n}")),
            bson!({ "k": n }),
        ]);
        ids.push(Bson::DateTime(DateTime::from_millis(1000 + i64::from(n))));
    }
    let filler = "x".repeat(MIB);
    for ids in ids.chunks(20) {
        insert(
            &source,
            "large",
            ids.iter()
                .map(|id| doc! { "_id": id, "filler": &filler })
                .collect(),
        )
        .await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    let partitions = steps::metadata(&rig, "copyPartitions").await?;
    ensure!(
        partitions.len() >= 2,
        "one partition proves nothing: {partitions:?}"
    );
    change_all(&source, "large", "copy").await?;
    rig.host.restart().await?;
    let compared = rig.finish().await?;
    ensure!(compared.documents == ids.len() as u64, "{compared:?}");
    Ok(())
}

/// An `_id` that is equal to another's in value, and not in type: to the server it is the same
/// document, so all that happens to it must happen in order.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn s17_equal_ids_of_other_types() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let forms = |n: i32| {
        [
            Bson::Int32(n),
            Bson::Int64(n.into()),
            Bson::Double(n.into()),
            decimal(&n.to_string()),
            decimal(&format!("{n}.0")),
        ]
    };
    let nested = |n: i32| forms(n).map(|form| bson!({ "k": [form, { "j": "x" }] }));
    let special =
        |one: f64, other: &str| vec![Bson::Double(one), decimal(other), Bson::Double(one)];
    insert(
        &source,
        "c",
        (0..20).map(|n| doc! { "_id": n, "form": 0 }).collect(),
    )
    .await?;
    insert(
        &source,
        "nested",
        (0..20)
            .map(|n| doc! { "_id": { "k": [n, { "j": "x" }] }, "form": 0 })
            .collect(),
    )
    .await?;
    insert(
        &source,
        "special",
        vec![
            doc! { "_id": f64::NAN },
            doc! { "_id": f64::INFINITY },
            doc! { "_id": -0.0 },
            doc! { "_id": "s" },
        ],
    )
    .await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    for n in 0..20 {
        for (collection, forms) in [("c", forms(n)), ("nested", nested(n))] {
            for (number, form) in forms.iter().take(1 + n as usize % 5).enumerate() {
                delete(&source, collection, form.clone()).await?;
                insert(
                    &source,
                    collection,
                    vec![doc! { "_id": form, "form": number as i32 }],
                )
                .await?;
                update(
                    &source,
                    collection,
                    form.clone(),
                    doc! { "$set": { "z": 1, "a": number as i32 } },
                )
                .await?;
            }
        }
    }
    for forms in [
        special(f64::NAN, "NaN"),
        special(f64::INFINITY, "Infinity"),
        vec![bson!(0), decimal("-0"), bson!(0.0)],
    ] {
        for form in forms {
            delete(&source, "special", form.clone()).await?;
            insert(&source, "special", vec![doc! { "_id": form }]).await?;
        }
    }
    delete(&source, "special", "s").await?;
    insert(
        &source,
        "special",
        vec![doc! { "_id": Bson::Symbol("s".to_owned()) }],
    )
    .await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Documents are deleted and inserted with an equal `_id` of another form while their partition is in work, so that both
/// forms are parked.
#[tokio::test]
async fn s17_equal_ids_of_other_types_in_the_copy() -> Result<()> {
    let rig = Rig::with(with_load_level(4)).await?;
    let source = rig.source_db("app");
    let numbers = [
        [decimal("0.5"), Bson::Double(0.5)],
        [Bson::Double(1.5), decimal("1.5")],
        [decimal("2.50"), decimal("2.5")],
        [bson!({ "k": decimal("3.5") }), bson!({ "k": 3.5 })],
        [bson!({ "k": 4.5 }), bson!({ "k": decimal("4.5") })],
        [bson!(7), Bson::Double(7.0)],
    ];
    let strings = [["a", "A"], ["B", "b"], ["c", "C"]].map(|pair| pair.map(|form| bson!(form)));
    let collated = doc! { "create": "strings", "collation": { "locale": "en", "strength": 2 } };
    run(&source, collated).await?;
    let collections = [("numbers", &numbers[..]), ("strings", &strings[..])];
    let mut gates = Vec::new();
    for (collection, pairs) in collections {
        let first = pairs
            .iter()
            .map(|[first, _]| doc! { "_id": first, "form": 0 });
        insert(&source, collection, first.collect()).await?;
        gates.push(Gate::at_inserts(&rig, &format!("app.{collection}"))?);
    }
    rig.host.start(json!({})).await?;
    for gate in &gates {
        gate.reached().await?;
    }
    for (collection, pairs) in collections {
        for (at, [first, second]) in pairs.iter().enumerate() {
            delete(&source, collection, first.clone()).await?;
            insert(&source, collection, vec![doc! { "_id": second, "form": 1 }]).await?;
            if at % 2 == 1 {
                delete(&source, collection, second.clone()).await?;
                insert(&source, collection, vec![doc! { "_id": first, "form": 2 }]).await?;
            }
        }
    }
    wait_in_step_beside(&rig).await?;
    for gate in &gates {
        gate.open();
    }
    let compared = rig.finish().await?;
    ensure!(compared.documents == 9, "{compared:?}");
    Ok(())
}

/// Different `_id`s that look the same when they are written as text.
#[tokio::test]
async fn s18_ids_with_the_same_text() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    let hex = "0123456789abcdef01234567";
    let ids = [
        bson!("1"),
        bson!(1),
        bson!("1.0"),
        bson!("1.5"),
        bson!(1.5),
        bson!("true"),
        bson!(true),
        bson!("null"),
        Bson::Null,
        bson!(hex),
        Bson::ObjectId(ObjectId::parse_str(hex)?),
        bson!(format!("ObjectId(\"{hex}\")")),
        bson!("NaN"),
        Bson::Double(f64::NAN),
        bson!("1970-01-01T00:00:00Z"),
        Bson::DateTime(DateTime::from_millis(0)),
        bson!("{\"a\":1}"),
        bson!({ "a": 1 }),
        bson!({ "a": "1" }),
        bson!({ "a": true }),
        Bson::JavaScriptCode("1".to_owned()),
        bson!("a"),
        bson!("A"),
        bson!("a "),
        bson!("\u{e9}"),
        bson!("e\u{301}"),
    ];
    insert(
        &source,
        "c",
        ids.iter().map(|id| doc! { "_id": id, "n": 0 }).collect(),
    )
    .await?;
    start_and_die(&mut rig, json!({})).await?;
    for (at, id) in ids.iter().enumerate() {
        update(
            &source,
            "c",
            id.clone(),
            doc! { "$set": { "n": 1 + at as i32 } },
        )
        .await?;
    }
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    // Half of each pair is deleted, the other half stays.
    for id in ids.iter().step_by(2) {
        delete(&source, "c", id.clone()).await?;
    }
    wait_in_step(&rig).await?;
    for (at, id) in ids.iter().enumerate() {
        let found = find(&rig.destination_db("app"), "c", id.clone()).await?;
        ensure!(found.is_some() == (at % 2 == 1), "{id}: {found:?}");
    }
    rig.finish().await?;
    Ok(())
}

/// `_id`s that are equal under the collection's collation and differ in their bytes.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn s19_ids_under_a_collation() -> Result<()> {
    let collations = [
        ("case", doc! { "locale": "en", "strength": 2 }),
        ("accents", doc! { "locale": "fr", "strength": 1 }),
        (
            "numbers",
            doc! { "locale": "en", "numericOrdering": true, "strength": 1 },
        ),
    ];
    let forms = |n: i32| {
        [
            format!("key {n} é"),
            format!("KEY {n} é"),
            format!("Key {n} É"),
        ]
    };
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    for (collection, collation) in &collations {
        run(
            &source,
            doc! { "create": *collection, "collation": collation },
        )
        .await?;
        let mut documents: Vec<_> = (0..60)
            .map(|n| doc! { "_id": &forms(n)[0], "form": 0, "filler": "x".repeat(100_000) })
            .collect();
        documents.extend([doc! { "_id": 1 }, doc! { "_id": { "k": "v" } }]);
        insert(&source, collection, documents).await?;
    }
    let change = async |from: usize, to: usize, part: usize| {
        for (collection, _) in &collations {
            for n in (0..60).skip(part).step_by(3) {
                let (old, new) = (&forms(n)[from], &forms(n)[to]);
                update(
                    &source,
                    collection,
                    old.as_str(),
                    doc! { "$set": { "z": to as i32, "b": n } },
                )
                .await?;
                delete(&source, collection, old.as_str()).await?;
                insert(
                    &source,
                    collection,
                    vec![doc! { "_id": new, "form": to as i32 }],
                )
                .await?;
                update(
                    &source,
                    collection,
                    new.as_str(),
                    doc! { "$set": { "z": to as i32, "b": n } },
                )
                .await?;
            }
            update(
                &source,
                collection,
                bson!({ "k": "v" }),
                doc! { "$inc": { "n": 1 } },
            )
            .await?;
        }
        anyhow::Ok(())
    };
    start_and_die(&mut rig, json!({})).await?;
    change(0, 1, 0).await?;
    change(0, 2, 1).await?;
    change(2, 0, 1).await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    change(1, 2, 0).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    change(0, 2, 2).await?;
    change(2, 1, 0).await?;
    wait_in_step(&rig).await?;
    let compared = rig.finish().await?;
    ensure!(compared.documents == 3 * 62, "{compared:?}");
    Ok(())
}

/// The lowest `_id`, and every `_id` that is a bound, goes while bounds are computed and used.
#[tokio::test]
async fn s21_lowest_id_and_bounds_deleted() -> Result<()> {
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted:3").await?;
    let source = rig.source_db("app");
    let filler = "x".repeat(MIB);
    for tens in 0..14 {
        insert(
            &source,
            "c",
            (0..10)
                .map(|n| doc! { "_id": 1000 + tens * 10 + n, "filler": &filler })
                .collect(),
        )
        .await?;
    }
    // The samples of the bounds take a second: time for changes in between.
    let slow = doc! { "failCommands": ["aggregate"], "namespace": "app.c", "blockConnection": true, "blockTimeMS": 1000 };
    fail_command(&rig.source, doc! { "skip": 1 }, slow).await?;
    let _ = rig.host.start(json!({})).await;
    delete(&source, "c", 1000).await?;
    insert(
        &source,
        "c",
        vec![
            doc! { "_id": 999 },
            doc! { "_id": Bson::MinKey },
            doc! { "_id": Bson::MaxKey },
        ],
    )
    .await?;
    rig.host.wait_for_end().await?;
    heal(&rig.source).await?;

    let partitions = steps::metadata(&rig, "copyPartitions").await?;
    ensure!(partitions.len() >= 2, "one partition proves nothing");
    for bound in partitions
        .iter()
        .filter_map(|partition| partition.get_document("lower").ok())
    {
        if find(&source, "c", bound.get("_id").cloned())
            .await?
            .is_some()
        {
            delete(&source, "c", bound.get("_id").cloned()).await?;
        }
    }
    delete(&source, "c", Bson::MinKey).await?;
    delete(&source, "c", 999).await?;
    insert(
        &source,
        "c",
        vec![
            doc! { "_id": Bson::Null },
            doc! { "_id": -1 },
            doc! { "_id": "after all numbers" },
        ],
    )
    .await?;
    rig.host.restart().await?;
    rig.finish().await?;
    Ok(())
}

/// Near-zero lag: documents on both sides of the copy's cursor are changed once, by updates that would show a
/// second application, and never again.
#[tokio::test]
async fn s23_change_inside_a_range_being_copied() -> Result<()> {
    const DOCUMENTS: i32 = 60;
    let options = Options {
        source: replica_set::Options::with_fail_points(),
        ..Options::default()
    };
    let rig = Rig::with(options).await?;
    let source = rig.source_db("app");
    let document = |n: i32| doc! { "_id": n, "n": 0, "list": [0], "filler": "x".repeat(200_000) };
    insert(&source, "c", (0..DOCUMENTS).map(document).collect()).await?;
    let slow = doc! { "failCommands": ["getMore"], "namespace": "app.c", "blockConnection": true, "blockTimeMS": 1500 };
    fail_command(&rig.source, doc! { "times": 2 }, slow).await?;
    // So that no event is at the start time itself, which the stream includes.
    source_time(&rig).await?;
    rig.host.start(json!({})).await?;
    wait_for_document(&rig, "app", "c", 1).await?;
    let changed = [0, 1, 2, DOCUMENTS / 2, DOCUMENTS - 2, DOCUMENTS - 1];
    for id in changed {
        update(
            &source,
            "c",
            id,
            doc! { "$inc": { "n": 1 }, "$push": { "list": 1 } },
        )
        .await?;
    }
    delete(&source, "c", 3).await?;
    delete(&source, "c", DOCUMENTS - 3).await?;
    insert(
        &source,
        "c",
        vec![doc! { "_id": -1 }, doc! { "_id": DOCUMENTS }],
    )
    .await?;
    let step = rig.host.progress().await?;
    ensure!(
        step["info"] == "collection copy",
        "the changes came too late: {step}"
    );
    let progress = wait_in_step(&rig).await?;
    ensure!(
        number(&progress, "/totalEventsApplied") == changed.len() as u64 + 4,
        "{progress}"
    );
    let destination = rig.destination_db("app");
    for id in -1..=DOCUMENTS {
        let found = find(&destination, "c", id).await?;
        let deleted = id == 3 || id == DOCUMENTS - 3;
        ensure!(found.is_none() == deleted, "{id}: {}", found.is_some());
        let once = i32::from(changed.contains(&id));
        if let Some(document) = found.filter(|document| document.contains_key("list")) {
            ensure!(
                document.get_i32("n")? == once
                    && document.get_array("list")?.len() == 1 + once as usize,
                "{id}"
            );
        }
    }
    rig.finish().await?;
    Ok(())
}
