//! A copy beside the stream that is stopped in every state: pause, SIGTERM, handover, kill -9, step-downs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::doc;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use support::{
    Rig, Writer,
    host::{DEADLINE, number, text},
    rig::Options,
    workload::{self, Pace, dataset},
};

use crate::{
    copy_ddl::{Ddl, documents, in_scope, scope},
    copy_states::{
        Gate, PARTITION_BYTES, Partitions, hold_builds, one_worker, wait_for_build,
        wait_in_step_beside,
    },
    findings_stops::{AT_ONCE, pause_at_once, terminate_within},
    steps::{insert, run, update, wait_in_step},
};

const MANY: i32 = 80;
const FEW: i32 = 20;

#[derive(Clone, Copy, Debug)]
enum Stop {
    Pause,
    Terminate,
    HandOver,
    Kill,
}

impl Stop {
    const ALL: [Self; 4] = [Self::Pause, Self::Terminate, Self::HandOver, Self::Kill];

    async fn stop(self, rig: &mut Rig) -> Result<()> {
        match self {
            Self::Pause => pause_at_once(rig).await,
            Self::Terminate => terminate_within(rig, AT_ONCE * 2).await,
            Self::HandOver => {
                let answer = rig.host.call("POST", "/api/v1/handover", "{}").await?;
                ensure!(answer.status == 200, "handover: {}", answer.body);
                rig.host.wait_for_end().await.map(drop)
            }
            Self::Kill => rig.host.kill(),
        }
    }

    async fn go_on(self, rig: &mut Rig) -> Result<()> {
        match self {
            Self::Pause => rig.host.resume().await,
            _ => rig.host.restart().await,
        }
    }
}

/// At each stop a collection is unseen, in work, done, and in an index build; keys are parked.
#[tokio::test]
async fn f83_a_stop_takes_effect_at_once_in_every_state_of_the_copy() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    rig.set_scope(in_scope);
    for (round, stop) in Stop::ALL.into_iter().enumerate() {
        if round > 0 {
            rig.source.drop_all().await?;
            rig.begin_again(None).await?;
        }
        stopped(&mut rig, stop)
            .await
            .with_context(|| format!("{stop:?}"))?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn stopped(rig: &mut Rig, stop: Stop) -> Result<()> {
    const KINDS: [Ddl; 4] = [
        Ddl::Rename,
        Ddl::Modify,
        Ddl::ModifyIndexes,
        Ddl::ConvertToCapped,
    ];
    let (app, client) = (rig.source_db("app"), rig.source.client().clone());
    insert(&app, "built", documents(2 * MANY)).await?;
    let index = doc! { "key": { "n": 1 }, "name": "n_1" };
    run(&app, doc! { "createIndexes": "built", "indexes": [index] }).await?;
    insert(&app, "done", documents(MANY)).await?;
    insert(&app, "held", documents(MANY / 2)).await?;
    insert(&app, "later", documents(FEW)).await?;
    for kind in KINDS {
        kind.prepare(&client, "unseen", FEW).await?;
    }
    hold_builds(rig, true).await?;
    // Either before its reads or before its writes.
    let reads = matches!(stop, Stop::Terminate | Stop::Kill);
    let gate = match reads {
        true => Gate::at_reads(rig, "app.held")?,
        false => Gate::at_inserts(rig, "app.held")?,
    };
    rig.host.start(scope()).await?;
    gate.reached().await?;
    wait_for_build(rig, "app.built").await?;
    change(rig, 1).await?;
    wait_in_step_beside(rig).await?;
    ensure!(Partitions::of(rig, "app.done").await?.are_done());

    stop.stop(rig).await?;
    let proxies = rig.proxies()?;
    gate.lose(if reads {
        &proxies.source
    } else {
        &proxies.destination
    });
    let held = Partitions::of(rig, "app.held").await?;
    ensure!(reads || held.in_work > 0, "{held:?}");
    change(rig, 2).await?;
    for kind in KINDS {
        kind.act(&client, "unseen").await?;
    }
    stop.go_on(rig).await?;
    change(rig, 3).await?;
    hold_builds(rig, false).await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(rig).await?;
    rig.commit().await?;
    rig.compare().await?;
    Ok(())
}

/// Writes to a collection in each state.
async fn change(rig: &Rig, turn: i32) -> Result<()> {
    let app = rig.source_db("app");
    for name in ["built", "done", "held", "later"] {
        for id in [0, turn * 3] {
            let change = doc! { "$set": { "turn": turn }, "$push": { "list": turn } };
            update(&app, name, id, change).await?;
        }
        insert(
            &app,
            name,
            vec![doc! { "_id": format!("turn {turn}"), "n": 1000 + turn }],
        )
        .await?;
        let delete = doc! { "q": { "_id": turn * 3 + 1 }, "limit": 1 };
        run(&app, doc! { "delete": name, "deletes": [delete] }).await?;
    }
    Ok(())
}

// ---- the data set, with a load of every kind

const DOCUMENTS: u64 = 3_000;

async fn under_load(seed: u64, pace: Pace) -> Result<(Rig, Writer)> {
    let mut rig = Rig::with(Options {
        host_environment: vec![(
            "TIDEGATE_PARTITION_BYTES".to_owned(),
            PARTITION_BYTES.to_owned(),
        )],
        host_arguments: vec!["--loadLevel".to_owned(), "2".to_owned()],
        ..Options::default()
    })
    .await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, seed).await?;
    rig.host.start(dataset::filters()).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, seed, pace);
    Ok((rig, writer))
}

/// Waits until the copy has come further.
async fn wait_for_progress(rig: &Rig, copied: u64) -> Result<u64> {
    let documents =
        |progress: &serde_json::Value| number(progress, "/collectionCopy/estimatedCopiedBytes");
    let further = |progress: &serde_json::Value| {
        documents(progress) > copied || text(progress, "info") == "change event application"
    };
    let progress = rig
        .host
        .wait_until("the copy goes on", DEADLINE, further)
        .await?;
    Ok(documents(&progress))
}

async fn end(rig: Rig, writer: Writer) -> Result<()> {
    rig.host.wait_can_commit().await?;
    writer.stop().await?;
    wait_in_step(&rig).await?;
    rig.finish().await.map(drop)
}

/// Stops of every kind follow each other, and the copy ends.
#[tokio::test]
async fn f83_a_copy_that_is_stopped_again_and_again_ends() -> Result<()> {
    let (mut rig, writer) = under_load(83, Pace::default()).await?;
    let mut rng = StdRng::seed_from_u64(83);
    let mut copied = 0;
    for stop in Stop::ALL {
        copied = wait_for_progress(&rig, copied).await?;
        // A moment that is drawn, not a wait for a condition.
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
        stop.stop(&mut rig).await?;
        stop.go_on(&mut rig).await?;
    }
    end(rig, writer).await
}

/// Elections on the destination: the copy, the stream and DDL go on.
#[tokio::test]
async fn f84_step_downs_of_the_destination_in_the_copy() -> Result<()> {
    let (rig, writer) = under_load(84, Pace::default()).await?;
    let mut copied = 0;
    for _ in 0..3 {
        copied = wait_for_progress(&rig, copied).await?;
        rig.destination.step_down().await?;
    }
    end(rig, writer).await
}

/// Elections on the source, with writes between them.
#[tokio::test]
async fn f84_step_downs_of_the_source_in_the_copy() -> Result<()> {
    let pace = Pace {
        ddl_every: None,
        ..Pace::default()
    };
    let (rig, writer) = under_load(85, pace).await?;
    // A step-down ends transactions and commands that are not repeated.
    writer.stop().await?;
    let client = rig.source.client();
    let mut copied = 0;
    for (number, kind) in [Ddl::Rename, Ddl::CreateAgain, Ddl::DropIndexes]
        .into_iter()
        .enumerate()
    {
        copied = wait_for_progress(&rig, copied).await?;
        rig.source.step_down().await?;
        let prefix = format!("n{number}");
        kind.prepare(client, &prefix, FEW).await?;
        kind.act(client, &prefix).await?;
    }
    let writer = Writer::start(client, DOCUMENTS, 86, Pace::default());
    end(rig, writer).await
}

/// A panic of a copier or of an index builder is a failure with a name, and a resume does what is left.
#[tokio::test]
async fn f92_a_worker_that_panics_pauses_the_sync() -> Result<()> {
    let mut rig = Rig::with(one_worker()).await?;
    for text in ["InternalError", "panicked"] {
        rig.allow_log(text);
    }
    let environment = rig.host.arguments().environment.clone();
    for point in [
        "partition_begun",
        "copy_batch_inserted:2",
        "copy_partition_done:2",
        "indexes_begun",
    ] {
        rig.source.drop_all().await?;
        let panic_at = ("TIDEGATE_PANIC_AT".to_owned(), point.to_owned());
        rig.host.arguments_mut().environment = [&environment[..], &[panic_at]].concat();
        rig.begin_again(None).await?;
        panicked(&rig).await.with_context(|| point.to_owned())?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn panicked(rig: &Rig) -> Result<()> {
    let app = rig.source_db("app");
    insert(&app, "c", documents(MANY)).await?;
    let index = doc! { "key": { "n": 1 }, "name": "n_1" };
    run(&app, doc! { "createIndexes": "c", "indexes": [index] }).await?;
    rig.host.start(json!({})).await?;
    let stopped = rig.host.wait_for_state("PAUSED").await?;
    let why = stopped["warnings"][0].as_str().unwrap_or_default();
    ensure!(why.contains("InternalError"), "{stopped:#}");
    for id in [1, 40, MANY - 1] {
        update(&app, "c", id, doc! { "$set": { "later": true } }).await?;
    }
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(rig).await?;
    rig.commit().await?;
    rig.compare().await?;
    Ok(())
}
