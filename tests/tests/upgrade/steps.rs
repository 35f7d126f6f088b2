//! The steps of mongosync's page "Live Upgrades", in its words, as an operator takes them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::{
    Host, Rig, TestDir, Writer,
    host::{self, DEADLINE, number, text},
    release::{Profile, previous},
    rig::Options,
    upgrade::{DOCUMENTS, Persisted, documents},
    workload::{Pace, dataset},
};
use tidegate::metadata::METADATA_VERSION;

const SEED: u64 = 4;

/// The place of the operator's binary: the command line names the same file for every release.
struct Installation {
    directory: TestDir,
}

impl Installation {
    fn of_the_previous_release() -> Result<Self> {
        let directory = TestDir::new()?;
        let installation = Self { directory };
        installation.install(&previous()?.binary(Profile::Dev)?)?;
        Ok(installation)
    }

    fn binary(&self) -> PathBuf {
        self.directory.path().join("tidegate")
    }

    /// Replaces the installed binary, which may be running.
    fn install(&self, binary: &Path) -> Result<()> {
        let new = self.binary().with_extension("new");
        std::fs::copy(binary, &new).context("download the new binary")?;
        std::fs::rename(&new, self.binary()).context("install the new binary")
    }
}

/// A sync of the previous release, in step with a source that is written to.
async fn sync_in_progress(installation: &Installation) -> Result<(Rig, Writer)> {
    let mut rig = Rig::with(Options {
        host_binary: Some(installation.binary()),
        ..Options::default()
    })
    .await?;
    rig.set_scope(dataset::in_scope);
    documents(rig.source.client(), SEED).await?;
    let client = rig.source.client();
    let writer = Writer::start(client, DOCUMENTS, SEED, Pace::default());
    rig.host.start(dataset::filters()).await?;
    applies(&rig.host, 300).await?;
    Ok((rig, writer))
}

/// Waits until so many events are applied.
async fn applies(host: &Host, events: u64) -> Result<()> {
    let applied = |progress: &Value| number(progress, "/totalEventsApplied") > events;
    host.wait_until("events are applied", DEADLINE, applied)
        .await?;
    Ok(())
}

async fn finish(rig: Rig, writer: Writer) -> Result<()> {
    // Operations that were in progress go on.
    let before = number(&rig.host.progress().await?, "/totalEventsApplied");
    applies(&rig.host, before + 100).await?;
    let progress = rig.host.progress().await?;
    let history = progress
        .pointer("/upgrade/history")
        .and_then(Value::as_array);
    ensure!(
        history.is_some_and(|upgrades| upgrades.len() == 1),
        "the history of upgrades is {history:?}"
    );
    rig.host.wait_can_commit().await?;
    writer.stop().await?;
    rig.finish().await?;
    Ok(())
}

async fn upgrade(pause: bool) -> Result<()> {
    let installation = Installation::of_the_previous_release()?;
    let (mut rig, writer) = sync_in_progress(&installation).await?;
    let before = Persisted::read(&rig.destination).await?;

    // (Optional) Pause the processes.
    if pause {
        rig.host.pause().await?;
    }
    // Stop the processes: use your operating system.
    let status = rig.host.terminate().await?;
    ensure!(status.success(), "the old host ended with {status}");
    // Download and install the new binaries.
    installation.install(&host::binary()?)?;
    // Initialize the processes. During initialization the persistent metadata is updated.
    rig.host.restart().await?;
    let after = Persisted::read(&rig.destination).await?;
    ensure!(
        after.metadata_version == METADATA_VERSION,
        "the metadata has version {}",
        after.metadata_version
    );
    after.has_not_gone_back(&before)?;
    // Resume the processes, if you paused them.
    let state = if pause { "PAUSED" } else { "RUNNING" };
    rig.host.wait_for_state(state).await?;
    if pause {
        rig.host.resume().await?;
    }
    finish(rig, writer).await?;
    installation.directory.remove();
    Ok(())
}

#[tokio::test]
async fn pause_stop_install_initialize_resume() -> Result<()> {
    upgrade(true).await
}

#[tokio::test]
async fn stop_install_initialize() -> Result<()> {
    upgrade(false).await
}

/// The active host has the previous release, and the new host is a standby; then both are new.
#[tokio::test]
async fn active_host_and_standby() -> Result<()> {
    let installation = Installation::of_the_previous_release()?;
    let (mut rig, writer) = sync_in_progress(&installation).await?;
    // Install the new binaries, and initialize a process beside the one that works.
    installation.install(&host::binary()?)?;
    let standby = Host::spawn(rig.host.arguments().clone()).await?;
    ensure!(role(&standby).await? == "standby");
    ensure!(text(&rig.host.progress().await?, "state") == "RUNNING");
    // Stop the process that works: the standby initializes, and goes on by itself.
    let mut old = std::mem::replace(&mut rig.host, standby);
    ensure!(old.terminate().await?.success());
    rig.host.wait_for_state("RUNNING").await?;
    wait_for_role(&rig.host, "active").await?;
    ensure!(Persisted::read(&rig.destination).await?.metadata_version == METADATA_VERSION);

    // From now on both are of this release: one tells the other to go on.
    let next = Host::spawn(rig.host.arguments().clone()).await?;
    ensure!(role(&next).await? == "standby");
    let applied = number(&rig.host.progress().await?, "/totalEventsApplied");
    let mut active = std::mem::replace(&mut rig.host, next);
    let answer = active.call("POST", "/api/v1/handover", "").await?;
    ensure!(answer.status == 200, "handover answers {}", answer.body);
    ensure!(active.wait_for_end().await?.success());
    wait_for_role(&rig.host, "active").await?;
    let progress = rig.host.progress().await?;
    ensure!(
        number(&progress, "/totalEventsApplied") >= applied,
        "{progress}"
    );
    finish(rig, writer).await?;
    installation.directory.remove();
    Ok(())
}

/// `active`, `standby` or `idle`.
async fn role(host: &Host) -> Result<String> {
    let answer = host.call("GET", "/readyz", "").await?;
    ensure!(answer.status == 200, "readyz answers {}", answer.body);
    Ok(text(&answer.body, "role").to_owned())
}

async fn wait_for_role(host: &Host, role: &str) -> Result<()> {
    support::wait_until(&format!("role {role}"), DEADLINE, async || {
        let found = self::role(host).await?;
        Ok(match found == role {
            true => support::wait::Look::Done(()),
            false => support::wait::Look::NotYet(found),
        })
    })
    .await
}
