//! Who works on a sync: findings 06, 08 and 31 of 0.2.0.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::{DateTime, Document, doc};
use mongodb::{Client, options::ClientOptions};
use serde_json::{Value, json};
use support::{
    Rig, TestDir,
    clock::WrongClock,
    host::{self, DEADLINE, number, text},
    metadata::wait_for_renewal,
    proxy::{Then, commands},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::findings_writes::{in_step, proxied, set, statement, wait_for_same};
use crate::steps::{self, METADATA, fail_command, heal, insert};

fn is_ours(progress: &Value) -> bool {
    progress["lease"]["ours"] == true
}

async fn lease(rig: &Rig) -> Result<Document> {
    let leases = rig.destination_db(METADATA).collection::<Document>("lease");
    let lease = leases.find_one(doc! { "_id": "lease" }).await?;
    lease.context("no lease")
}

async fn begin(rig: &Rig) -> Result<()> {
    let documents = (0..20).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await.map(drop)
}

/// A program that runs the host where no file of one process can be read, as for processes of other users with
/// `hidepid`.
fn host_that_cannot_look_at(process: u32, directory: &Path) -> Result<PathBuf> {
    let program = directory.join("tidegate");
    let host = host::binary()?;
    // In a separate mount namespace: the machine's `/proc` is unchanged.
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c '{} && exec {} \"$@\"' sh \"$@\"\n",
        hide(process),
        host.display()
    );
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    Ok(program)
}

fn hide(process: u32) -> String {
    format!("mount -t tmpfs none /proc/{process}")
}

/// Whether this user may hide a process.
fn may_hide() -> bool {
    let hide = format!("{} && test ! -e /proc/1/stat", hide(1));
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &hide])
        .status()
        .is_ok_and(|status| status.success())
}

/// A live process that cannot be looked at is not taken for dead.
#[tokio::test]
async fn f06_a_process_that_cannot_be_looked_at_is_not_dead() -> Result<()> {
    if !may_hide() {
        eprintln!("not tested: it takes root and `unshare`");
        return Ok(());
    }
    let directory = TestDir::new()?;
    let mut rig = Rig::start().await?;
    begin(&rig).await?;
    let term = number(&rig.host.progress().await?, "/lease/term");
    let holder = rig.host.process()?.id();
    rig.host.arguments_mut().binary = host_that_cannot_look_at(holder, directory.path())?;
    let standby = steps::second(&mut rig, "standby").await?;
    for _ in 0..2 {
        wait_for_renewal(&rig.destination).await?;
    }
    let (ours, theirs) = (rig.host.progress().await?, standby.progress().await?);
    ensure!(is_ours(&ours) && !is_ours(&theirs), "{ours:#} {theirs:#}");
    ensure!(
        number(&ours, "/lease/term") == term,
        "the lease of a live host was taken: {ours:#}"
    );
    // A dead holder is recognized as dead.
    rig.host.kill()?;
    standby
        .wait_until("the sync is the standby's", DEADLINE, is_ours)
        .await?;
    drop(std::mem::replace(&mut rig.host, standby));
    directory.remove();
    rig.finish().await.map(drop)
}

/// Sets the destination's clock forward by 30 s until the lease of a live host is taken: where
/// the host has renewed it before the standby looked, once more.
async fn step_until_taken(rig: &Rig, clock: &WrongClock) -> Result<()> {
    let term = lease(rig).await?.get_i64("term")?;
    for step in 1..=30 {
        let before = lease(rig)
            .await?
            .get_datetime("expiresAt")?
            .timestamp_millis();
        clock.set(&format!("+{}s", 30 * step))?;
        let taken = wait_until("the clock steps forward", DEADLINE, async || {
            let lease = lease(rig).await?;
            let later = lease.get_datetime("expiresAt")?.timestamp_millis() - before;
            // The lease was held until `before`: a lease that ends so much later was written after the step.
            Ok(match (lease.get_i64("term")? > term, later > 25_000) {
                (true, _) => Look::Done(true),
                (false, true) => Look::Done(false),
                (false, false) => Look::NotYet(lease.to_string()),
            })
        })
        .await?;
        if taken {
            return Ok(());
        }
    }
    anyhow::bail!("the lease was not taken")
}

/// The destination's clock steps forward under a live host: a standby takes its lease while a write of the host is
/// in transit. The server refuses that write when it arrives after a newer write.
#[tokio::test]
async fn f08_a_clock_that_steps_forward_costs_no_data() -> Result<()> {
    let clock = WrongClock::by("+0s")?;
    let destination = replica_set::Options {
        environment: clock.environment(),
        ..replica_set::Options::default()
    };
    let mut rig = in_step(Options {
        destination,
        ..proxied()
    })
    .await?;
    let held = rig.proxies()?.destination.on(statement("update")).hold();
    set(&rig, 1, 1).await?;
    held.seen().await?;
    let standby = steps::second(&mut rig, "standby").await?;
    step_until_taken(&rig, &clock).await?;
    taken_by_the_clock(&rig).await?;
    let first = std::mem::replace(&mut rig.host, standby);
    rig.host
        .wait_until("the sync is the standby's", DEADLINE, is_ours)
        .await?;
    set(&rig, 1, 2).await?;
    wait_for_same(&rig, 1).await?;
    let answer = held.release().await?;
    eprintln!("the late write is answered {answer}");
    first
        .wait_until("the first host is a standby", DEADLINE, |progress| {
            !is_ours(progress)
        })
        .await?;
    // The first host goes on as a standby until the end of the comparison.
    rig.finish().await?;
    drop(first);
    clock.remove();
    Ok(())
}

/// The lease was not given back, and is held by a clock that is ahead.
async fn taken_by_the_clock(rig: &Rig) -> Result<()> {
    let lease = lease(rig).await?;
    let released = lease.get_document("predecessor")?.get_bool("released")?;
    let ahead =
        lease.get_datetime("takenAt")?.timestamp_millis() - DateTime::now().timestamp_millis();
    ensure!(
        !released && ahead > 10_000,
        "given back, or no step: {lease}"
    );
    Ok(())
}

/// A takeover that fails gives the lease back, and is tried again at growing intervals.
#[tokio::test]
async fn f31_a_takeover_that_fails_gives_the_lease_back() -> Result<()> {
    let mut rig = Rig::with(Options {
        destination: replica_set::Options::with_fail_points(),
        ..Options::default()
    })
    .await?;
    begin(&rig).await?;
    rig.host.arguments_mut().more = vec!["--leaseSeconds".to_owned(), "60".to_owned()];
    let standby = steps::second(&mut rig, "standby").await?;
    rig.allow_log("the sync cannot be taken over yet");
    // The session cannot be written: the first host leaves, and no other can begin.
    let data = doc! {
        "failCommands": ["update"],
        "namespace": format!("{METADATA}.session"),
        "errorCode": 14031,
    };
    fail_command(&rig.destination, "alwaysOn", data).await?;
    rig.host.terminate().await?;
    let progress = standby
        .wait_until("the reason is shown", DEADLINE, |progress| {
            progress["warnings"]
                .to_string()
                .contains("DestinationRefused")
        })
        .await?;
    ensure!(
        text(&progress, "state") == "PAUSED" && progress["canCommit"] == false,
        "no host works, and it shows {progress:#}"
    );
    let mut last = None;
    for _ in 0..2 {
        let term = lease(&rig).await?.get_i64("term")?;
        let taken = wait_until("it is tried again", DEADLINE, async || {
            let lease = lease(&rig).await?;
            let is_back = lease.get_bool("released")? && lease.get_i64("term")? > term;
            Ok(match is_back {
                true => Look::Done(Instant::now()),
                false => Look::NotYet(lease.to_string()),
            })
        })
        .await?;
        let between = last.map(|last: Instant| taken - last);
        ensure!(
            between.is_none_or(|between| between > Duration::from_secs(1)),
            "tried again after {between:?}"
        );
        last = Some(taken);
    }
    heal(&rig.destination).await?;
    standby
        .wait_until("the sync is the standby's", DEADLINE, is_ours)
        .await?;
    drop(std::mem::replace(&mut rig.host, standby));
    rig.finish().await.map(drop)
}

// ---- two hosts, and no sync

/// Each of two hosts takes the lease on its own destination before it looks at the other destination.
#[tokio::test]
async fn hosts_that_start_opposite_directions_do_not_both_begin() -> Result<()> {
    let mut rig = Rig::with(proxied()).await?;
    let other = steps::second(&mut rig, "other").await?;
    let held: Vec<_> = rig
        .proxies()?
        .both()
        .into_iter()
        .map(|cluster| {
            let takes = commands("findAndModify").when(|command| command.label.contains("lease"));
            cluster.on(takes.first()).before(async |_| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Then::GoOn
            })
        })
        .collect();
    let one_way = json!({ "source": "cluster0", "destination": "cluster1" }).to_string();
    let back = json!({ "source": "cluster1", "destination": "cluster0" }).to_string();
    let (first, second) = tokio::try_join!(
        rig.host.call("POST", "/api/v1/start", &one_way),
        other.call("POST", "/api/v1/start", &back),
    )?;
    for held in &held {
        ensure!(held.commands().len() == 1, "each takes a lease first");
    }
    let begun = [&first, &second].map(|answer| answer.status == 200);
    ensure!(begun != [true, true], "both have begun");
    for refused in [&first, &second]
        .into_iter()
        .filter(|answer| answer.status != 200)
    {
        ensure!(refused.error() == "StandbyInstance", "{refused:?}");
    }
    // Neither lease prevents a sync that is begun afterwards.
    drop(other);
    if begun == [false, false] {
        rig.host.start(json!({})).await?;
        rig.host.wait_can_commit().await?;
        rig.finish().await?;
        return Ok(());
    }
    rig.close().await.map(drop)
}

// ---- 65: a transaction that the previous holder has left open

/// A holder's command that the server reads after the holder has released its lease begins a transaction without anybody to
/// finish it. The next host aborts it: it does not wait for the server's limit of a minute.
#[tokio::test]
async fn f65_a_transaction_left_open_by_a_stopped_host_does_not_block_the_next() -> Result<()> {
    let mut rig = Rig::start().await?;
    begin(&rig).await?;
    ensure!(rig.host.terminate().await?.success());
    let lease = lease(&rig).await?;
    ensure!(lease.get_bool("released")?, "{lease}");

    let mut options = ClientOptions::parse(rig.destination.uri()).await?;
    let (release, holder) = (lease.get_str("release")?, lease.get_str("holder")?);
    options.app_name = Some(format!("tidegate {release} {holder}"));
    let old = Client::with_options(options)?;
    let mut session = old.start_session().await?;
    session.start_transaction().await?;
    let guards = old.database(METADATA).collection::<Document>("lease");
    let writers = doc! { "_id": { "$ne": "lease" } };
    let late = guards.update_many(writers, doc! { "$inc": { "writes": 1_i64 } });
    let late = late.session(&mut session).await?;
    ensure!(late.modified_count > 0, "no guards");

    // The start waits for the API: 30 s, the server's limit is 60 s.
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    let committed = session.commit_transaction().await;
    ensure!(committed.is_err(), "the late transaction was committed");
    rig.finish().await.map(drop)
}
