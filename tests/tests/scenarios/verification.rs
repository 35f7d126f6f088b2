//! The verification: what differs is found and named, what does not is not, and nothing of it begins anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use document_filter::DocumentFilter;
use field_mask::FieldMask;
use mongodb::Database;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use support::{
    Rig,
    chain::Chain,
    guide,
    host::{DEADLINE, number},
};
use tokio::task::JoinHandle;

use crate::steps::{self, delete, insert, update, wait_in_step};

fn documents(range: std::ops::Range<i32>) -> Vec<Document> {
    let document = |n| doc! { "_id": n, "n": 0, "in": { "list": [n, "text"] } };
    range.map(document).collect()
}

/// The options of a sync whose documents are verified.
fn verified() -> Value {
    json!({ "verification": { "enabled": true } })
}

/// Waits until every collection was compared.
async fn wait_verified(rig: &Rig) -> Result<Value> {
    let whole = |progress: &Value| {
        progress.pointer("/verification/source/phase") == Some(&json!("stream hashing"))
            && number(progress, "/verification/source/totalCollectionCount") > 0
    };
    rig.host
        .wait_until("everything is verified", DEADLINE, whole)
        .await
}

/// Waits until all is proven equal up to the source's time now.
async fn wait_verified_to_now(rig: &Rig) -> Result<Value> {
    let now = steps::source_time(rig).await?;
    rig.host
        .wait_until("verified up to now", DEADLINE, |progress| {
            let time = progress.pointer("/verification/verifiedTo/T");
            time.and_then(Value::as_u64) >= Some(u64::from(now.time) + 1)
        })
        .await
}

async fn wait_for_mismatches(rig: &Rig, count: u64) -> Result<Value> {
    rig.host
        .wait_until("mismatches are counted", DEADLINE, |progress| {
            number(progress, "/verification/mismatches") == count
                && progress["verification"].is_object()
        })
        .await
}

/// Waits until a commit was undone for three mismatches.
async fn wait_undone(rig: &Rig) -> Result<Value> {
    rig.host
        .wait_until("the commit is undone", DEADLINE, |progress| {
            progress["state"] == "RUNNING"
                && progress["warnings"].to_string().contains("3 mismatches")
        })
        .await
}

/// The listed mismatches in this state.
async fn listed(rig: &Rig, state: &str) -> Result<Vec<Value>> {
    let path = "/api/v1/verification/mismatches?limit=10000";
    let answer = rig.host.call("GET", path, "").await?;
    ensure!(answer.status == 200, "{}", answer.body);
    let all = answer.body["mismatches"].as_array().context("no list")?;
    let of_state = all.iter().filter(|one| one["state"] == state);
    Ok(of_state.cloned().collect())
}

async fn post(rig: &Rig, call: &str) -> Result<()> {
    let path = format!("/api/v1/verification/{call}");
    let answer = rig.host.call("POST", &path, "").await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(())
}

/// Changes, deletes or adds a document on the destination. Returns the kind of the mismatch, and its path.
async fn tamper(
    destination: &Database,
    kind: u8,
    id: i32,
) -> Result<(&'static str, Option<&'static str>)> {
    Ok(match kind {
        0 => {
            update(
                destination,
                "c",
                id,
                doc! { "$set": { "in.list.1": "other" } },
            )
            .await?;
            ("differs", Some("in.list.1"))
        }
        1 => {
            delete(destination, "c", id).await?;
            ("missing", None)
        }
        2 | 3 => {
            // The same value as another type, or the same fields in another order.
            let inner = doc! { "list": [id, "text"] };
            let whole = match kind {
                2 => doc! { "n": 0.0, "in": inner },
                _ => doc! { "in": inner, "n": 0 },
            };
            let c = destination.collection::<Document>("c");
            let changed = c.replace_one(doc! { "_id": id }, whole).await?;
            ensure!(changed.modified_count == 1, "{id} is as it was");
            ("differs", Some("n"))
        }
        _ => {
            insert(destination, "c", vec![doc! { "_id": -1 - id, "n": 0 }]).await?;
            ("extra", None)
        }
    })
}

/// A debug build on a busy machine keeps up with this pace.
const BETWEEN_WRITES: Duration = Duration::from_millis(6);

/// Writes to the source until it is stopped: documents from 0 to `count` are changed, deleted and inserted.
fn write(source: Database, count: i32, stop: &Arc<AtomicBool>) -> JoinHandle<Result<i32>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut random = StdRng::seed_from_u64(7);
        let mut written = 0_i32;
        while !stop.load(SeqCst) {
            let id = random.random_range(0..count);
            let c = source.collection::<Document>("c");
            match random.random_range(0..4) {
                0 => {
                    c.delete_one(doc! { "_id": id }).await?;
                }
                1 => {
                    let whole = doc! { "_id": id, "n": written, "in": { "list": [id, "text"] } };
                    c.replace_one(doc! { "_id": id }, whole)
                        .upsert(true)
                        .await?;
                }
                _ => {
                    c.update_many(
                        doc! { "_id": { "$gte": id, "$lt": id + 5 } },
                        doc! { "$inc": { "n": 1 }, "$push": { "in.list": { "$each": [written], "$slice": -5 } } },
                    )
                    .await?;
                }
            }
            written += 1;
            tokio::time::sleep(BETWEEN_WRITES).await;
        }
        Ok(written)
    })
}

/// Each kind of difference is named, without contents; it blocks the commit by name; a repair mends it through the
/// stream, and the log of it stays.
#[tokio::test]
async fn s71_differences_are_named_and_repaired() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a document differs");
    rig.allow_log("VerificationFailed");
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..3_000)).await?;
    rig.host.start(verified()).await?;
    let done = wait_verified(&rig).await?;
    ensure!(
        number(&done, "/verification/source/hashedDocumentCount") == 3_000,
        "{done:#}"
    );
    let mut expected = Vec::new();
    for (kind, id) in [(0, 17), (1, 1_800), (4, 5)] {
        expected.push(tamper(&destination, kind, id).await?);
    }
    let found = wait_for_mismatches(&rig, 3).await?;
    ensure!(
        number(&found, "/verification/writtenByOthers") == 3,
        "{found:#}"
    );
    ensure!(found["verification"]["verifiedTo"].is_null(), "{found:#}");
    let open = listed(&rig, "open").await?;
    for (kind, path) in expected {
        let is_it = |one: &&Value| {
            one["kind"] == kind && one.get("path") == path.map(|it| json!(it)).as_ref()
        };
        ensure!(
            open.iter().any(|one| is_it(&one)),
            "no {kind} {path:?} in {open:?}"
        );
    }
    ensure!(
        !format!("{open:?}").contains("other"),
        "contents are listed: {open:?}"
    );

    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    let undone = wait_undone(&rig).await?;
    ensure!(undone["canWrite"] == false, "{undone:#}");
    post(&rig, "repair").await?;
    wait_for_mismatches(&rig, 0).await?;
    ensure!(listed(&rig, "repaired").await?.len() == 3, "not in the log");
    rig.finish().await?;
    Ok(())
}

/// A collection and a view in scope that only the destination has end a commit by name. One out of scope does not.
#[tokio::test]
async fn f105_collections_that_only_the_destination_has_end_a_commit() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a document differs");
    rig.allow_log("VerificationFailed");
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..10)).await?;
    let filters = json!({ "includeNamespaces": [{ "database": "app" }], "verification": true });
    rig.host.start(filters).await?;
    rig.host.wait_can_commit().await?;
    insert(&destination, "more", documents(0..1)).await?;
    steps::run(
        &destination,
        doc! { "create": "v", "viewOn": "c", "pipeline": [] },
    )
    .await?;
    let other = rig.destination_db("other");
    insert(&other, "c", documents(0..1)).await?;
    rig.host.commit().await?;
    let undone = |progress: &Value| {
        let warnings = progress["warnings"].to_string();
        progress["state"] == "RUNNING" && warnings.contains("2 mismatches")
    };
    rig.host.wait_until("undone", DEADLINE, undone).await?;
    let open = listed(&rig, "open").await?;
    for name in ["app.more", "app.v"] {
        let is_it = |one: &&Value| one["kind"] == "extra" && one["namespace"] == name;
        ensure!(open.iter().any(|one| is_it(&one)), "no {name} in {open:?}");
    }
    for name in ["more", "v"] {
        steps::run(&destination, doc! { "drop": name }).await?;
    }
    other.drop().await?;
    rig.finish().await?;
    Ok(())
}

/// Small collections, which are copied before the event loop hears of their plan, are verified whole, each time.
#[tokio::test]
async fn f106_small_collections_are_verified_whole() -> Result<()> {
    const COLLECTIONS: usize = 40;
    let mut rig = Rig::start().await?;
    let source = rig.source_db("app");
    for n in 0..COLLECTIONS {
        insert(&source, &format!("c{n}"), documents(0..3)).await?;
    }
    for round in 0..5 {
        rig.host.start(verified()).await?;
        wait_verified(&rig)
            .await
            .with_context(|| format!("round {round}"))?;
        let namespaces = steps::metadata(&rig, "namespaces").await?;
        ensure!(namespaces.len() == COLLECTIONS, "{namespaces:?}");
        rig.begin_again(None).await?;
    }
    rig.abandon();
    Ok(())
}

/// Killed after collections are created and before their UUIDs are recorded: the next host finds these, writes under
/// them, and verifies the collections.
#[tokio::test]
async fn f108_a_host_finds_the_uuids_that_the_one_before_has_not_recorded() -> Result<()> {
    let options = support::rig::Options::default();
    let mut rig = steps::rig_with_death(options, "copies_begun").await?;
    insert(&rig.source_db("app"), "c", documents(0..10)).await?;
    steps::start_and_die(&mut rig, verified()).await?;
    let begun = steps::metadata(&rig, "namespaces").await?;
    let lacks = |one: &Document| {
        one.get("destinationUuid")
            .is_none_or(|it| it.as_str().is_none())
    };
    ensure!(begun.len() == 1 && begun.iter().all(lacks), "{begun:?}");
    rig.host.restart().await?;
    wait_verified(&rig).await?;
    let known = steps::metadata(&rig, "namespaces").await?;
    ensure!(!known.iter().any(lacks), "{known:?}");
    rig.finish().await?;
    Ok(())
}

/// Killed, paused and handed over in the middle, a verification goes on: what was compared is not compared again, and
/// changes that nobody has compared yet are not forgotten.
#[tokio::test]
async fn s70_a_verification_goes_on_over_kill_and_pause() -> Result<()> {
    let mut rig = Rig::with(support::rig::Options {
        kill_at: Some("verification_slice:6".to_owned()),
        host_environment: vec![("TIDEGATE_SLICE_SECONDS".to_owned(), "0".to_owned())],
        ..support::rig::Options::default()
    })
    .await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..40_000)).await?;
    steps::start_and_die(&mut rig, verified()).await?;
    let persisted = steps::metadata(&rig, "verifiedCollections").await?;
    let first = persisted.first().context("nothing persisted")?;
    let compared = first.get_i64("documents")?;
    ensure!(
        compared > 0 && !first.contains_key("complete"),
        "{persisted:?}"
    );
    for id in [3, 30_000] {
        update(&source, "c", id, doc! { "$set": { "n": 9 } }).await?;
    }
    rig.host.arguments_mut().environment.clear();
    rig.host.restart().await?;
    rig.host.wait_for_state("RUNNING").await?;
    rig.host.pause().await?;
    rig.host.resume().await?;
    let done = wait_verified(&rig).await?;
    let counted = number(&done, "/verification/source/hashedDocumentCount");
    // A bound is compared twice, and a slice that was not persisted.
    ensure!((40_000..50_000).contains(&counted), "{done:#}");
    wait_verified_to_now(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Rounds of a test: `VERIFICATION_ROUNDS`, for a run before a release, or the number of the gate.
fn rounds(of_the_gate: i32) -> Result<i32> {
    match std::env::var("VERIFICATION_ROUNDS") {
        Ok(rounds) => Ok(rounds.parse()?),
        Err(_absent) => Ok(of_the_gate),
    }
}

/// Documents are tampered with at random moments, beside writes of the source: before, during and after the
/// verification of their range. Each is found, and nothing else.
#[tokio::test]
async fn f100_each_tampered_document_is_found_and_no_other() -> Result<()> {
    let rounds = rounds(40)?;
    let mut rig = Rig::with(support::rig::Options {
        host_environment: vec![(
            "TIDEGATE_VERIFICATION_PAUSE_SECONDS".to_owned(),
            "0".to_owned(),
        )],
        ..support::rig::Options::default()
    })
    .await?;
    rig.allow_log("a document differs");
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..20_000)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    rig.host.start(verified()).await?;
    rig.host.wait_can_commit().await?;
    // The workload leaves the upper half alone: a later event may mend a tampered document.
    let writer = write(source, 10_000, &stop);
    let mut random = StdRng::seed_from_u64(41);
    for round in 0..rounds {
        let id = 10_000 + 50 * round + random.random_range(0..50);
        let kind = random.random_range(0..5);
        if round % 4 == 0 {
            post(&rig, "restart").await?;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        let (kind, path) = tamper(&destination, kind, id).await?;
        wait_for_mismatches(&rig, 1)
            .await
            .with_context(|| format!("round {round}: {kind} {id}"))?;
        let open = listed(&rig, "open").await?;
        ensure!(open.len() == 1, "round {round}: {open:?}");
        let wanted = if kind == "extra" { -1 - id } else { id };
        ensure!(
            open[0]["kind"] == kind
                && open[0].get("path") == path.map(|it| json!(it)).as_ref()
                && open[0]["_id"] == json!({ "$numberInt": wanted.to_string() }),
            "round {round}: {kind} {wanted}: {open:?}"
        );
        post(&rig, "repair").await?;
        wait_for_mismatches(&rig, 0).await?;
    }
    stop.store(true, SeqCst);
    let written = writer.await??;
    ensure!(written > 100, "{written} writes only");
    let repaired = listed(&rig, "repaired").await?.len();
    ensure!(repaired == usize::try_from(rounds)?, "{repaired} repaired");
    rig.finish().await?;
    Ok(())
}

/// Without tampering nothing is found, whatever the source writes.
#[tokio::test]
async fn f101_no_false_alarm_beside_writes() -> Result<()> {
    let rig = Rig::start().await?;
    let source = rig.source_db("app");
    insert(&source, "c", documents(0..20_000)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = [
        write(source.clone(), 20_000, &stop),
        write(source.clone(), 500, &stop),
    ];
    rig.host.start(verified()).await?;
    rig.host.wait_can_commit().await?;
    for _ in 0..rounds(5)? {
        post(&rig, "restart").await?;
        wait_verified(&rig).await?;
        wait_verified_to_now(&rig).await?;
    }
    stop.store(true, SeqCst);
    for writer in writers {
        writer.await??;
    }
    wait_in_step(&rig).await?;
    ensure!(listed(&rig, "open").await?.is_empty());
    rig.finish().await?;
    Ok(())
}

/// Documents are compared as the filter and the plugins leave them: nothing differs by itself, and what is written past
/// them is found, documents that the filter leaves out included.
#[tokio::test]
async fn f102_transformed_documents_are_verified() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a document differs");
    let filter = json!({ "field": "n", "matchValues": [0] });
    let mask = json!({ "rules": [{ "path": "name", "action": "drop" }] });
    rig.expect(
        Chain::of(|_, _| true)
            .then::<DocumentFilter>(&filter)?
            .then::<FieldMask>(&mask)?,
    );
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    let person =
        |n: i32| doc! { "_id": n, "n": n % 2, "name": "Grace", "in": { "list": [n, "text"] } };
    insert(&source, "c", (0..4_000).map(person).collect()).await?;
    let plugins = json!([{ "component": "field-mask", "config": mask }]);
    let options = json!({ "documentFilter": filter, "plugins": plugins, "verification": true });
    rig.host.start(options).await?;
    wait_verified(&rig).await?;
    for id in [10, 11] {
        update(&source, "c", id, doc! { "$set": { "n": 0, "more": id } }).await?;
    }
    wait_verified_to_now(&rig).await?;
    // The document of the source passes the filter no more, is not masked, and differs.
    insert(&destination, "c", vec![doc! { "_id": 13, "n": 1 }]).await?;
    update(&destination, "c", 20, doc! { "$set": { "name": "Grace" } }).await?;
    update(&destination, "c", 22, doc! { "$set": { "in.list.0": 7 } }).await?;
    wait_for_mismatches(&rig, 3).await?;
    let open = listed(&rig, "open").await?;
    for (id, kind, path) in [
        ("13", "extra", None),
        ("20", "differs", Some("name")),
        ("22", "differs", Some("in.list.0")),
    ] {
        let is_it = |one: &&Value| {
            one["_id"]["$numberInt"] == id
                && one["kind"] == kind
                && one.get("path") == path.map(|it| json!(it)).as_ref()
        };
        ensure!(open.iter().any(|one| is_it(&one)), "no {id} in {open:?}");
    }
    post(&rig, "repair").await?;
    wait_for_mismatches(&rig, 0).await?;
    rig.finish().await?;
    Ok(())
}

/// A user who may not read the destination's oplog: what others have written there is found before COMMITTED all the
/// same, and `deferredFeatures` names the privilege.
#[tokio::test]
async fn f103_without_the_oplog_commit_verifies_everything_again() -> Result<()> {
    let mut rig = Rig::with(support::rig::Options::secure()).await?;
    rig.allow_log("a document differs");
    rig.allow_log("VerificationFailed");
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    rig.host.restart().await?;
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..3_000)).await?;
    rig.host.start(verified()).await?;
    let verified = wait_verified(&rig).await?;
    ensure!(
        verified["featureSet"]["deferredFeatures"]
            .to_string()
            .contains("oplog.rs"),
        "{verified:#}"
    );
    ensure!(
        verified["verification"]["writtenByOthers"].is_null(),
        "{verified:#}"
    );
    tamper(&destination, 0, 17).await?;
    tamper(&destination, 1, 18).await?;
    tamper(&destination, 4, 19).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    wait_undone(&rig).await?;
    delete(&destination, "c", -20).await?;
    insert(&destination, "c", documents(18..19)).await?;
    update(
        &destination,
        "c",
        17,
        doc! { "$set": { "in.list.1": "text" } },
    )
    .await?;
    rig.finish().await?;
    Ok(())
}

/// Hosts that hand over and die beside writes lose no key: a document that differs at the end is found.
#[tokio::test]
async fn f104_takeovers_beside_writes_forget_nothing() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.allow_log("a document differs");
    let (source, destination) = (rig.source_db("app"), rig.destination_db("app"));
    insert(&source, "c", documents(0..10_000)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    rig.host.start(verified()).await?;
    wait_verified(&rig).await?;
    let writer = write(source.clone(), 5_000, &stop);
    for round in 0..6 {
        tamper(&destination, 0, 6_000 + round).await?;
        if round % 2 == 0 {
            rig.host.kill()?;
        } else {
            rig.host.terminate().await?;
        }
        rig.host.restart().await?;
        rig.host.wait_for_state("RUNNING").await?;
        wait_for_mismatches(&rig, u64::try_from(round + 1)?).await?;
    }
    stop.store(true, SeqCst);
    writer.await??;
    post(&rig, "repair").await?;
    wait_for_mismatches(&rig, 0).await?;
    rig.finish().await?;
    Ok(())
}
