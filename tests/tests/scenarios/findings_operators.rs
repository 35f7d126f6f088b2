//! Findings 36 to 62 about observations and calls of operators, with the real host and real clusters.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{
    LogCheck, Rig,
    host::{DEADLINE, binary, text},
    rig,
};

use crate::steps::{METADATA, insert, refused, wait_in_step};

/// The data does not matter: five collections would serve as well.
async fn with_data(options: rig::Options) -> Result<Rig> {
    let rig = Rig::with(options).await?;
    let documents = (0..50).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    Ok(rig)
}

fn log(rig: &Rig) -> LogCheck {
    LogCheck::new(rig.host.log_path())
}

fn files(rig: &Rig) -> Result<usize> {
    Ok(std::fs::read_dir(rig.host.log_path())?.count())
}

async fn wait_for_line(rig: &Rig, line: &str) -> Result<()> {
    support::wait::wait_until(line, Duration::from_secs(20), async || {
        Ok(if log(rig).has(line)? {
            support::wait::Look::Done(())
        } else {
            support::wait::Look::NotYet("no such line".to_owned())
        })
    })
    .await
}

fn warnings(progress: &Value) -> String {
    progress["warnings"].to_string()
}

#[tokio::test]
async fn f52_signals_rotate_the_log_and_end_nothing() -> Result<()> {
    let directory = support::TestDir::new()?;
    let file = directory.path().join("tidegate.yaml");
    std::fs::write(&file, "verbosity: INFO\n")?;
    let options = rig::Options {
        host_arguments: vec!["--config".to_owned(), file.display().to_string()],
        ..rig::Options::default()
    };
    let mut rig = with_data(options).await?;
    rig.host.start(json!({})).await?;
    rig.host.process()?.user_signal()?;
    wait_for_line(&rig, "log rotated").await?;
    ensure!(files(&rig)? == 2, "{} files", files(&rig)?);
    // A line of level DEBUG.
    let read = "\"message\":\"read\"";
    ensure!(!log(&rig).has(read)?, "DEBUG before it was asked for");
    std::fs::write(&file, "verbosity: DEBUG\nloadLevel: 1\n")?;
    rig.host.process()?.hang_up()?;
    wait_for_line(&rig, "configuration reread").await?;
    rig.host.progress().await?;
    wait_for_line(&rig, read).await?;
    wait_for_line(&rig, "take effect at the next start").await?;
    ensure!(files(&rig)? == 3, "{} files", files(&rig)?);
    rig.allow_log("take effect at the next start");
    // A file that is refused changes nothing.
    std::fs::write(&file, "verbosity: LOUD\n")?;
    rig.host.process()?.hang_up()?;
    wait_for_line(&rig, "the configuration is refused").await?;
    rig.allow_log("the configuration is refused");
    rig.host.process()?.user_signal()?;
    rig.host.wait_can_commit().await?;
    rig.finish().await?;
    directory.remove();
    Ok(())
}

#[tokio::test]
async fn f58_a_host_waits_for_its_clusters_and_goes_on() -> Result<()> {
    let mut rig = with_data(rig::Options::default()).await?;
    rig.host.start(json!({})).await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    rig.destination.kill()?;
    let progress = rig.host.restart_without_clusters().await?;
    ensure!(progress["info"] == "waiting for clusters", "{progress:#}");
    ensure!(warnings(&progress).contains("cluster1"), "{progress:#}");
    let healthy = rig.host.call("GET", "/healthz", "").await?;
    ensure!(healthy.status == 200, "{healthy:?}");
    let ready = rig.host.call("GET", "/readyz", "").await?;
    ensure!(
        ready.status == 503 && ready.body["reason"].to_string().contains("cluster1"),
        "{ready:?}"
    );
    let refused = rig.host.call("POST", "/api/v1/pause", "").await?;
    ensure!(
        refused.error() == "ConnectionFailed" && refused.status == 503,
        "{refused:?}"
    );
    rig.destination.restart().await?;
    rig.host
        .wait_until("the sync goes on", DEADLINE, |progress| {
            text(progress, "state") == "RUNNING"
        })
        .await?;
    let ready = rig.host.call("GET", "/readyz", "").await?;
    ensure!(ready.status == 200, "{ready:?}");
    rig.allow_log("waiting until the cluster answers");
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn f54_the_lag_is_known_from_the_start_time() -> Result<()> {
    let rig = with_data(rig::Options::default()).await?;
    rig.host.start(json!({})).await?;
    // Also while documents are copied, of which there is no position yet.
    let known = |progress: &Value| progress["lagTimeSeconds"].is_u64();
    rig.host
        .wait_until("a lag", Duration::from_secs(5), known)
        .await?;
    rig.host
        .wait_until("an oplog time", Duration::from_secs(10), |progress| {
            progress["estimatedOplogTimeRemaining"].is_string()
        })
        .await?;
    rig.finish().await.map(drop)
}

/// A sync that is done, and its last progress.
async fn committed() -> Result<(Rig, Value)> {
    let rig = with_data(rig::Options::default()).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    let progress = rig.host.wait_for_state("COMMITTED").await?;
    Ok((rig, progress))
}

#[tokio::test]
async fn f53_the_lag_is_absent_after_the_commit() -> Result<()> {
    let (rig, progress) = committed().await?;
    ensure!(
        progress["lagTimeSeconds"].is_null() && progress["lag"].is_null(),
        "{progress:#}"
    );
    let scraped = rig.host.call("GET", "/metrics", "").await?;
    ensure!(
        !scraped
            .body
            .to_string()
            .contains("\\ntidegate_lag_seconds "),
        "a lag in {scraped:?}"
    );
    rig.close().await.map(drop)
}

#[tokio::test]
async fn f59_a_committed_sync_forbids_no_writes_and_names_the_page() -> Result<()> {
    let (rig, progress) = committed().await?;
    ensure!(
        !warnings(&progress).contains("nothing else writes"),
        "{progress:#}"
    );
    let paused = rig.host.call("POST", "/api/v1/pause", "").await?;
    ensure!(
        paused.body.to_string().contains("docs/next-sync.md"),
        "{paused:?}"
    );
    let again = json!({ "source": "cluster0", "destination": "cluster1", "buildIndexes": "never" });
    let again = rig
        .host
        .call("POST", "/api/v1/start", &again.to_string())
        .await?;
    let said = again.body.to_string();
    ensure!(
        said.contains("docs/next-sync.md") && !said.contains("drop the destination"),
        "{said}"
    );
    rig.close().await.map(drop)
}

/// The steps of docs/next-sync.md for a sync back.
#[tokio::test]
async fn f40_after_a_commit_the_next_sync_goes_the_way_of_the_page() -> Result<()> {
    let (mut rig, _) = committed().await?;
    let arguments = rig.host.arguments_mut();
    std::mem::swap(&mut arguments.cluster0, &mut arguments.cluster1);
    let Err(refusal) = rig.host.restart().await else {
        anyhow::bail!("a sync that is done goes on the other way round");
    };
    let refusal = format!("{refusal:#}");
    ensure!(
        refusal.contains("ClustersMismatch")
            && refusal.contains("docs/next-sync.md")
            && !refusal.contains("swapped"),
        "{refusal}"
    );
    rig.allow_log("ClustersMismatch");
    rig.destination_db(METADATA).drop().await?;
    rig.host.restart().await?;
    let back = json!({ "source": "cluster0", "destination": "cluster1" });
    refused(&rig, "start", back, "DestinationNotEmpty").await?;
    rig.source_db("app").drop().await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.source_db(METADATA).drop().await?;
    rig.close().await.map(drop)
}

#[tokio::test]
async fn f55_the_log_says_who_did_what_with_what_outcome() -> Result<()> {
    let mut rig = with_data(rig::Options::default()).await?;
    rig.host
        .start(json!({ "buildIndexes": "beforeDataCopy" }))
        .await?;
    wait_in_step(&rig).await?;
    rig.host.pause().await?;
    let refused = rig.host.call("POST", "/api/v1/commit", "").await?;
    ensure!(refused.status == 409, "{refused:?}");
    rig.host.resume().await?;
    wait_in_step(&rig).await?;
    rig.host.terminate().await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    // The log notices it twice a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    for line in [
        "\"message\":\"sync begun\"",
        "\"build_indexes\":\"BeforeDataCopy\"",
        "\"message\":\"PAUSED: the position and the state are persisted\"",
        "\"message\":\"resumed: the work continues\"",
        "\"message\":\"call refused\"",
        "\"error_code\":\"InvalidStateTransition\"",
        "\"path\":\"/api/v1/commit\"",
        "\"signal\":\"SIGTERM\"",
        "\"message\":\"this host ends; the next host continues the sync\"",
        "\"message\":\"canCommit is true\"",
        "\"message\":\"COMMITTED: the sync is done",
    ] {
        wait_for_line(&rig, line).await?;
    }
    let ids: std::collections::BTreeSet<String> = log(&rig)
        .lines()?
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| Some(line.get("sync_id")?.as_str()?.to_owned()))
        .collect();
    ensure!(ids.len() == 1, "one sync: {ids:?}");
    let lines = log(&rig).lines()?;
    ensure!(
        lines
            .iter()
            .all(|line| line.contains("\"host\":\"") && line.contains("\"pid\":")),
        "a line without its process"
    );
    rig.close().await?;
    Ok(())
}

/// `é` and `É` are two databases on a server, and so they are here.
#[tokio::test]
async fn f42_databases_that_differ_in_letters_beyond_ascii_are_two() -> Result<()> {
    let rig = with_data(rig::Options::default()).await?;
    for name in ["\u{e9}", "\u{c9}"] {
        insert(&rig.source_db(name), "c", vec![doc! { "_id": name }]).await?;
    }
    rig.host.start(json!({})).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test]
async fn f41_data_that_is_left_out_is_named() -> Result<()> {
    let mut rig = with_data(rig::Options::default()).await?;
    for database in ["admin", "config", "mongosync_internal_other"] {
        insert(&rig.source_db(database), "mine", vec![doc! { "_id": 1 }]).await?;
    }
    rig.set_scope(|database, _| database == "app");
    rig.host.start(json!({})).await?;
    let progress = rig.host.progress().await?;
    for name in ["admin.mine", "config.mine", "mongosync_internal_other.mine"] {
        ensure!(warnings(&progress).contains(name), "{name}: {progress:#}");
    }
    ensure!(
        !warnings(&progress).contains("transactions"),
        "{progress:#}"
    );
    rig.finish().await?;
    Ok(())
}

/// Runs the host to its end, and returns its exit code and its output.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let mut command = tokio::process::Command::new(binary()?);
    command.args(arguments).envs(environment.iter().copied());
    let ran = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = ran.await.context("the host has not ended")??;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), printed))
}

#[tokio::test]
async fn f62_a_bad_value_is_told_where_it_was_given() -> Result<()> {
    let clusters = ["--cluster0", "mongodb://a", "--cluster1", "mongodb://b"];
    let (code, printed) = run(&clusters, &[("TIDEGATE_PORT", "tcp://10.0.0.1:27182")]).await?;
    ensure!(
        code == Some(2)
            && printed.contains("The environment variable TIDEGATE_PORT is 'tcp://10.0.0.1:27182'. Give a whole number."),
        "{code:?}: {printed}"
    );
    Ok(())
}

#[tokio::test]
async fn f62_a_wrong_replica_set_is_told_in_words() -> Result<()> {
    let rig = with_data(rig::Options::default()).await?;
    let wrong = format!(
        "mongodb://{}/?replicaSet=another&serverSelectionTimeoutMS=2000",
        rig.source.address()
    );
    let destination = rig.destination.uri();
    let arguments = [
        "--cluster0",
        &wrong,
        "--cluster1",
        &destination,
        "--port",
        "0",
    ];
    let (code, printed) = run(&arguments, &[]).await?;
    ensure!(
        code == Some(2) && printed.contains("its option replicaSet is 'another'"),
        "{code:?}: {printed}"
    );
    ensure!(!printed.contains("Topology"), "{printed}");
    rig.host.start(json!({})).await?;
    rig.finish().await?;
    Ok(())
}
