//! The pages of an operator's nights, whose commands are run as they stand: compare, give up, clean up, and go on to the
//! next sync. `reverse.rs` runs those of the cutover.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{
    ReplicaSet, Rig,
    compare::compare,
    doc,
    guide::{self, Block},
    host::binary,
    replica_set,
    rig::Options,
    test_dir::TestDir,
};

use crate::cutover::{fill, is_blocked, secure};

const COMPARE: &str = include_str!("../../../docs/compare.md");
const ABORT: &str = include_str!("../../../docs/abort.md");
const CLEAN_UP: &str = include_str!("../../../docs/clean-up.md");
const NEXT_SYNC: &str = include_str!("../../../docs/next-sync.md");

/// The blocks for `mongosh`, in their order.
fn shells(page: &str) -> Vec<String> {
    let blocks = guide::blocks(page).into_iter();
    blocks
        .filter_map(|block| match block {
            Block::Shell(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// Runs the console block with this place on the page.
async fn console(rig: &Rig, page: &str, place: usize, dir: &TestDir) -> Result<Output> {
    let blocks = guide::blocks(page).into_iter();
    let mut consoles = blocks.filter(|block| matches!(block, Block::Console(_)));
    let block = consoles.nth(place).context("no such block")?;
    let mut bash = Command::new("bash");
    bash.args(["-c", &guide::script(&[block])?]);
    let tools = binary()?;
    let tools = tools.parent().context("a folder")?.display();
    let path = std::env::var("PATH").unwrap_or_default();
    bash.env("PATH", format!("{tools}:{path}"));
    bash.env("PORT", rig.host.port().to_string());
    bash.env("SOURCE", rig.source.uri());
    bash.env("DESTINATION", rig.destination.uri());
    bash.current_dir(dir.path());
    Ok(tokio::task::spawn_blocking(move || bash.output()).await??)
}

async fn start_and_commit(rig: &Rig) -> Result<()> {
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_are_compared_as_the_page_says() -> Result<()> {
    let rig = Rig::start().await?;
    fill(&rig).await?;
    let dir = TestDir::new()?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let before = console(&rig, COMPARE, 0, &dir).await?;
    ensure!(before.status.code() == Some(0), "{before:?}");
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let after = console(&rig, COMPARE, 1, &dir).await?;
    ensure!(after.status.code() == Some(0), "{after:?}");
    let hashes = shells(COMPARE).concat();
    ensure!(guide::shell(&rig.destination, &hashes).await? == 1);

    let documents = rig.destination_db("app").collection("c");
    documents
        .insert_one(doc! { "_id": 1000, "n": 1000 })
        .await?;
    std::fs::remove_file(dir.path().join("mismatches.ndjson"))?;
    let differs = console(&rig, COMPARE, 1, &dir).await?;
    ensure!(differs.status.code() == Some(1), "{differs:?}");
    let list = std::fs::read_to_string(dir.path().join("mismatches.ndjson"))?;
    ensure!(
        list.contains("\"app.c\"") && list.contains("1000"),
        "{list}"
    );
    let missing = doc! { "_id": 1000 };
    documents.delete_one(missing).await?;
    dir.remove();
    rig.close().await.map(drop)
}

/// Under access control, so that the destination is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_given_up_as_the_page_says() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    let dir = TestDir::new()?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    ensure!(is_blocked(&rig.destination).await?, "no block to lift");
    let paused = console(&rig, ABORT, 0, &dir).await?;
    let printed = String::from_utf8_lossy(&paused.stdout);
    ensure!(paused.status.success(), "{paused:?}");
    ensure!(printed.contains("\"destination\":\"app.c\""), "{printed}");
    rig.host.wait_for_state("PAUSED").await?;
    rig.host.terminate().await?;
    let steps = shells(ABORT).concat();
    ensure!(guide::shell(&rig.destination, &steps).await? == 3);
    ensure!(!is_blocked(&rig.destination).await?, "the block is left");

    rig.host.restart().await?;
    ensure!(rig.host.progress().await?["state"] == "IDLE");
    start_and_commit(&rig).await?;
    dir.remove();
    rig.close().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_sync_is_cleaned_up_as_the_page_says() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    let both = json!({ "enableUserWriteBlocking": "sourceAndDestination" });
    rig.host.start(both).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.host.terminate().await?;
    ensure!(is_blocked(&rig.source).await?, "no block to lift");
    let steps = shells(CLEAN_UP);
    for (set, steps) in [&rig.destination, &rig.source].into_iter().zip(&steps) {
        ensure!(guide::shell(set, steps).await? == 3);
        let users = set.admin(doc! { "usersInfo": "tidegate" }).await?;
        ensure!(users.get_array("users")?.is_empty(), "{users}");
    }
    ensure!(!is_blocked(&rig.source).await?, "the block is left");
    let names = rig.destination.client().list_database_names().await?;
    ensure!(names == ["admin", "app", "config", "local"], "{names:?}");
    rig.close().await.map(drop)
}

/// Onwards to a third cluster, and the same pair once more. `f40_…` goes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_sync_begins_as_the_page_says() -> Result<()> {
    let mut rig = Rig::start().await?;
    fill(&rig).await?;
    start_and_commit(&rig).await?;
    let step = shells(NEXT_SYNC).concat();
    let next = TestDir::new()?;
    let options = replica_set::Options::default();
    let third = ReplicaSet::start("third", next.path().join("third"), options).await?;

    rig.host.terminate().await?;
    ensure!(guide::shell(&rig.destination, &step).await? == 1);
    let first = rig.host.arguments_mut();
    let (a, b) = (first.cluster0.clone(), first.cluster1.clone());
    (first.cluster0, first.cluster1) = (b.clone(), third.uri());
    rig.host.restart().await?;
    start_and_commit(&rig).await?;
    let all = |_: &str, _: &str| true;
    let compared = compare(rig.destination.client(), third.client(), &all).await?;
    compared.into_result()?;

    rig.host.terminate().await?;
    let arguments = rig.host.arguments_mut();
    (arguments.cluster0, arguments.cluster1) = (a, b);
    rig.host.restart().await?;
    let body = json!({ "source": "cluster0", "destination": "cluster1" }).to_string();
    let refused = rig.host.call("POST", "/api/v1/start", &body).await?;
    ensure!(refused.error() == "DestinationNotEmpty", "{refused:?}");
    rig.destination_db("app").drop().await?;
    start_and_commit(&rig).await?;
    drop(third);
    next.remove();
    rig.close().await.map(drop)
}
