//! Copies that are held in the middle, so that the state of each collection is known: unseen, in work, done.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::Value;
use support::{
    Rig,
    host::{DEADLINE, can_commit, text},
    proxy::{Command, Faulted, Pattern, Proxy, Then, commands},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};
use tokio::sync::watch;

use crate::steps::{metadata, position, source_time};

/// Bytes of a partition: collections of a hundred documents have several.
pub(crate) const PARTITION_BYTES: &str = "16384";

/// Clusters with fail points, each after a proxy, and a host with one copy worker and small partitions.
pub(crate) fn one_worker() -> Options {
    with_load_level(1)
}

pub(crate) fn with_load_level(level: u8) -> Options {
    Options {
        source: replica_set::Options::with_fail_points(),
        destination: replica_set::Options::with_fail_points(),
        host_arguments: vec!["--loadLevel".to_owned(), level.to_string()],
        host_environment: vec![(
            "TIDEGATE_PARTITION_BYTES".to_owned(),
            PARTITION_BYTES.to_owned(),
        )],
        proxied: true,
        ..Options::default()
    }
}

/// Reads of a copy. Unlike look-ups they have a time and a hint.
pub(crate) fn copy_reads(of: impl Fn(&str) -> bool + Send + Sync + 'static) -> Pattern {
    commands("find").when(move |command| {
        let concern = command.body.get_document("readConcern");
        let timed = concern.is_ok_and(|concern| concern.get_timestamp("afterClusterTime").is_ok());
        timed && command.body.get_document("hint").is_ok() && of(&command.namespace())
    })
}

/// Inserts of a copy. Unlike those of an applier they have no transaction.
pub(crate) fn copy_inserts(of: impl Fn(&str) -> bool + Send + Sync + 'static) -> Pattern {
    commands("insert").when(move |command| !command.transaction.is_open && of(&command.namespace()))
}

/// Commands wait at a gate until it is opened.
pub(crate) struct Gate {
    rule: Faulted,
    verdict: watch::Sender<Option<Then>>,
}

impl Gate {
    pub(crate) fn at(proxy: &Proxy, pattern: Pattern) -> Self {
        let (verdict, waits) = watch::channel(None);
        let rule = proxy.on(pattern).before(move |_| {
            let mut waits = waits.clone();
            async move {
                let verdict = waits.wait_for(Option::is_some).await;
                verdict.map_or(Then::Cut, |verdict| verdict.unwrap_or(Then::Cut))
            }
        });
        Self { rule, verdict }
    }

    /// Before the inserts of a collection's copy.
    pub(crate) fn at_inserts(rig: &Rig, namespace: &str) -> Result<Self> {
        let namespace = namespace.to_owned();
        let pattern = copy_inserts(move |of| of == namespace);
        Ok(Self::at(&rig.proxies()?.destination, pattern))
    }

    /// Before the reads of a collection's copy.
    pub(crate) fn at_reads(rig: &Rig, namespace: &str) -> Result<Self> {
        let namespace = namespace.to_owned();
        let pattern = copy_reads(move |of| of == namespace);
        Ok(Self::at(&rig.proxies()?.source, pattern))
    }

    /// Waits until a command waits.
    pub(crate) async fn reached(&self) -> Result<Command> {
        self.rule.seen().await
    }

    pub(crate) fn is_reached(&self) -> bool {
        !self.rule.commands().is_empty()
    }

    pub(crate) fn open(&self) {
        self.verdict.send_replace(Some(Then::GoOn));
    }

    /// Loses the waiting commands, whose clients have gone. Later commands pass.
    pub(crate) fn lose(self, proxy: &Proxy) {
        proxy.remove(&self.rule);
        self.verdict.send_replace(Some(Then::Cut));
    }
}

/// Partitions of a collection by their persisted state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partitions {
    pub(crate) unseen: usize,
    pub(crate) in_work: usize,
    pub(crate) done: usize,
}

impl Partitions {
    /// Those of a collection with this name on the source.
    pub(crate) async fn of(rig: &Rig, namespace: &str) -> Result<Self> {
        let (database, collection) = namespace.split_once('.').context("a namespace")?;
        let namespaces = metadata(rig, "namespaces").await?;
        let is_it = |found: &&Document| {
            let source = found.get_document("source");
            source.is_ok_and(|source| {
                source.get_str("database").ok() == Some(database)
                    && source.get_str("collection").ok() == Some(collection)
            })
        };
        let found = namespaces.iter().find(is_it);
        let id = found
            .with_context(|| format!("{namespace} is not recorded"))?
            .get_str("_id")?;
        let mut states = Self::default();
        for partition in metadata(rig, "copyPartitions").await? {
            if partition.get_str("namespaceId").ok() != Some(id) {
                continue;
            }
            let is = |field: &str| partition.get_bool(field).unwrap_or_default();
            let is_begun = is("begun") || partition.contains_key("begunAt");
            match is("done") {
                true => states.done += 1,
                false if is_begun => states.in_work += 1,
                false => states.unseen += 1,
            }
        }
        Ok(states)
    }

    pub(crate) fn are_done(self) -> bool {
        self.done > 0 && (self.unseen, self.in_work) == (0, 0)
    }

    pub(crate) fn are_unseen(self) -> bool {
        self.unseen > 0 && (self.done, self.in_work) == (0, 0)
    }
}

/// Waits until everything on the source is applied or parked, and the position persisted, while collections are
/// copied or their indexes built.
pub(crate) async fn wait_in_step_beside(rig: &Rig) -> Result<Value> {
    let time = source_time(rig).await?;
    let progress = rig
        .host
        .wait_until("in step beside the copy", DEADLINE, |progress| {
            position(progress, "safe").is_some_and(|safe| safe >= time)
        })
        .await?;
    ensure!(
        !can_commit(&progress),
        "commit is offered before collections are ready: {progress:#}"
    );
    ensure!(
        !text(&progress, "canCommitReason").is_empty(),
        "no reason why commit waits: {progress:#}"
    );
    Ok(progress)
}

/// The fail point at which an index build stands still and can be aborted.
const BUILD_STANDS_STILL: &str = "hangAfterStartingIndexBuild";

/// Holds index builds of collections with documents on the destination, or lets them go.
pub(crate) async fn hold_builds(rig: &Rig, are_held: bool) -> Result<()> {
    let mode = if are_held { "alwaysOn" } else { "off" };
    rig.destination
        .admin(doc! { "configureFailPoint": BUILD_STANDS_STILL, "mode": mode })
        .await?;
    Ok(())
}

/// Collections whose indexes the destination is building.
pub(crate) async fn builds(rig: &Rig) -> Result<Vec<String>> {
    let look = doc! { "aggregate": 1, "cursor": {}, "pipeline": [
        { "$currentOp": { "allUsers": true } },
        { "$match": { "desc": { "$regex": "^IndexBuildsCoordinator" } } },
    ] };
    let found = rig.destination.admin(look).await?;
    let operations = found.get_document("cursor")?.get_array("firstBatch")?;
    let namespaces = operations.iter().filter_map(|operation| {
        let namespace = operation.as_document()?.get_str("ns").ok()?;
        Some(namespace.to_owned())
    });
    Ok(namespaces.collect())
}

/// Waits until the destination builds an index of this collection.
pub(crate) async fn wait_for_build(rig: &Rig, namespace: &str) -> Result<()> {
    wait_until("an index is built", DEADLINE, async || {
        let builds = builds(rig).await?;
        Ok(match builds.iter().any(|one| one == namespace) {
            true => Look::Done(()),
            false => Look::NotYet(format!("builds of {builds:?}")),
        })
    })
    .await
}
