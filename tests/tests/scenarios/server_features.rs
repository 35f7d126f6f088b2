//! Sources that lack features of 6.0: the proxy refuses them as an older server does, down to 4.4.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Result, ensure};
use bson::{Document, doc};
use mongodb::IndexModel;
use serde_json::{Value, json};
use support::{
    Rig, Writer, hidden_ddl,
    proxy::{Failure, Pattern, Then, commands},
    rig::Options,
    workload::{self, Pace, dataset},
};

use super::steps::insert;

const DOCUMENTS: u64 = 2_000;

/// A feature, by the commands that need it, and the refusal of a server without it.
type Feature = (&'static str, fn() -> Pattern, Failure);

const UNKNOWN_FIELD: Failure = Failure::of(40415, "Location40415");
const UNKNOWN_STAGE: Failure = Failure::of(40324, "Location40324");

const NO_SNAPSHOTS: Failure = Failure::of(72, "InvalidOptions");

const FEATURES: [Feature; 6] = [
    ("showExpandedEvents", expanded_events, UNKNOWN_FIELD),
    ("showRawUpdateDescription", raw_updates, UNKNOWN_FIELD),
    ("showSystemEvents", system_events, UNKNOWN_FIELD),
    ("collectionUUID", collection_uuid, UNKNOWN_FIELD),
    ("$documents", documents_stage, UNKNOWN_STAGE),
    ("snapshot reads", snapshot_reads, NO_SNAPSHOTS),
];

fn with_stage(stage: &'static str, option: Option<&'static str>) -> Pattern {
    commands("aggregate").when(move |command| {
        let document = command.document().unwrap_or_default();
        let pipeline = document.get_array("pipeline").cloned().unwrap_or_default();
        let first = pipeline.first().and_then(|first| first.as_document());
        let found = first.and_then(|first| first.get(stage));
        match option {
            None => found.is_some(),
            Some(option) => found
                .and_then(|found| found.as_document())
                .is_some_and(|found| found.contains_key(option)),
        }
    })
}

fn expanded_events() -> Pattern {
    with_stage("$changeStream", Some("showExpandedEvents"))
}

fn raw_updates() -> Pattern {
    with_stage("$changeStream", Some("showRawUpdateDescription"))
}

fn system_events() -> Pattern {
    with_stage("$changeStream", Some("showSystemEvents"))
}

fn documents_stage() -> Pattern {
    with_stage("$documents", None)
}

fn collection_uuid() -> Pattern {
    commands("find").when(|command| {
        let document = command.document().unwrap_or_default();
        document.contains_key("collectionUUID")
    })
}

/// Those outside of transactions.
fn snapshot_reads() -> Pattern {
    commands("find").when(|command| {
        let document = command.document().unwrap_or_default();
        let read_concern = document.get_document("readConcern");
        let level = read_concern.and_then(|read_concern| read_concern.get_str("level"));
        level.is_ok_and(|level| level == "snapshot") && !document.contains_key("startTransaction")
    })
}

/// Two clusters, of which the source lacks `features`.
async fn without(features: &[Feature]) -> Result<Rig> {
    let rig = Rig::with(Options {
        proxied: true,
        host_environment: vec![("TIDEGATE_PARTITION_BYTES".to_owned(), "20000".to_owned())],
        ..Options::default()
    })
    .await?;
    for (_, pattern, refusal) in features {
        rig.proxies()?.source.on(pattern()).answer(*refusal);
    }
    Ok(rig)
}

/// A live set, also with `_id`s under a collation, from a source without `features`.
async fn sync_without(features: &[Feature]) -> Result<()> {
    let mut rig = without(features).await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, 188).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 188, Pace::default());
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    ensure!(writer.stop().await?.total() > 0, "nothing was written");
    // The writer's DDL is hidden, and its last commands come right before the commit.
    match features.iter().any(|it| it.0 == FEATURES[0].0) {
        true => hidden_ddl::finish(rig).await?,
        false => rig.finish().await?,
    };
    Ok(())
}

/// Two minutes: left out of the gate, and run by `cargo xtask servers`.
#[tokio::test(flavor = "multi_thread")]
async fn f188_a_source_that_lacks_a_feature_is_synced_without_it() -> Result<()> {
    for feature in FEATURES {
        let synced = sync_without(&[feature]).await;
        synced.map_err(|error| error.context(feature.0))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f188_a_source_that_lacks_all_of_them_is_synced() -> Result<()> {
    sync_without(&FEATURES).await
}

async fn index(rig: &Rig, field: &str) -> Result<()> {
    let index = IndexModel::builder().keys(doc! { field: 1 }).build();
    let collection = rig.source_db("app").collection::<Document>("c");
    collection.create_index(index).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f189_ddl_without_an_event_arrives_or_undoes_the_commit() -> Result<()> {
    let mut rig = without(&FEATURES).await?;
    let app = rig.source_db("app");
    let numbered = |ids: std::ops::Range<i32>| ids.map(|id| doc! { "_id": id, "n": id }).collect();
    insert(&app, "c", numbered(0..500)).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    index(&rig, "n").await?;
    insert(&app, "created", numbered(0..500)).await?;
    let view = doc! { "create": "view", "viewOn": "c", "pipeline": [] };
    app.run_command(view).await?;
    hidden_ddl::in_step_again(&rig, &Value::Null).await?;
    // Renames and drops are events.
    let rename = doc! { "renameCollection": "app.created", "to": "app.c", "dropTarget": true };
    rig.source.admin(rename).await?;
    insert(&app, "c", numbered(500..600)).await?;
    rig.host.wait_can_commit().await?;
    index(&rig, "later").await?;
    hidden_ddl::undone_commit(&mut rig).await?;
    rig.finish().await?;
    Ok(())
}

/// A source that reads snapshots in transactions alone, as 4.4 does, and lets them live for a second.
#[tokio::test(flavor = "multi_thread")]
async fn f196_read_transactions_that_the_server_ends_are_begun_again() -> Result<()> {
    /// The server looks for such transactions every second.
    const LATE: Duration = Duration::from_millis(2_500);
    const LATE_REPLIES: u64 = 2;
    let snapshots = FEATURES
        .iter()
        .find(|feature| feature.0 == "snapshot reads");
    let rig = without(snapshots.map(std::slice::from_ref).unwrap_or_default()).await?;
    let lifetime = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 1 };
    rig.source.admin(lifetime).await?;
    let app = rig.source_db("app");
    let documents = (0..6_000).map(|id| doc! { "_id": id, "n": id }).collect();
    insert(&app, "c", documents).await?;
    let in_transaction = commands("getMore").when(|command| {
        let document = command.document().unwrap_or_default();
        document.contains_key("autocommit")
    });
    let replies = AtomicU64::new(0);
    let late = rig.proxies()?.source.on(in_transaction).before(move |_| {
        let is_late = replies.fetch_add(1, Relaxed) < LATE_REPLIES;
        async move {
            if is_late {
                tokio::time::sleep(LATE).await;
            }
            Then::GoOn
        }
    });
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    insert(&app, "c", vec![doc! { "_id": 6_000 }]).await?;
    let counts = rig.source.admin(doc! { "serverStatus": 1 }).await?;
    rig.finish().await?;
    ensure!(
        late.commands().len() as u64 > LATE_REPLIES,
        "no read was late"
    );
    let aborted = counts
        .get_document("transactions")?
        .get_i64("totalAborted")?;
    ensure!(aborted > 0, "the server has ended no transaction: {counts}");
    Ok(())
}
