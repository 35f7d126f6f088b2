//! DDL of every kind while collections are copied, on collections in each state: unseen, in work, done, and done
//! with their indexes being built. With `TIDEGATE_BIN` they run on another host.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use futures::future::BoxFuture;
use mongodb::Client;
use serde_json::Value;
use support::{
    Rig,
    host::{DEADLINE, can_commit},
    proxy::{Pattern, Then, commands},
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    copy_ddl::{Ddl, documents, in_scope, scope},
    copy_states::{
        Gate, Partitions, builds, copy_inserts, hold_builds, one_worker, wait_for_build,
        wait_in_step_beside, with_load_level,
    },
    steps::{self, insert, run, update, wait_in_step},
};

/// Documents of a collection that has several partitions.
const MANY: i32 = 80;
/// Documents of a collection that is copied after the larger ones.
const FEW: i32 = 20;
/// A collection between both, whose copy is held.
const HELD: &str = "held";

async fn rig(options: Options) -> Result<Rig> {
    let mut rig = Rig::with(options).await?;
    rig.set_scope(in_scope);
    Ok(rig)
}

/// Events of all kinds pass while the copy stands still; the position passes them, too.
#[tokio::test]
async fn f80_ddl_on_collections_that_are_unseen_or_done() -> Result<()> {
    let rig = rig(one_worker()).await?;
    let client = rig.source.client();
    let app = rig.source_db("app");
    for kind in Ddl::ALL {
        kind.prepare(client, "done", MANY).await?;
        kind.prepare(client, "unseen", FEW).await?;
    }
    insert(&app, HELD, documents((MANY + FEW) / 2)).await?;
    let gate = Gate::at_inserts(&rig, "app.held")?;
    rig.host.start(scope()).await?;
    gate.reached().await?;
    for kind in [Ddl::Drop, Ddl::Rename, Ddl::Modify] {
        // Finished partitions are persisted once a second.
        wait_until("finished partitions", DEADLINE, async || {
            let done = Partitions::of(&rig, &kind.namespace("done")).await?;
            Ok(match done.are_done() && done.done > 1 {
                true => Look::Done(()),
                false => Look::NotYet(format!("{kind:?}: {done:?}")),
            })
        })
        .await?;
        let unseen = Partitions::of(&rig, &kind.namespace("unseen")).await?;
        ensure!(unseen.are_unseen(), "{kind:?}: {unseen:?}");
    }
    for kind in Ddl::ALL {
        kind.act(client, "done").await?;
        kind.act(client, "unseen").await?;
    }
    update(&app, HELD, 3, doc! { "$inc": { "n": 1000 } }).await?;
    wait_in_step_beside(&rig).await?;
    let copied = rig.destination_db("app").list_collection_names().await?;
    for kind in [Ddl::Drop, Ddl::LeaveScope] {
        let dropped = kind.collection("done");
        let is_there = copied.contains(&dropped);
        ensure!(is_there == (kind == Ddl::LeaveScope), "{dropped}");
    }
    gate.open();
    rig.finish().await.map(drop)
}

/// The first insert of each collection waits until the source has changed that collection.
#[tokio::test]
async fn f80_ddl_on_collections_in_work() -> Result<()> {
    let rig = rig(with_load_level(2)).await?;
    let acts = Acts::new(&rig)?;
    for kind in Ddl::ALL {
        kind.prepare(rig.source.client(), "work", MANY).await?;
        let namespace = kind.namespace("work");
        acts.add(
            copy_inserts(move |of| of == namespace).first(),
            kind,
            "work",
        );
    }
    rig.host.start(scope()).await?;
    in_step(&rig).await?;
    acts.check(Ddl::ALL.len())?;
    rig.finish().await.map(drop)
}

/// Partitions of several batches: the workers leave in the middle of a partition.
#[tokio::test]
async fn f80_ddl_within_a_partition() -> Result<()> {
    const LARGE: usize = 900_000;
    let kinds = [
        Ddl::Drop,
        Ddl::CreateAgain,
        Ddl::Rename,
        Ddl::RenameOnto,
        Ddl::Modify,
        Ddl::ConvertToCapped,
    ];
    let mut options = with_load_level(2);
    options.host_environment.clear();
    let rig = rig(options).await?;
    let acts = Acts::new(&rig)?;
    for kind in kinds {
        kind.prepare(rig.source.client(), "batch", FEW).await?;
        let large = (0..5).map(|n| doc! { "_id": format!("large {n}"), "n": 500 + n, "m": 500 + n, "x": "x".repeat(LARGE) });
        let collection = kind.collection("batch");
        insert(&rig.source_db("app"), &collection, large.collect()).await?;
        let namespace = kind.namespace("batch");
        acts.add(
            copy_inserts(move |of| of == namespace).nth(2),
            kind,
            "batch",
        );
    }
    rig.host.start(scope()).await?;
    in_step(&rig).await?;
    acts.check(kinds.len())?;
    rig.finish().await.map(drop)
}

/// The command that builds the indexes of a collection waits until the source has changed that collection.
#[tokio::test]
async fn f80_ddl_on_collections_whose_indexes_are_begun() -> Result<()> {
    let rig = rig(with_load_level(2)).await?;
    let acts = Acts::new(&rig)?;
    for kind in Ddl::ALL {
        kind.prepare(rig.source.client(), "begun", FEW).await?;
        let builds = commands("createIndexes").of(kind.namespace("begun"));
        acts.add(builds.first(), kind, "begun");
    }
    rig.host.start(scope()).await?;
    in_step(&rig).await?;
    acts.check(Ddl::ALL.len())?;
    rig.finish().await.map(drop)
}

/// Waits until the initial copy is done and everything is applied.
async fn in_step(rig: &Rig) -> Result<()> {
    rig.host.wait_can_commit().await?;
    wait_in_step(rig).await?;
    Ok(())
}

/// DDL that commands for the destination wait for.
struct Acts<'a> {
    rig: &'a Rig,
    /// Reads of the change stream so far.
    reads: Arc<AtomicUsize>,
    done: Arc<Mutex<Vec<Result<()>>>>,
}

impl<'a> Acts<'a> {
    fn new(rig: &'a Rig) -> Result<Self> {
        let reads = Arc::<AtomicUsize>::default();
        let count = reads.clone();
        let of_stream = commands("getMore").when(|command| command.collection.starts_with("$cmd"));
        rig.proxies()?.source.on(of_stream).before(move |_| {
            count.fetch_add(1, Relaxed);
            std::future::ready(Then::GoOn)
        });
        let done = Arc::default();
        Ok(Self { rig, reads, done })
    }

    /// Changes the collections of `kind` before the destination gets this command. The command goes on when the
    /// host has read the changes.
    fn add(&self, command: Pattern, kind: Ddl, prefix: &'static str) {
        let (client, done) = (self.rig.source.client().clone(), self.done.clone());
        let reads = self.reads.clone();
        let act = move |_| {
            let acted = act_and_be_read(client.clone(), kind, prefix, reads.clone());
            let done = done.clone();
            async move {
                let acted = acted.await;
                done.lock().expect("a lock").push(acted);
                Then::GoOn
            }
        };
        let proxies = self.rig.proxies().expect("a rig with proxies");
        proxies.destination.on(command).before(act);
    }

    fn check(self, count: usize) -> Result<()> {
        let done = std::mem::take(&mut *self.done.lock().expect("a lock"));
        ensure!(
            done.len() == count,
            "{} of {count} commands have come",
            done.len()
        );
        done.into_iter().collect()
    }
}

/// Changes collections, and waits until the host asks for more after it has read an event. A host that waits for
/// the copy asks for none: it has read the event, too.
fn act_and_be_read(
    client: Client,
    kind: Ddl,
    prefix: &'static str,
    reads: Arc<AtomicUsize>,
) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        kind.act(&client, prefix).await?;
        be_read(&reads).await;
        Ok(())
    })
}

async fn be_read(reads: &AtomicUsize) {
    const LONGEST: Duration = Duration::from_millis(300);
    let (begun, before) = (Instant::now(), reads.load(Relaxed));
    while reads.load(Relaxed) <= before + 1 && begun.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A name goes from a collection in one state to a collection in another.
#[tokio::test]
async fn f80_names_change_between_states() -> Result<()> {
    let rig = rig(one_worker()).await?;
    let app = rig.source_db("app");
    for (name, count) in [("done", MANY), ("held", MANY / 2), ("unseen", FEW)] {
        let of_name = documents(count).into_iter().map(|mut document| {
            document.insert("was", name);
            document
        });
        insert(&app, name, of_name.collect()).await?;
    }
    let gate = Gate::at_inserts(&rig, "app.held")?;
    rig.host.start(scope()).await?;
    gate.reached().await?;
    let rename = async |from: &str, to: &str| {
        let rename = doc! { "renameCollection": format!("app.{from}"), "to": format!("app.{to}") };
        rig.source.admin(rename).await.map(drop)
    };
    // Around in a ring, twice, with a write under each name.
    for turn in 0..2 {
        rename("done", "between").await?;
        rename("unseen", "done").await?;
        rename("held", "unseen").await?;
        rename("between", "held").await?;
        for name in ["done", "held", "unseen"] {
            update(&app, name, turn, doc! { "$set": { "now": name } }).await?;
            insert(&app, name, vec![doc! { "_id": format!("{turn} {name}") }]).await?;
        }
    }
    gate.open();
    in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Builds stand still on the destination; DDL passes them, and the indexes are there in the end.
#[tokio::test]
async fn f80_ddl_while_indexes_are_built() -> Result<()> {
    let rig = rig(with_load_level(2)).await?;
    let client = rig.source.client();
    // The largest are copied first, and their indexes are built first.
    let first = [Ddl::Rename, Ddl::Modify];
    // Capped collections are copied before the largest.
    let kinds = Ddl::ALL.into_iter().filter(|kind| *kind != Ddl::Resize);
    let kinds: Vec<Ddl> = kinds.collect();
    for kind in &kinds {
        let count = if first.contains(kind) { MANY } else { FEW };
        kind.prepare(client, "index", count).await?;
    }
    hold_builds(&rig, true).await?;
    rig.host.start(scope()).await?;
    wait_until(
        "all are copied, and indexes are built",
        DEADLINE,
        async || {
            let progress = rig.host.progress().await?;
            let under_way = builds(&rig).await?;
            let mut copied = 0;
            // On a busy machine a small collection may be copied before one of the largest.
            if under_way.len() == first.len() {
                for kind in &kinds {
                    let partitions = Partitions::of(&rig, &kind.namespace("index")).await?;
                    copied += usize::from(partitions.are_done());
                }
            }
            ensure!(!can_commit(&progress), "no index is built: {progress:#}");
            Ok(match copied == kinds.len() {
                true => Look::Done(()),
                false => Look::NotYet(format!("{copied} are copied; builds of {under_way:?}")),
            })
        },
    )
    .await?;
    for kind in &kinds {
        kind.act(client, "index").await?;
    }
    wait_in_step_beside(&rig).await?;
    hold_builds(&rig, false).await?;
    in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// An index changes while it is built, and while it waits for its build.
#[tokio::test]
async fn f80_an_index_changes_while_it_is_built() -> Result<()> {
    let mut rig = rig(with_load_level(2)).await?;
    // The server goes on with the build of the earlier index of this name: the other waits for commit.
    rig.allow_log("index not built; commit tries again");
    let app = rig.source_db("app");
    // The largest are copied first, and their indexes are built first.
    let names = ["built_1", "built_2", "waiting_1", "waiting_2"];
    let index = |key: &str| doc! { "key": { key: 1 }, "name": "index", "hidden": key == "list" };
    for (at, name) in names.into_iter().enumerate() {
        let count = if at < 2 { MANY } else { FEW };
        insert(&app, name, documents(count)).await?;
        let other = doc! { "key": { "m": 1 }, "name": "other", "unique": true };
        run(
            &app,
            doc! { "createIndexes": name, "indexes": [index("n"), other] },
        )
        .await?;
    }
    hold_builds(&rig, true).await?;
    rig.host.start(scope()).await?;
    for name in ["app.built_1", "app.built_2"] {
        wait_for_build(&rig, name).await?;
    }
    for name in names {
        run(&app, doc! { "dropIndexes": name, "index": "index" }).await?;
        if name.ends_with('2') {
            run(
                &app,
                doc! { "createIndexes": name, "indexes": [index("list")] },
            )
            .await?;
            let hidden = doc! { "name": "other", "hidden": true };
            run(&app, doc! { "collMod": name, "index": hidden }).await?;
        }
        update(&app, name, 1, doc! { "$push": { "list": 1 } }).await?;
    }
    wait_in_step_beside(&rig).await?;
    hold_builds(&rig, false).await?;
    in_step(&rig).await?;
    rig.finish().await.map(drop)
}

// ---- kill -9

/// The points of the copy beside the stream, with the passage that is killed.
const POINTS: [&str; 10] = [
    "partition_begun",
    "partition_begun:5",
    "copy_batch_inserted:4",
    "partition_done",
    "partition_done:6",
    "parked_persisted",
    "parked_looked_up",
    "position_persisted:2",
    "ddl_applied:5",
    "indexes_begun",
];

/// DDL of every kind during a copy, part of it while the host is dead.
#[tokio::test]
async fn f81_killed_at_each_point_of_a_copy_with_ddl() -> Result<()> {
    let mut rig = rig(one_worker()).await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    for (number, point) in POINTS.into_iter().enumerate() {
        rig.source.drop_all().await?;
        rig.begin_again(Some(point)).await?;
        killed_at(&mut rig, number)
            .await
            .with_context(|| format!("killed at {point}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// Each run has other kinds on collections that are done, in work and unseen when the host dies.
async fn killed_at(rig: &mut Rig, number: usize) -> Result<()> {
    let client = rig.source.client().clone();
    let app = rig.source_db("app");
    // Each kind is in every third run, with as many documents as another state needs.
    let kinds: Vec<Ddl> = Ddl::ALL.into_iter().skip(number % 3).step_by(3).collect();
    for (at, kind) in kinds.iter().enumerate() {
        let count = [MANY, MANY / 2, FEW][(at + number / 3) % 3];
        kind.prepare(&client, "k", count).await?;
    }
    insert(&app, HELD, documents(MANY / 2)).await?;
    let gate = Gate::at_inserts(rig, "app.held")?;
    // The answer may be lost with the host.
    let _ = rig.host.start(scope()).await;
    reached_or_ended(rig, &gate).await?;
    // Parked while the collection is in work.
    for n in 0..5 {
        update(
            &app,
            HELD,
            n,
            doc! { "$inc": { "n": 1000 }, "$push": { "list": n } },
        )
        .await?;
    }
    let (during, after) = kinds.split_at(kinds.len() / 2);
    for kind in during {
        kind.act(&client, "k").await?;
    }
    let safe = steps::source_time(rig).await?;
    // A host that is still there has parked the updates.
    let passed = |progress: &Value| steps::position(progress, "safe").is_some_and(|at| at >= safe);
    if !rig.host.has_ended() {
        rig.host.ends_before(DEADLINE, passed).await?;
    }
    gate.open();
    if !rig.host.has_ended() {
        rig.host.ends_before(DEADLINE, can_commit).await?;
    }
    ensure!(rig.host.has_ended(), "the point was not met");
    for kind in after {
        kind.act(&client, "k").await?;
    }
    rig.host.restart().await?;
    if rig.host.progress().await?["state"] == "IDLE" {
        rig.host.start(scope()).await?;
    }
    in_step(rig).await?;
    rig.commit().await?;
    rig.compare().await?;
    rig.proxies()?.destination.remove_rules();
    Ok(())
}

async fn reached_or_ended(rig: &mut Rig, gate: &Gate) -> Result<()> {
    let begun = Instant::now();
    while !gate.is_reached() && !rig.host.has_ended() {
        ensure!(begun.elapsed() < DEADLINE, "the copy does not come so far");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
