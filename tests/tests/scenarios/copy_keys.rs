//! Documents that are written while their partitions are copied: unseen, in work, done.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Decimal128, Document, bson, doc};
use mongodb::Database;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use support::{
    Rig, host::DEADLINE, host::text, proxy::Then, replica_set, rig::Options, wait::Look, wait_until,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    copy_states::{Gate, Partitions, copy_reads, one_worker, wait_in_step_beside},
    ids::one_of_each,
    steps::{
        delete, find, insert, metadata, position, rig_with_death, run, source_time, start_and_die,
        update, wait_in_step,
    },
};

/// A copy of 50 partitions takes some seconds.
const SLOW_READ: Duration = Duration::from_millis(60);

fn filler() -> String {
    "x".repeat(300)
}

fn slow_reads(rig: &Rig) -> Result<()> {
    let source = &rig.proxies()?.source;
    source.on(copy_reads(|_| true)).before(async |_| {
        // A slow server, not a wait for a condition.
        tokio::time::sleep(SLOW_READ).await;
        Then::GoOn
    });
    Ok(())
}

/// Documents whose `_id`s are equal to the server.
type Forms = Vec<Bson>;

/// Changes documents of a collection until it is stopped.
struct Changes {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<u64>>,
}

impl Changes {
    fn start(
        database: Database,
        collection: &'static str,
        documents: Vec<Forms>,
        seed: u64,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut changes = 0;
            while !*stopped.borrow() {
                let forms = documents.choose(&mut rng).context("no documents")?;
                change(&database, collection, forms, &mut rng).await?;
                changes += 1;
            }
            Ok(changes)
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<u64> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

/// One change of a document, under any form of its `_id`.
async fn change(
    database: &Database,
    collection: &str,
    forms: &[Bson],
    rng: &mut StdRng,
) -> Result<()> {
    let [id, other] = [0, 1].map(|_| forms.choose(rng).cloned().unwrap_or(Bson::Null));
    let by_id = doc! { "_id": { "$eq": &id } };
    let mark = rng.random_range(0..1_000_000);
    let documents = database.collection::<Document>(collection);
    match rng.random_range(0..10) {
        0..5 => {
            let update = doc! { "$set": { "mark": mark }, "$push": { "list": { "$each": [mark], "$slice": -5 } } };
            documents.update_one(by_id, update).await?;
        }
        5 => {
            documents
                .replace_one(by_id, doc! { "replaced": mark })
                .await?;
        }
        6 => {
            documents.delete_one(by_id).await?;
        }
        7 => {
            // Deleted under one form, and inserted under another at the same cluster time.
            let mut session = database.client().start_session().await?;
            session.start_transaction().await?;
            documents.delete_one(by_id).session(&mut session).await?;
            let inserted = documents
                .insert_one(doc! { "_id": other, "moved": mark })
                .session(&mut session);
            inserted.await?;
            session.commit_transaction().await?;
        }
        _ => {
            let inserted =
                documents.insert_one(doc! { "_id": id, "inserted": mark, "filler": filler() });
            match inserted.await {
                Err(error) if !error.to_string().contains("E11000") => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Waits until the copy has come further, and kills the host.
async fn kill_in_the_copy(rig: &mut Rig) -> Result<()> {
    let done = || async {
        let partitions = metadata(rig, "copyPartitions").await?;
        let done = partitions
            .iter()
            .filter(|it| it.get_bool("done").unwrap_or(false));
        anyhow::Ok(done.count())
    };
    let before = done().await?;
    wait_until("the copy goes on", DEADLINE, async || {
        let now = done().await?;
        Ok(if now > before {
            Look::Done(())
        } else {
            Look::NotYet(format!("{now} partitions"))
        })
    })
    .await?;
    rig.host.kill()?;
    rig.host.restart().await
}

/// Copies `app.c` while it is changed, with kills in the copy; both sides are equal at the end.
async fn copied_under_changes(mut rig: Rig, documents: Vec<Forms>, seed: u64) -> Result<()> {
    slow_reads(&rig)?;
    rig.host.start(json!({})).await?;
    let changes = Changes::start(rig.source_db("app"), "c", documents, seed);
    for _ in 0..2 {
        kill_in_the_copy(&mut rig).await?;
    }
    let partitions = metadata(&rig, "copyPartitions").await?.len();
    ensure!(partitions >= 8, "{partitions} partitions prove nothing");
    rig.host.wait_can_commit().await?;
    let changes = changes.stop().await?;
    eprintln!("{changes} changes, {partitions} partitions");
    ensure!(changes > 100, "{changes} changes");
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Inserts the first form of each document.
async fn load(rig: &Rig, documents: &[Forms]) -> Result<()> {
    for documents in documents.chunks(500) {
        let documents = documents.iter().filter_map(|forms| forms.first());
        let documents = documents.map(|id| doc! { "_id": id, "list": [0], "filler": filler() });
        insert(&rig.source_db("app"), "c", documents.collect()).await?;
    }
    Ok(())
}

/// Strings that differ in case or accents are one `_id`, and in an order that the source alone knows. The server's
/// refusals of a second form quote keys that are no text.
#[tokio::test]
async fn s19_ids_under_a_collation_are_changed_while_they_are_copied() -> Result<()> {
    let rig = Rig::with(one_worker()).await?;
    let collation = doc! { "locale": "en", "strength": 1, "numericOrdering": true };
    run(
        &rig.source_db("app"),
        doc! { "create": "c", "collation": collation },
    )
    .await?;
    let documents: Vec<Forms> = (0..800)
        .map(|n| {
            let name = format!("{} né {n}", ["b", "A", "ch", "日"][n % 4]);
            let forms = [name.clone(), name.to_uppercase(), name.replace('é', "e")];
            match n % 5 {
                4 => forms.map(|form| bson!({ "k": form, "n": 1 })).to_vec(),
                _ => forms.map(Bson::from).to_vec(),
            }
        })
        .collect();
    load(&rig, &documents).await?;
    copied_under_changes(rig, documents, 19).await
}

/// Numbers that are equal are one `_id`, whatever their types; documents and all other types are between them.
#[tokio::test]
async fn s17_ids_of_all_types_are_changed_while_they_are_copied() -> Result<()> {
    let rig = Rig::with(one_worker()).await?;
    let decimal = |text: String| text.parse::<Decimal128>().map(Bson::Decimal128);
    let mut documents: Vec<Forms> = Vec::new();
    for n in 100..500_i32 {
        let equal = [
            Bson::Int32(n),
            Bson::Int64(n.into()),
            Bson::Double(n.into()),
            decimal(format!("{n}.0"))?,
        ];
        documents.push(
            equal
                .clone()
                .map(|number| bson!({ "k": [number] }))
                .to_vec(),
        );
        documents.push(equal.to_vec());
        documents.push(vec![
            Bson::Double(f64::from(n) + 0.5),
            decimal(format!("{n}.50"))?,
        ]);
        documents.push(vec![decimal(format!("{n}.1"))?]);
        documents.push(vec![bson!(format!("text {n}"))]);
    }
    documents.extend(one_of_each().into_iter().map(|id| vec![id]));
    load(&rig, &documents).await?;
    copied_under_changes(rig, documents, 17).await
}

/// The last partition takes every insert of growing `_id`s: what is inserted after its copy has begun is above its
/// split, and not parked.
#[tokio::test]
async fn f76_growing_ids_are_inserted_while_they_are_copied() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    let documents: Vec<Forms> = (0..1_200).map(|n| vec![Bson::Int32(n)]).collect();
    load(&rig, &documents).await?;
    slow_reads(&rig)?;
    rig.host.start(json!({})).await?;
    let source = rig.source_db("app");
    let (stop, stopped) = watch::channel(false);
    let growth = tokio::spawn(async move {
        let mut next = 1_200;
        while !*stopped.borrow() {
            insert(
                &source,
                "c",
                vec![doc! { "_id": next, "list": [0], "filler": filler() }],
            )
            .await?;
            for id in [next, next - 3] {
                update(&source, "c", id, doc! { "$push": { "list": next } }).await?;
            }
            delete(&source, "c", next - 40).await?;
            next += 1;
        }
        anyhow::Ok(next)
    });
    let split = wait_until("documents above the split arrive", DEADLINE, async || {
        let found = find(&rig.destination_db("app"), "c", 1_210).await?;
        let progress = rig.host.progress().await?;
        Ok(match found {
            Some(_) => Look::Done(text(&progress, "info").to_owned()),
            None => Look::NotYet(progress.to_string()),
        })
    });
    let split = split.await?;
    ensure!(
        split == "collection copy",
        "growing _ids arrive only in {split:?}"
    );
    kill_in_the_copy(&mut rig).await?;
    rig.host.wait_can_commit().await?;
    stop.send_replace(true);
    let next = growth.await??;
    wait_in_step(&rig).await?;
    let compared = rig.finish().await?;
    ensure!(compared.documents == 1_200, "{compared:?} after {next}");
    Ok(())
}

/// A capped collection is one partition, in natural order: its events wait, others are applied.
#[tokio::test]
async fn s_capped_collection_is_filled_while_it_is_copied() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    let source = rig.source_db("app");
    let documents: Vec<Forms> = (0..600).map(|n| vec![Bson::Int32(n)]).collect();
    load(&rig, &documents).await?;
    run(
        &source,
        doc! { "create": "log", "capped": true, "size": 1 << 20 },
    )
    .await?;
    let entry = |n: i32| doc! { "_id": (n * 7919) % 100_003, "n": n, "filler": filler() };
    insert(&source, "log", (0..2_500).map(entry).collect()).await?;
    slow_reads(&rig)?;
    rig.host.start(json!({})).await?;
    let changes = Changes::start(source.clone(), "c", documents, 1);
    let (stop, stopped) = watch::channel(false);
    let appended = tokio::spawn(async move {
        let mut next = 2_500;
        while !*stopped.borrow() {
            insert(&source, "log", vec![entry(next), entry(next + 1)]).await?;
            // A change keeps the size, which is all that the server allows.
            update(
                &source,
                "log",
                entry(next - 1).get("_id").cloned(),
                doc! { "$set": { "n": -next } },
            )
            .await?;
            next += 2;
        }
        anyhow::Ok(next - 2_500)
    });
    kill_in_the_copy(&mut rig).await?;
    kill_in_the_copy(&mut rig).await?;
    rig.host.wait_can_commit().await?;
    stop.send_replace(true);
    let (appended, changes) = (appended.await??, changes.stop().await?);
    eprintln!("{appended} entries, {changes} changes");
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// The persisted progress of a copy names a document; that document, its neighbours and bounds go.
#[tokio::test]
async fn s22_the_document_that_a_copy_goes_on_from_is_deleted() -> Result<()> {
    let mut options = one_worker();
    options.proxied = false;
    let mut rig = rig_with_death(options, "copy_batch_inserted:20").await?;
    let source = rig.source_db("app");
    let mut rng = StdRng::seed_from_u64(22);
    let documents: Vec<Forms> = (0..1_500)
        .map(|_| vec![Bson::Int64(rng.random())])
        .collect();
    load(&rig, &documents).await?;
    start_and_die(&mut rig, json!({})).await?;
    let partitions = metadata(&rig, "copyPartitions").await?;
    ensure!(partitions.len() >= 8, "{} partitions", partitions.len());
    let of_source = source.collection::<Document>("c");
    let mut deleted = 0;
    for partition in &partitions {
        for field in ["lastId", "lower"] {
            let Ok(document) = partition.get_document(field) else {
                continue;
            };
            let id = document.get("_id").cloned().context("_id")?;
            for place in ["$lte", "$gte"] {
                let near = doc! { "_id": { place: &id } };
                let order = doc! { "_id": if place == "$lte" { -1 } else { 1 } };
                let found = of_source.find_one_and_delete(near).sort(order);
                deleted += usize::from(found.await?.is_some());
            }
        }
    }
    ensure!(deleted > partitions.len(), "{deleted} deleted");
    rig.host.restart().await?;
    let compared = rig.finish().await?;
    ensure!(
        compared.documents == (documents.len() - deleted) as u64,
        "{compared:?}"
    );
    Ok(())
}

/// Each change is made once, in each state of its partition, and nothing touches the document again.
#[tokio::test]
async fn s23_changes_in_each_state_of_a_partition_are_applied_once() -> Result<()> {
    const DOCUMENTS: i32 = 1_200;
    let mut rig = Rig::with(one_worker()).await?;
    let documents: Vec<Forms> = (0..DOCUMENTS).map(|n| vec![Bson::Int32(n)]).collect();
    load(&rig, &documents).await?;
    let gate = Gate::at_inserts(&rig, "app.c")?;
    rig.host.start(json!({})).await?;
    gate.reached().await?;
    let states = Partitions::of(&rig, "app.c").await?;
    ensure!(states.in_work > 0 && states.unseen > 0, "{states:?}");
    // Every third document, in partitions that are in work and unseen.
    change_each(&rig, 0).await?;
    wait_in_step_beside(&rig).await?;
    let parked = metadata(&rig, "parkedKeys").await?.len();
    ensure!(
        parked > 0 && parked < DOCUMENTS as usize / 3,
        "{parked} keys are parked"
    );
    // The next host finds the parked keys.
    rig.host.kill()?;
    gate.open();
    slow_reads(&rig)?;
    rig.host.restart().await?;
    wait_until("partitions are done", DEADLINE, async || {
        let states = Partitions::of(&rig, "app.c").await?;
        ensure!(!states.are_done(), "the copy is over: {states:?}");
        Ok(match states.done {
            0 => Look::NotYet(format!("{states:?}")),
            _ => Look::Done(()),
        })
    })
    .await?;
    change_each(&rig, 1).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    ensure!(
        metadata(&rig, "parkedKeys").await?.is_empty(),
        "keys are left"
    );
    for n in 0..DOCUMENTS {
        let found = find(&rig.destination_db("app"), "c", n)
            .await?
            .context("a document is missing")?;
        let expected = if n % 3 == 2 { 1 } else { 2 };
        let length = found.get_array("list")?.len();
        ensure!(length == expected, "{n} has {length} entries");
    }
    rig.finish().await?;
    Ok(())
}

/// Changes each third document once.
async fn change_each(rig: &Rig, from: i32) -> Result<()> {
    for id in (from..1_200).step_by(3) {
        update(
            &rig.source_db("app"),
            "c",
            id,
            doc! { "$push": { "list": id } },
        )
        .await?;
    }
    Ok(())
}

/// A value of `/metrics`.
async fn metric(rig: &Rig, name: &str) -> Result<Option<f64>> {
    let scraped = rig.host.call("GET", "/metrics", "").await?;
    let text = scraped
        .body
        .as_str()
        .map_or_else(|| scraped.body.to_string(), str::to_owned);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| Ok(value.trim().parse()?)).transpose()
}

/// Hours for which the source keeps its oplog, more than the oplog's size could: the window is this number.
const RETENTION_HOURS: u32 = 1_000_000;

/// Ensures that the shown time is the retention without the distance of the safe position. Returns the distance.
async fn oplog_time_is_true(rig: &Rig) -> Result<u32> {
    let newest = || async {
        anyhow::Ok(
            rig.source
                .admin(doc! { "ping": 1 })
                .await?
                .get_timestamp("operationTime")?
                .time,
        )
    };
    let progress = rig.host.progress().await?;
    let shown = metric(rig, "tidegate_oplog_remaining_seconds")
        .await?
        .with_context(|| format!("no oplog time: {progress}"))?;
    let newest = newest().await?;
    let safe = position(&progress, "safe").map(|safe| safe.time);
    let distance = safe.map_or(0, |safe| newest.saturating_sub(safe));
    let told = f64::from(RETENTION_HOURS) * 3600.0 - shown;
    // A second for what happened between the readings, and one for the monitor's last look.
    if safe.is_some() {
        ensure!(
            (told - f64::from(distance)).abs() <= 3.0,
            "{told} s are told of {distance} s: {progress}"
        );
    }
    Ok(distance)
}

/// The copy takes its time; the position does not wait for it. The time that is left is told in every phase.
#[tokio::test]
async fn f77_the_safe_position_moves_while_collections_are_copied() -> Result<()> {
    let mut rig = Rig::with(Options {
        source: replica_set::Options::with_fail_points()
            .argument("--oplogMinRetentionHours")
            .argument(RETENTION_HOURS.to_string()),
        ..one_worker()
    })
    .await?;
    let documents: Vec<Forms> = (0..2_000).map(|n| vec![Bson::Int32(n)]).collect();
    load(&rig, &documents).await?;
    slow_reads(&rig)?;
    rig.host.start(json!({})).await?;
    let changes = Changes::start(rig.source_db("app"), "c", documents, 77);
    let (mut looks, mut farthest) = (0, 0);
    loop {
        let progress = rig.host.progress().await?;
        match text(&progress, "info") {
            "collection copy" => {
                let time = source_time(&rig).await?.time;
                if let Some(safe) = position(&progress, "safe") {
                    farthest = farthest.max(time.saturating_sub(safe.time));
                    looks += 1;
                    oplog_time_is_true(&rig).await?;
                }
            }
            "change event application" => break,
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("{looks} looks in the copy, at most {farthest} s behind");
    ensure!(looks >= 10, "the copy was over after {looks} looks");
    ensure!(farthest <= 10, "the safe position was {farthest} s behind");
    rig.host.wait_can_commit().await?;
    changes.stop().await?;
    wait_in_step(&rig).await?;
    oplog_time_is_true(&rig).await?;
    // Paused, the position stays and the oplog goes on, also for the next host.
    rig.host.pause().await?;
    wait_until("the oplog goes on", DEADLINE, async || {
        source_time(&rig).await?;
        let distance = oplog_time_is_true(&rig).await?;
        Ok(if distance > 8 {
            Look::Done(())
        } else {
            Look::NotYet(format!("{distance} s"))
        })
    })
    .await?;
    rig.host.kill()?;
    rig.host.restart().await?;
    let known = |progress: &serde_json::Value| progress["estimatedOplogTimeRemaining"].is_string();
    rig.host
        .wait_until("an oplog time", DEADLINE, known)
        .await?;
    ensure!(oplog_time_is_true(&rig).await? > 8, "the distance is lost");
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}

/// While the copy stands still, the position moves on an idle source, and past events of other namespaces.
#[tokio::test]
async fn s57_the_position_moves_on_idle_and_filtered_sources_beside_a_copy() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    rig.set_scope(|database, _| database == "app");
    let documents: Vec<Forms> = (0..200).map(|n| vec![Bson::Int32(n)]).collect();
    load(&rig, &documents).await?;
    let other = rig.source_db("other");
    insert(&other, "c", vec![doc! { "_id": 1 }]).await?;
    let gate = Gate::at_inserts(&rig, "app.c")?;
    rig.host
        .start(json!({ "includeNamespaces": [{ "database": "app" }] }))
        .await?;
    gate.reached().await?;
    let begun = wait_in_step_beside(&rig).await?;
    source_time(&rig).await?;
    let idle = wait_in_step_beside(&rig).await?;
    ensure!(
        position(&idle, "safe") > position(&begun, "safe"),
        "idle: {idle}"
    );
    insert(&other, "c", (2..2_000).map(|n| doc! { "_id": n }).collect()).await?;
    run(&other, doc! { "create": "more" }).await?;
    let filtered = wait_in_step_beside(&rig).await?;
    ensure!(
        position(&filtered, "safe") > position(&idle, "safe"),
        "filtered: {filtered}"
    );
    gate.open();
    rig.finish().await?;
    Ok(())
}
