//! Updates of every form, on documents older and newer than their events: bytes and field order equal the source's.

use anyhow::{Context, Result, ensure};
use bson::{Bson, Decimal128, Document, RawDocumentBuf, Timestamp, bson, doc, rawdoc};
use mongodb::{ClientSession, Database, error::Result as Driver};
use serde_json::json;
use support::{Rig, rig::Options};

use crate::steps::{
    self, delete, find, go_on_and_die, insert, rig_to_die_at, rig_with_death, run, start_and_die,
    update, wait_in_step,
};

/// A document without its `_id`, and its updates in sequence.
struct Case {
    name: &'static str,
    fields: RawDocumentBuf,
    updates: Vec<Bson>,
}

fn case(
    name: &'static str,
    fields: RawDocumentBuf,
    updates: impl IntoIterator<Item = Bson>,
) -> Case {
    Case {
        name,
        fields,
        updates: updates.into_iter().collect(),
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn order() -> Vec<Case> {
    vec![
        case(
            "new fields, not by name",
            rawdoc! { "m": 1 },
            [
                bson!({ "$set": { "z": 1, "b": 2, "a": 3 } }),
                bson!({ "$set": { "y": 1, "m": 2, "c": 3 } }),
            ],
        ),
        case(
            "new fields by a pipeline, not by name",
            rawdoc! { "m": 1 },
            [
                bson!([{ "$set": { "z": 1 } }, { "$set": { "b": 2, "m": 7 } }, { "$set": { "a": 3 } }]),
            ],
        ),
        case(
            "removed and set again",
            rawdoc! { "a": 1, "b": 2 },
            [
                bson!({ "$unset": { "a": "" } }),
                bson!({ "$set": { "a": 1 } }),
            ],
        ),
        case(
            "removed and set again in one pipeline",
            rawdoc! { "a": 1, "b": 2, "c": 3 },
            [bson!([{ "$unset": "a" }, { "$set": { "a": 9 } }])],
        ),
        case(
            "moved to the end as it is",
            rawdoc! { "a": 1, "b": 2, "c": "long enough that a difference is shorter" },
            [bson!([{ "$replaceWith": { "_id": "$_id", "b": "$b", "c": "$c", "a": "$a" } }])],
        ),
        case(
            "two moved to the end, in another order",
            rawdoc! { "a": 1, "b": 2, "c": "long enough to be kept as it is" },
            [bson!([{ "$replaceWith": { "_id": "$_id", "c": "$c", "b": "$b", "a": "$a" } }])],
        ),
        case(
            "moved inside",
            rawdoc! { "n": { "a": 1, "b": 2, "c": "long enough to be kept as it is" }, "z": "the same again" },
            [
                bson!([{ "$replaceWith": { "_id": "$_id", "n": { "b": "$n.b", "c": "$n.c", "a": "$n.a" }, "z": "$z" } }]),
            ],
        ),
        case(
            "a new first field",
            rawdoc! { "a": 1, "b": 2 },
            [bson!([{ "$replaceWith": { "$mergeObjects": [{ "first": 0 }, "$$ROOT"] } }])],
        ),
        case(
            "renamed",
            rawdoc! { "a": 1, "b": 2, "c": 3 },
            [bson!({ "$rename": { "a": "z", "c": "b" } })],
        ),
        case(
            "renamed into a document",
            rawdoc! { "a": 1, "n": { "x": 1, "y": 2 } },
            [
                bson!({ "$rename": { "a": "n.b" } }),
                bson!({ "$rename": { "n.x": "a" } }),
            ],
        ),
        case(
            "replaced by a pipeline",
            rawdoc! { "a": 1, "n": { "x": 1 } },
            [bson!([{ "$replaceWith": { "_id": "$_id", "n": { "y": 1, "x": 2 }, "b": "$a" } }])],
        ),
        case(
            "all operators",
            rawdoc! { "i": 1, "l": 2_i64, "x": 5, "bits": 6 },
            [
                bson!({ "$inc": { "i": 1, "new": 1 }, "$mul": { "l": 3 }, "$min": { "x": 1 }, "$max": { "k": 1 },
                    "$bit": { "bits": { "xor": 3 } }, "$currentDate": { "d": true, "b": { "$type": "timestamp" } } }),
            ],
        ),
        case(
            "twenty fields, backwards",
            rawdoc! { "m": 1 },
            [bson!([{ "$replaceWith": { "$mergeObjects": ["$$ROOT",
            { "t": 1, "s": 1, "r": 1, "q": 1, "p": 1, "o": 1, "n": 1, "m": 2, "l": 1, "k": 1, "j": 1, "i": 1, "h": 1 }] } }])],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn paths() -> Vec<Case> {
    vec![
        case(
            "nested",
            rawdoc! { "n": { "x": 1, "m": { "y": 1 } }, "a": 1 },
            [
                bson!({ "$set": { "n.z": 1, "n.b": 2, "n.m.q": 1, "n.m.a": 1, "a": 2, "zz": 1 }, "$unset": { "n.x": "" } }),
                bson!({ "$set": { "deep.er.still": 1, "n.x": 5 } }),
            ],
        ),
        case(
            "nested, in place",
            rawdoc! { "n": { "x": 1, "m": { "y": 1, "0": 2, "z": 3 }, "long": "enough for a difference" }, "a": 1 },
            [
                bson!({ "$set": { "n.x": 2, "n.m.y": { "k": [1] }, "n.m.0": 1_i64 }, "$unset": { "n.m.z": "" } }),
                bson!({ "$set": { "a": 2, "n.m.y": 1.0 } }),
                bson!({ "$unset": { "n.x": "", "n.m.0": "", "a": "" } }),
            ],
        ),
        case(
            "arrays",
            rawdoc! { "v": [1, 2, 3, 4, 5, 6, 7, 8], "w": [{ "a": 1 }, { "a": 2 }] },
            [
                bson!({ "$push": { "v": 9, "new": { "$each": [1, 2] } } }),
                bson!({ "$pop": { "v": -1 }, "$set": { "w.1.b": 1, "w.0.a": 7 } }),
                bson!({ "$pull": { "v": { "$in": [3, 5] } } }),
                bson!({ "$set": { "v.12": 1 } }),
                bson!([{ "$set": { "v": { "$slice": ["$v", 3] } } }]),
                bson!([{ "$set": { "v": { "$concatArrays": [{ "$slice": ["$v", 2] }, [{ "k": 1 }]] } } }]),
            ],
        ),
        case(
            "arrays in arrays",
            rawdoc! { "v": [[1, 2, 3], [4, 5, 6]], "long": "enough that a difference is written" },
            [
                bson!([{ "$set": { "v": [{ "$slice": [{ "$first": "$v" }, 1] }, [4, 9, 6]] } }]),
                bson!({ "$set": { "v.1.0": [], "v.0": [] } }),
            ],
        ),
        case(
            "numbers as names",
            rawdoc! { "d": {}, "v": [1, 2], "0": "zero" },
            [
                bson!({ "$set": { "d.0": 1, "v.0": 2, "0": 3, "1": 4, "00": 5, "d.-1": 6 } }),
                bson!({ "$set": { "d.0": [1], "v.1": { "0": 1 } } }),
                bson!({ "$set": { "d.0.0": 2, "v.1.0": 3 }, "$unset": { "0": "" } }),
            ],
        ),
        case(
            "literal dots",
            rawdoc! { "x": { "y": 1 }, "a": 1 },
            [
                bson!([{ "$replaceWith": { "$setField": { "field": "x.y", "input": "$$ROOT", "value": 2 } } }]),
                bson!({ "$set": { "x.y": 3, "a": 2 } }),
                bson!([{ "$replaceWith": { "$setField": { "field": "x.y", "input": "$$ROOT", "value": 4 } } }]),
                bson!([{ "$replaceWith": { "$setField": { "field": "0.0", "input": "$$ROOT", "value": 5 } } }]),
                bson!([{ "$replaceWith": { "$unsetField": { "field": "x.y", "input": "$$ROOT" } } }]),
            ],
        ),
        case(
            "literal dots inside",
            rawdoc! { "n": { "x": { "y": 1 }, "p": "long enough that a difference is written" } },
            [
                bson!([{ "$set": { "n": { "$setField": { "field": "x.y", "input": "$n", "value": 2 } } } }]),
                bson!({ "$set": { "n.x.y": 3 } }),
            ],
        ),
        case(
            "dollars",
            rawdoc! { "a": 1 },
            [
                bson!([{ "$replaceWith": { "$setField": { "field": { "$literal": "$x" }, "input": "$$ROOT", "value": 2 } } }]),
                bson!([{ "$replaceWith": { "$setField": { "field": { "$literal": "$x" }, "input": "$$ROOT", "value": 3 } } }]),
                bson!({ "$set": { "a": 2 } }),
            ],
        ),
        case(
            "no name",
            rawdoc! { "a": 1, "n": { "x": 1 } },
            [
                bson!([{ "$replaceWith": { "$setField": { "field": "", "input": "$$ROOT", "value": 2 } } }]),
                bson!([{ "$set": { "n": { "$setField": { "field": "", "input": "$n", "value": 2 } } } }]),
                bson!({ "$set": { "a": 2 } }),
                bson!([{ "$replaceWith": { "$unsetField": { "field": "", "input": "$$ROOT" } } }]),
            ],
        ),
    ]
}

fn types() -> Vec<Case> {
    let decimal = |text: &str| Bson::Decimal128(text.parse::<Decimal128>().unwrap());
    let zero = Timestamp {
        time: 0,
        increment: 0,
    };
    let set = |value: Bson| bson!({ "$set": { "z": value.clone(), "n.z": value } });
    vec![
        case(
            "the same name twice",
            rawdoc! { "a": 1, "b": 1, "a": 2, "n": { "x": 1, "x": 2 } },
            [
                bson!({ "$set": { "b": 2 } }),
                bson!({ "$set": { "n.y": 2 } }),
                bson!({ "$set": { "n.x": 3 } }),
                bson!({ "$unset": { "n.x": "" } }),
                bson!({ "$set": { "a": 3 } }),
                bson!({ "$unset": { "a": "" } }),
            ],
        ),
        case(
            "numbers",
            rawdoc! { "z": 1_i64, "n": { "z": -0.0 } },
            [
                set(Bson::Double(1.0)),
                set(Bson::Int32(1)),
                set(decimal("1.0")),
                set(decimal("1.00")),
                set(decimal("NaN")),
                set(Bson::Double(f64::NAN)),
                set(Bson::Double(0.0)),
                set(Bson::Double(-0.0)),
                set(decimal("-0E+3")),
                set(Bson::Double(f64::NEG_INFINITY)),
            ],
        ),
        case(
            "other types",
            rawdoc! { "a": bson::RawBson::MinKey },
            [
                set(Bson::MinKey),
                set(Bson::MaxKey),
                set(Bson::Undefined),
                set(Bson::Symbol("s".to_owned())),
                set(Bson::JavaScriptCode("f".to_owned())),
                set(Bson::Timestamp(zero)),
                set(Bson::Null),
                set(bson!({ "t": zero, "u": {} })),
                set(bson!([])),
            ],
        ),
    ]
}

fn cases() -> Vec<Case> {
    order().into_iter().chain(paths()).chain(types()).collect()
}

async fn load(database: &Database, collection: &str, stage: &str) -> Result<()> {
    let documents = cases().into_iter().map(|case| {
        let mut document = rawdoc! { "_id": format!("{stage}: {}", case.name) };
        for field in &case.fields {
            let (name, value) = field.unwrap();
            document.append(name, value);
        }
        document
    });
    database
        .collection::<RawDocumentBuf>(collection)
        .insert_many(documents)
        .await
        .context("load cases")?;
    Ok(())
}

async fn change(database: &Database, collection: &str, stage: &str) -> Result<()> {
    for case in cases() {
        for change in case.updates {
            update(
                database,
                collection,
                format!("{stage}: {}", case.name),
                change,
            )
            .await
            .with_context(|| case.name)?;
        }
    }
    Ok(())
}

/// The same updates while a document is copied, in step, while paused, and around a crash, in a collection that is
/// copied before the crash and in a collection that is copied after it.
#[tokio::test]
async fn s_field_order() -> Result<()> {
    const COLLECTIONS: [&str; 2] = ["early", "late"];
    const STAGES: [&str; 5] = ["copy", "step", "pause", "death", "all"];
    // A single worker takes the largest collection first: the others are not read before the host dies.
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_partition_done").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "early",
        (0..400)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(1000) })
            .collect(),
    )
    .await?;
    for collection in COLLECTIONS {
        for stage in STAGES {
            load(&source, collection, stage).await?;
        }
    }
    let change = async |stage: &str| {
        for collection in COLLECTIONS {
            change(&source, collection, stage).await?;
        }
        anyhow::Ok(())
    };
    start_and_die(&mut rig, json!({})).await?;
    ensure!(
        steps::names(&rig.destination_db("app")).await? == COLLECTIONS,
        "both are created"
    );
    ensure!(
        steps::count(&rig.destination_db("app"), "late").await? == 0,
        "only the early one is copied"
    );
    change("copy").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;

    change("step").await?;
    wait_in_step(&rig).await?;
    rig.compare().await.context("in step")?;
    rig.host.pause().await?;
    change("pause").await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.compare().await.context("after a pause")?;

    rig.host.kill()?;
    change("death").await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    change("all").await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// In sequence on a single document, in the batch of a single round.
#[tokio::test]
async fn s_field_order_in_one_round() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    for stage in ["inserted", "deleted", "replaced"] {
        load(&source, "c", stage).await?;
        change(&source, "c", stage).await?;
    }
    for case in cases() {
        let id = format!("deleted: {}", case.name);
        delete(&source, "c", id.as_str()).await?;
        insert(&source, "c", vec![doc! { "_id": id.as_str(), "z": 1 }]).await?;
        update(
            &source,
            "c",
            id.as_str(),
            doc! { "$set": { "b": 1, "a": 2 } },
        )
        .await?;
        let id = format!("replaced: {}", case.name);
        update(&source, "c", id.as_str(), doc! { "z": 1, "n": { "q": 1 } }).await?;
        update(
            &source,
            "c",
            id.as_str(),
            doc! { "$set": { "n.a": 1, "b": 3 } },
        )
        .await?;
        update(
            &source,
            "c",
            id.as_str(),
            doc! { "$unset": { "z": 1 }, "$set": { "a": 3 } },
        )
        .await?;
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// The server refuses a replacement whose `_id` has another type than the document's (code 66), so the document is deleted
/// and inserted; its later changes in the same round arrive as well.
#[tokio::test]
async fn f64_changes_after_a_refused_replacement_arrive() -> Result<()> {
    const DOCUMENTS: i32 = 20;
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    let whole = (0..DOCUMENTS).map(|id| doc! { "_id": id, "b": 1 });
    insert(&source, "c", whole.collect()).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    for id in 0..DOCUMENTS {
        let double = f64::from(id);
        delete(&source, "c", id).await?;
        insert(&source, "c", vec![doc! { "_id": double, "$a": 1, "b": 1 }]).await?;
        update(&source, "c", double, doc! { "$set": { "b": 2 } }).await?;
        update(&source, "c", double, doc! { "$set": { "c": 3 } }).await?;
    }
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Every document is changed several times in a transaction, all at the same cluster time.
async fn transact(rig: &Rig, stage: &str) -> Result<()> {
    let mut session = rig.source.client().start_session().await?;
    let database = rig.source_db("app");
    session.start_transaction().await?;
    transaction(&mut session, &database, stage).await?;
    session.commit_transaction().await?;
    // No write of an aborted transaction may arrive.
    session.start_transaction().await?;
    let accounts = database.collection::<Document>("accounts");
    accounts
        .insert_one(doc! { "_id": format!("{stage}: aborted") })
        .session(&mut session)
        .await?;
    session.abort_transaction().await?;
    transact_ddl(rig, stage).await?;
    transact_at_once(rig, stage).await
}

/// A transaction creates collections, with indexes and documents; one that is aborted creates nothing.
async fn transact_ddl(rig: &Rig, stage: &str) -> Result<()> {
    let mut session = rig.source.client().start_session().await?;
    let database = rig.source_db("app");
    for (name, commits) in [
        (format!("made {stage}"), true),
        (format!("never {stage}"), false),
    ] {
        session.start_transaction().await?;
        let index = doc! { "key": { "z": 1 }, "name": "z", "sparse": true };
        for command in [
            doc! { "create": &name, "validator": { "z": { "$gte": 0 } } },
            doc! { "createIndexes": &name, "indexes": [index] },
            doc! { "insert": &name, "documents": [{ "_id": 1, "z": 1 }, { "_id": 2, "z": 2 }] },
            doc! { "update": &name, "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "y": 1, "b": 1 } } }] },
            doc! { "insert": format!("{name}, by an insert"), "documents": [{ "_id": 1 }] },
        ] {
            database.run_command(command).session(&mut session).await?;
        }
        if commits {
            session.commit_transaction().await?;
        } else {
            session.abort_transaction().await?;
        }
    }
    run(
        &database,
        doc! { "collMod": format!("made {stage}"), "validator": {} },
    )
    .await?;
    Ok(())
}

/// Two transactions with statements by turns, of which the later one commits first.
async fn transact_at_once(rig: &Rig, stage: &str) -> Result<()> {
    let database = rig.source_db("app");
    let client = rig.source.client();
    let mut sessions = [client.start_session().await?, client.start_session().await?];
    for session in &mut sessions {
        session.start_transaction().await?;
    }
    for n in 0..10 {
        for (place, session) in sessions.iter_mut().enumerate() {
            let whole = doc! { "_id": format!("{stage}: {place} of two, {n}"), "z": n };
            let ledger = database.collection::<Document>("ledger");
            ledger.insert_one(whole).session(&mut *session).await?;
            let own = doc! { "_id": format!("of {place}") };
            let push =
                doc! { "$push": { "log": { "at": stage, "n": n } }, "$set": { "b": n, "a": n } };
            let accounts = database.collection::<Document>("accounts");
            accounts
                .update_one(own, push)
                .upsert(true)
                .session(&mut *session)
                .await?;
        }
    }
    let [first, second] = &mut sessions;
    second.commit_transaction().await?;
    first.commit_transaction().await?;
    Ok(())
}

async fn transaction(session: &mut ClientSession, database: &Database, stage: &str) -> Driver<()> {
    let accounts = database.collection::<Document>("accounts");
    let ledger = database.collection::<Document>("ledger");
    for n in 0..20 {
        let (old, new) = (doc! { "_id": n }, doc! { "_id": format!("{stage}: {n}") });
        accounts
            .update_one(
                old.clone(),
                doc! { "$inc": { "balance": n }, "$set": { "z": stage } },
            )
            .session(&mut *session)
            .await?;
        accounts
            .update_one(
                old.clone(),
                vec![
                    doc! { "$unset": "a" },
                    doc! { "$set": { "b": 1, "a": stage } },
                ],
            )
            .session(&mut *session)
            .await?;
        accounts
            .update_one(old.clone(), doc! { "$push": { "log": { "at": stage } } })
            .session(&mut *session)
            .await?;
        ledger
            .insert_one(doc! { "_id": &new, "z": 1 })
            .session(&mut *session)
            .await?;
        ledger
            .update_one(doc! { "_id": &new }, doc! { "$set": { "b": 1, "a": 1 } })
            .session(&mut *session)
            .await?;
        if n % 3 == 0 {
            accounts
                .delete_one(old.clone())
                .session(&mut *session)
                .await?;
            accounts
                .insert_one(doc! { "_id": n, "again": stage, "balance": 0 })
                .session(&mut *session)
                .await?;
            accounts
                .update_one(old, doc! { "$set": { "c": 1, "a": 1 } })
                .session(&mut *session)
                .await?;
            ledger
                .delete_one(doc! { "_id": &new })
                .session(&mut *session)
                .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn s_transactions() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    let source = rig.source_db("app");
    insert(
        &source,
        "accounts",
        (0..20)
            .map(|n| doc! { "_id": n, "a": 0, "balance": 0 })
            .collect(),
    )
    .await?;
    insert(&source, "ledger", vec![doc! { "_id": "first" }]).await?;
    start_and_die(&mut rig, json!({})).await?;
    transact(&rig, "copy").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    transact(&rig, "step").await?;
    wait_in_step(&rig).await?;
    rig.compare().await.context("in step")?;

    rig.host.pause().await?;
    transact(&rig, "pause").await?;
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    transact(&rig, "death").await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    transact(&rig, "all").await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(
        find(&rig.destination_db("app"), "accounts", "step: aborted")
            .await?
            .is_none()
    );
    rig.finish().await?;
    Ok(())
}

/// Larger than one oplog entry, open while the catalog is read and while the host is dead.
#[tokio::test]
async fn s_transactions_of_many_oplog_entries() -> Result<()> {
    let mut rig = rig_to_die_at("events_applied").await?;
    let source = rig.source_db("app");
    run(&source, doc! { "create": "c" }).await?;
    insert(&source, "other", vec![doc! { "_id": 0 }]).await?;
    let mut session = rig.source.client().start_session().await?;
    session.start_transaction().await?;
    let collection = source.collection::<Document>("c");
    for n in 0..20 {
        collection
            .insert_one(doc! { "_id": n, "filler": "x".repeat(1 << 20) })
            .session(&mut session)
            .await?;
    }
    // An ordinary write is acknowledged while the transaction is open.
    rig.host.start(json!({})).await?;
    insert(&source, "other", vec![doc! { "_id": 1 }]).await?;
    rig.host.wait_for_end().await?;
    for n in 0..20 {
        let update = doc! { "$set": { "z": 1, "a": n } };
        collection
            .update_one(doc! { "_id": n }, update)
            .session(&mut session)
            .await?;
    }
    session.commit_transaction().await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(steps::count(&rig.destination_db("app"), "c").await? == 20);
    rig.finish().await?;
    Ok(())
}
