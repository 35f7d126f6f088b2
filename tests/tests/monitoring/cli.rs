//! `tidegate health` and `tidegate status`.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, wait::Look, wait_until};

use crate::{command, standby_of};

#[tokio::test]
async fn f37_health_tells_the_probes_what_the_host_tells() -> Result<()> {
    let mut rig = Rig::start().await?;
    let port = rig.host.port();
    let ready = command(port, &["health", "--ready"]).await?;
    ensure!(
        ready.code == Some(0) && ready.output == "ready: idle, IDLE\n",
        "{}",
        ready.output
    );
    rig.destination.kill()?;
    wait_until(
        "the dead cluster is told",
        support::host::DEADLINE,
        async || {
            let ready = command(port, &["health", "--ready"]).await?;
            let is_told = ready.code == Some(1)
                && ready
                    .errors
                    .contains("not ready: cluster1 has not answered for");
            Ok(match is_told {
                true => Look::Done(()),
                false => Look::NotYet(format!(
                    "{:?}: {}{}",
                    ready.code, ready.output, ready.errors
                )),
            })
        },
    )
    .await?;
    let alive = command(port, &["health"]).await?;
    ensure!(
        alive.code == Some(0) && alive.output == "alive\n",
        "{}",
        alive.errors
    );
    rig.destination.restart().await?;
    rig.host.kill()?;
    let dead = command(port, &["health"]).await?;
    ensure!(
        dead.code == Some(1) && dead.errors.contains("nothing listens there"),
        "{}",
        dead.errors
    );
    rig.host.restart().await?;
    rig.host.start(json!({})).await?;
    rig.finish().await.map(drop)
}

/// A host that is frozen accepts connections, and answers nothing.
#[tokio::test]
async fn health_gives_up_after_its_time() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let ended = command(
        silent.local_addr()?.port(),
        &["health", "--timeout", "300ms"],
    )
    .await?;
    ensure!(
        ended.code == Some(1) && ended.errors.contains("no answer within 0.3 s"),
        "{}",
        ended.errors
    );
    Ok(())
}

#[tokio::test]
async fn status_shows_the_verdict_in_each_state() -> Result<()> {
    let rig = Rig::start().await?;
    let port = rig.host.port();
    rig.source_db("app")
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .await?;
    let idle = command(port, &["status"]).await?;
    ensure!(
        idle.code == Some(1) && idle.output.contains("Safe to cut over: no"),
        "{}",
        idle.output
    );
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let standby = standby_of(&rig.host).await?;
    let running = wait_until("it is verified", support::host::DEADLINE, async || {
        let running = command(port, &["status"]).await?;
        Ok(match running.output.contains(" s ago") {
            true => Look::Done(running),
            false => Look::NotYet(running.output),
        })
    })
    .await?;
    for part in [
        "State          RUNNING, ",
        "Safe to cut over: yes, lag ",
        " s ago",
        "Copy           [####",
        "Verification   [",
    ] {
        ensure!(
            running.output.contains(part),
            "{part} in {}",
            running.output
        );
    }
    ensure!(
        running.code == Some(0) && !running.output.contains('\x1b'),
        "{}",
        running.output
    );
    let json = command(port, &["status", "--json"]).await?;
    let json: Value = serde_json::from_str(&json.output)?;
    ensure!(
        json["cutover"]["safe"] == true && json["progress"]["state"] == "RUNNING",
        "{json:#}"
    );
    let second = command(standby.port(), &["status"]).await?;
    ensure!(
        second.code == Some(1) && second.output.contains("this host is a standby"),
        "{}",
        second.output
    );
    drop(standby);
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let committed = command(port, &["status"]).await?;
    ensure!(
        committed.code == Some(0) && committed.output.contains("yes, committed"),
        "{}",
        committed.output
    );
    let absent = command(1, &["status"]).await?;
    ensure!(
        absent.code == Some(2) && absent.output.is_empty(),
        "{}",
        absent.output
    );
    rig.close().await.map(drop)
}
