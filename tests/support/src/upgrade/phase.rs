//! The phases that a sync is upgraded in, and how a host is brought into each.

use anyhow::{Result, ensure};
use bson::doc;
use serde_json::Value;

use super::Manner;
use crate::{
    ReplicaSet,
    host::{number, text},
};

/// A phase that a sync can be in when its host is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    pub name: &'static str,
    pub(super) way: Way,
}

/// How a host gets there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// No sync has begun.
    Idle,
    /// The sync is started, and the function tells from the progress when the phase is reached. The destination
    /// answers these commands slowly until then, so that there is time to look.
    Seen(fn(&Value) -> bool, &'static [&'static str]),
    /// As `Seen`, then paused.
    Paused(fn(&Value) -> bool, &'static [&'static str]),
    /// The sync is started; the host kills itself at the named point.
    Point(&'static str),
    /// The writer is stopped and the sync committed; the look tells when it is there.
    Committing(fn(&Value) -> bool, &'static [&'static str]),
    /// The sync is committed; the host kills itself at the named point.
    CommitPoint(&'static str),
}

const fn phase(name: &'static str, way: Way) -> Phase {
    Phase { name, way }
}

const COPIES: &[&str] = &["insert"];
const CREATES: &[&str] = &["create"];
const BUILDS: &[&str] = &["createIndexes"];
const RESTORES: &[&str] = &["collMod"];

/// Every phase, in the order in which a sync goes through them.
pub const PHASES: &[Phase] = &[
    phase("before start", Way::Idle),
    phase("copy begun", Way::Seen(is_running, CREATES)),
    phase("first batch copied", Way::Point("copy_batch_inserted")),
    phase("copy early", Way::Seen(|p| is_copied(p, 1), COPIES)),
    phase("copy half done", Way::Seen(|p| is_copied(p, 5), COPIES)),
    phase(
        "copy half done, paused",
        Way::Paused(|p| is_copied(p, 5), COPIES),
    ),
    phase("copy late", Way::Point("copy_partition_done:11")),
    phase("copy done", Way::Point("copy_done")),
    phase("index build", Way::Seen(is_building, BUILDS)),
    phase("index build done", Way::Point("indexes_built")),
    phase("catch-up", Way::Seen(is_applying, &[])),
    phase("catch-up, events applied", Way::Point("events_applied")),
    phase("catch-up, DDL applied", Way::Point("ddl_applied")),
    phase("position persisted", Way::Point("position_persisted:3")),
    phase("in step", Way::Seen(is_steady, &[])),
    phase("in step, paused", Way::Paused(is_steady, &[])),
    phase("committing", Way::Committing(is_restoring, RESTORES)),
    phase("commit, drained", Way::CommitPoint("commit_started")),
    phase(
        "commit, preparing unique",
        Way::CommitPoint("commit_unique"),
    ),
    phase("commit, restored", Way::CommitPoint("commit_done")),
    phase("committed", Way::Committing(is_committed, &[])),
];

impl Phase {
    pub fn named(name: &str) -> Result<Self> {
        let found = PHASES.iter().find(|phase| phase.name == name).copied();
        found.ok_or_else(|| anyhow::anyhow!("there is no phase `{name}`"))
    }

    /// The point at which the host kills itself.
    pub fn point(&self) -> Option<&'static str> {
        match self.way {
            Way::Point(point) | Way::CommitPoint(point) => Some(point),
            _ => None,
        }
    }

    /// The possible manners of replacement in this phase. A host that has killed itself is followed by another
    /// host.
    pub fn manners(&self) -> &'static [Manner] {
        match self.way {
            Way::Point(_) | Way::CommitPoint(_) => &[Manner::Kill],
            Way::Seen(..) => &Manner::ALL,
            Way::Idle | Way::Paused(..) | Way::Committing(..) => {
                &[Manner::Kill, Manner::Terminate, Manner::Standby]
            }
        }
    }

    /// Whether the writer has stopped by this phase.
    pub(super) fn is_of_commit(&self) -> bool {
        matches!(self.way, Way::Committing(..) | Way::CommitPoint(_))
    }
}

fn is_running(progress: &Value) -> bool {
    text(progress, "state") == "RUNNING"
}

/// So many tenths of the copy are done.
fn is_copied(progress: &Value, tenths: u64) -> bool {
    let copied = number(progress, "/collectionCopy/estimatedCopiedBytes");
    let total = number(progress, "/collectionCopy/estimatedTotalBytes");
    copied * 10 >= total * tenths
}

fn is_building(progress: &Value) -> bool {
    text(progress, "info") == "index building"
}

fn is_applying(progress: &Value) -> bool {
    text(progress, "info") == "change event application"
}

pub(super) fn is_steady(progress: &Value) -> bool {
    let lag = progress.get("lagTimeSeconds").and_then(Value::as_u64);
    is_applying(progress)
        && number(progress, "/totalEventsApplied") > 300
        && lag.is_some_and(|seconds| seconds <= 1)
}

fn is_restoring(progress: &Value) -> bool {
    text(progress, "state") == "COMMITTING" && text(progress, "info").starts_with("restoring")
}

fn is_committed(progress: &Value) -> bool {
    text(progress, "state") == "COMMITTED"
}

/// Makes a server with fail points answer these commands of hosts slowly.
pub(super) async fn slow(set: &ReplicaSet, commands: &[&str]) -> Result<()> {
    const MS: i32 = 150;
    ensure!(!commands.is_empty(), "no command to be slow at");
    let data =
        doc! { "failCommands": commands.to_vec(), "blockConnection": true, "blockTimeMS": MS };
    let slow = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
    set.admin(slow).await?;
    Ok(())
}

/// Makes it as fast as ever.
pub(super) async fn fast(set: &ReplicaSet) -> Result<()> {
    set.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" })
        .await?;
    Ok(())
}
