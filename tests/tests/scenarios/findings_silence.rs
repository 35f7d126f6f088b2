//! Clusters that do not answer: findings 37, 38 and 43 of 0.2.0.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use support::{
    Host, Rig,
    host::{DEADLINE, text},
    wait::Look,
    wait_until,
};

use crate::{
    findings_state::{
        STOPPED, begun, call, description, first_warning, goes_on, is_paused, session,
    },
    steps,
};

/// Longest time until unknown values are shown as unknown. 0.2.0 took 30 s and more.
const SOON: Duration = Duration::from_secs(10);

/// Which cluster is silent, as `/progress` and `/readyz` have to say.
struct Silent {
    name: &'static str,
    field: &'static str,
}

const SOURCE: Silent = Silent {
    name: "cluster0 (the source)",
    field: "source",
};

const DESTINATION: Silent = Silent {
    name: "cluster1 (the destination)",
    field: "destination",
};

/// Progress, which has to be answered at once, also while clusters are silent.
async fn progress_at_once(host: &Host) -> Result<Value> {
    let begun = Instant::now();
    let progress = host.progress().await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "progress took {:?}",
        begun.elapsed()
    );
    Ok(progress)
}

async fn shown_as_unknown(rig: &Rig, silent: &Silent) -> Result<()> {
    wait_until("the silence is shown", SOON, async || {
        let progress = progress_at_once(&rig.host).await?;
        let reason = text(&progress, "canCommitReason");
        let is_unknown = progress["canCommit"] == false
            && progress["lagTimeSeconds"].is_null()
            && progress["lag"].is_null()
            && progress[silent.field].get("pingLatencyMs").is_none();
        Ok(match is_unknown && reason.contains(silent.name) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{progress:#}")),
        })
    })
    .await?;
    let answer = rig.host.call("GET", "/readyz", "").await?;
    let reason = text(&answer.body, "reason");
    ensure!(
        answer.status == 503 && reason.contains("has not answered for"),
        "readyz answers {}: {}",
        answer.status,
        answer.body
    );
    ensure!(answer.body["state"] == "RUNNING", "{}", answer.body);
    is_healthy(&rig.host).await
}

/// Waits until a host in this role names the silent cluster.
async fn told_by_readyz(host: &Host, role: &str, cluster: &str) -> Result<()> {
    wait_until("the silence is told", SOON, async || {
        let answer = host.call("GET", "/readyz", "").await?;
        let is_told = answer.status == 503
            && text(&answer.body, "role") == role
            && text(&answer.body, "reason").contains(cluster);
        Ok(match is_told {
            true => Look::Done(()),
            false => Look::NotYet(format!("{}: {}", answer.status, answer.body)),
        })
    })
    .await
}

/// `/healthz`, which does not depend on clusters.
async fn is_healthy(host: &Host) -> Result<()> {
    let answer = host.call("GET", "/healthz", "").await?;
    ensure!(answer.status == 200, "healthz answers {}", answer.status);
    Ok(())
}

async fn known_again(rig: Rig) -> Result<()> {
    rig.host.wait_can_commit().await?;
    let answer = rig.host.call("GET", "/readyz", "").await?;
    ensure!(answer.status == 200, "readyz answers {}", answer.body);
    goes_on(rig).await
}

#[tokio::test]
async fn f37_a_frozen_destination_is_shown_as_unknown() -> Result<()> {
    let rig = begun().await?;
    rig.destination.process()?.freeze()?;
    shown_as_unknown(&rig, &DESTINATION).await?;
    let answer = call(&rig.host, "commit").await?;
    ensure!(
        answer.error() == "CannotCommit" && description(&answer).contains(DESTINATION.name),
        "{}",
        answer.body
    );
    rig.destination.process()?.thaw()?;
    known_again(rig).await
}

#[tokio::test]
async fn f37_a_dead_source_is_shown_as_unknown() -> Result<()> {
    let mut rig = begun().await?;
    rig.source.kill()?;
    shown_as_unknown(&rig, &SOURCE).await?;
    rig.source.restart().await?;
    known_again(rig).await
}

#[tokio::test]
async fn f37_a_dead_destination_is_shown_as_unknown() -> Result<()> {
    let mut rig = begun().await?;
    rig.destination.kill()?;
    shown_as_unknown(&rig, &DESTINATION).await?;
    rig.destination.restart().await?;
    known_again(rig).await
}

/// A host that starts while a cluster is frozen: the connection is taken, and nothing is answered.
#[tokio::test]
async fn f37_a_frozen_cluster_at_the_start_is_told() -> Result<()> {
    let mut rig = begun().await?;
    rig.host.kill()?;
    rig.source.process()?.freeze()?;
    rig.host.restart_without_clusters().await?;
    is_healthy(&rig.host).await?;
    told_by_readyz(&rig.host, "starting", "cluster0").await?;
    rig.source.process()?.thaw()?;
    rig.allow_log("waiting until the cluster answers");
    ready(&rig.host).await?;
    known_again(rig).await
}

/// A standby answers although the destination does not, and tells the age of the values that it shows.
#[tokio::test]
async fn f37_a_standby_of_a_frozen_destination_answers() -> Result<()> {
    let mut rig = begun().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    let before = standby.progress().await?;
    ensure!(text(&before, "state") == "RUNNING", "{before:#}");
    rig.destination.process()?.freeze()?;
    wait_until("the age is shown", SOON, async || {
        let progress = progress_at_once(&standby).await?;
        let warnings = progress["warnings"].to_string();
        ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
        Ok(match warnings.contains("The values were read") {
            true => Look::Done(()),
            false => Look::NotYet(warnings),
        })
    })
    .await?;
    is_healthy(&standby).await?;
    told_by_readyz(&standby, "standby", "cluster1").await?;
    for name in ["pause", "resume", "commit", "handover"] {
        let answer = call(&standby, name).await?;
        ensure!(answer.error() == "StandbyInstance", "{}", answer.body);
    }
    rig.destination.process()?.thaw()?;
    ready(&standby).await?;
    drop(standby);
    goes_on(rig).await
}

/// The source is silent: `commit` is refused at once, by name, and changes nothing.
#[tokio::test]
async fn f38_a_commit_without_a_source_is_refused_at_once() -> Result<()> {
    let mut rig = begun().await?;
    let before = session(&rig).await?;
    for frozen in [true, false] {
        if frozen {
            rig.source.process()?.freeze()?;
        } else {
            rig.source.kill()?;
        }
        let answer = call(&rig.host, "commit").await?;
        ensure!(
            ["ConnectionFailed", "CannotCommit"].contains(&answer.error())
                && description(&answer).contains(SOURCE.name)
                && description(&answer).contains("Nothing was changed"),
            "{}",
            answer.body
        );
        // The cluster is known to be silent: no wait at all.
        shown_as_unknown(&rig, &SOURCE).await?;
        let begun = Instant::now();
        let answer = call(&rig.host, "commit").await?;
        ensure!(answer.error() == "CannotCommit", "{}", answer.body);
        ensure!(begun.elapsed() < Duration::from_secs(1));
        let progress = rig.host.progress().await?;
        ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
        ensure!(
            session(&rig).await? == before,
            "a refused commit has changed the session"
        );
        if frozen {
            rig.source.process()?.thaw()?;
        } else {
            rig.source.restart().await?;
        }
        rig.host.wait_can_commit().await?;
    }
    goes_on(rig).await
}

/// The destination is silent: calls name the work that they could not do, and everything goes on later.
#[tokio::test]
async fn f43_calls_that_a_silent_destination_stops_are_told() -> Result<()> {
    let mut rig = begun().await?;
    rig.allow_log(STOPPED);
    rig.destination.process()?.freeze()?;
    for (name, left_undone) in [
        ("pause", "PAUSED is not persisted"),
        ("resume", "Nothing was changed"),
        ("handover", "the lease is not given back"),
    ] {
        let answer = call(&rig.host, name).await?;
        ensure!(
            answer.error() == "ConnectionFailed"
                && description(&answer).contains(DESTINATION.name)
                && description(&answer).contains(left_undone),
            "{name} answers {}",
            answer.body
        );
        let progress = progress_at_once(&rig.host).await?;
        ensure!(is_paused(&progress), "{name}: {progress:#}");
        ensure!(
            first_warning(&progress).contains("ConnectionFailed"),
            "{name}: {progress:#}"
        );
    }
    rig.destination.process()?.thaw()?;
    ready(&rig.host).await?;
    // Thawed for longer than the lease lasts, it may have to be taken again.
    rig.host
        .wait_until("the sync is this host's", DEADLINE, |progress| {
            progress["lease"]["ours"] == true
        })
        .await?;
    if is_paused(&rig.host.progress().await?) {
        rig.host.resume().await?;
    }
    rig.host.wait_can_commit().await?;
    goes_on(rig).await
}

async fn ready(host: &Host) -> Result<()> {
    wait_until("the host is ready", SOON, async || {
        let answer = host.call("GET", "/readyz", "").await?;
        Ok(match answer.status {
            200 => Look::Done(()),
            _ => Look::NotYet(answer.body.to_string()),
        })
    })
    .await
}
