//! Two clusters, each behind a proxy, for a sequence of runs.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::{Timestamp, doc};

use super::{
    crew::{Crew, DEADLINE, letter},
    kind::Side,
    name::Name,
    script::Script,
    set::{self, Synced},
};
use crate::{
    LogCheck, ReplicaSet, TestDir,
    compare::compare,
    host::{self, Arguments},
    proxy::{Command, Proxies, Proxy},
    replica_set::Options,
    wait::{Look, wait_until},
};

/// The clusters of a stage, with their proxies.
pub(super) struct Clusters {
    pub(super) source: ReplicaSet,
    pub(super) destination: ReplicaSet,
    proxies: Proxies,
}

impl Clusters {
    pub(super) fn set(&self, side: Side) -> &ReplicaSet {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }

    pub(super) fn proxy(&self, side: Side) -> &Proxy {
        match side {
            Side::Source => &self.proxies.source,
            Side::Destination => &self.proxies.destination,
        }
    }

    pub(super) fn enter(&self, phase: &str) {
        self.proxies.enter(phase);
    }

    /// Delays each command of a host, or no longer.
    pub(super) fn delay_hosts(&self, by: Option<Duration>) {
        const HOSTS: &str = "tidegate ";
        for proxy in self.proxies.both() {
            match by {
                Some(by) => proxy.delay(HOSTS, by),
                None => proxy.mend(HOSTS),
            }
        }
    }

    /// The source's newest cluster time. The note takes an idle source past it.
    pub(super) async fn source_time(&self) -> Result<Timestamp> {
        let note = doc! { "appendOplogNote": 1, "data": { "test": "moves on" } };
        wait_until("the source takes a note", DEADLINE, async || {
            let reply = self.source.admin(doc! { "ping": 1 }).await?;
            let time = reply.get_timestamp("operationTime")?;
            // A fault may just have made its primary step down.
            Ok(match self.source.admin(note.clone()).await {
                Ok(_) => Look::Done(time),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    /// Empties both clusters.
    async fn begin_again(&self) -> Result<()> {
        for side in Side::BOTH {
            self.proxy(side).begin_again();
            let set = self.set(side);
            if set.addresses().len() > 1 {
                set.join_members().await?;
            }
            set.wait_for_primary().await?;
            // A transaction of a dead host would keep its collections from being dropped.
            set.admin(doc! { "killAllSessions": [] }).await?;
            set.drop_all().await?;
        }
        Ok(())
    }
}

/// Stages for runs of every kind, started as they are needed.
#[derive(Default)]
pub struct Stages {
    of_one: Option<Stage>,
    of_three: Option<Stage>,
    has_failed: bool,
}

impl Stages {
    /// A sync without a fault: the commands of its hosts.
    pub async fn record(&mut self) -> Result<Vec<(Side, Command)>> {
        let stage = match &mut self.of_one {
            Some(stage) => stage,
            none => none.insert(Stage::start(false).await?),
        };
        let recorded = stage.record().await;
        self.has_failed |= recorded.is_err();
        recorded.context("the sync without a fault")
    }

    /// A sync with a fault, on the stage that its kind needs.
    pub async fn run(&mut self, name: &Name) -> Result<Outcome> {
        let played = self.play(std::slice::from_ref(name)).await?;
        Ok(Outcome {
            met: played.met == [true],
            seconds: played.seconds,
            failure: played.failure,
        })
    }

    /// A sync with a fault in each of several phases. Faults whose commands have not come are tried alone, and so
    /// are all faults if the sync has failed.
    pub async fn run_together(&mut self, names: &[Name]) -> Result<Vec<Outcome>> {
        let played = self.play(names).await?;
        let share = played.seconds / names.len().max(1) as f64;
        let mut outcomes = Vec::new();
        for (name, met) in names.iter().zip(&played.met) {
            let mut outcome = Outcome {
                met: *met,
                seconds: share,
                failure: played.failure.clone(),
            };
            if names.len() > 1 && (!met || played.failure.is_some()) {
                outcome = self.run(name).await?;
                outcome.seconds += share;
            }
            outcomes.push(outcome);
        }
        let alone = outcomes.iter().any(|outcome| outcome.failure.is_some());
        if let (Some(failure), false, Some(first)) = (played.failure, alone, outcomes.first_mut()) {
            let names = names.iter().map(|name| format!("\n  {name}"));
            let names = names.collect::<String>();
            first.failure = Some(format!("together, and none alone: {failure}{names}"));
        }
        Ok(outcomes)
    }

    async fn play(&mut self, names: &[Name]) -> Result<Played> {
        let three = names.iter().any(|name| name.kind.needs_three());
        let stage = match three {
            true => &mut self.of_three,
            false => &mut self.of_one,
        };
        let played = match stage {
            Some(stage) => stage.run(names).await,
            None => stage.insert(Stage::start(three).await?).run(names).await,
        };
        self.has_failed |= played.failure.is_some();
        Ok(played)
    }

    /// Stops all clusters; without failures, their files go.
    pub fn end(self) {
        for stage in [self.of_one, self.of_three].into_iter().flatten() {
            stage.end(!self.has_failed);
        }
    }
}

/// Runs scripted syncs, each after the other.
pub struct Stage {
    clusters: Arc<Clusters>,
    binary: PathBuf,
    directory: TestDir,
    runs: u64,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// False: the sync never came to the command, or not in this order.
    pub met: bool,
    pub seconds: f64,
    pub failure: Option<String>,
}

/// The outcome of a sync with faults.
#[derive(Debug)]
pub struct Played {
    /// Of each fault, whether its command has come.
    met: Vec<bool>,
    seconds: f64,
    failure: Option<String>,
}

impl Stage {
    /// `three`: the destination has three members.
    pub async fn start(three: bool) -> Result<Self> {
        let directory = TestDir::new()?;
        let path = |name: &str| directory.path().join(name);
        let options = || {
            Options::with_fail_points()
                .argument("--setParameter")
                .argument("transactionLifetimeLimitSeconds=5")
        };
        let of_destination = match three {
            true => options().of_three(),
            false => options(),
        };
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start("source", path("source"), options()),
            ReplicaSet::start("destination", path("destination"), of_destination),
        )?;
        let proxies = Proxies::before(&source, &destination).await?;
        let clusters = Clusters {
            source,
            destination,
            proxies,
        };
        Ok(Self {
            clusters: Arc::new(clusters),
            binary: host::binary()?,
            directory,
            runs: 0,
        })
    }

    /// A sync without a fault: the commands of its hosts.
    pub async fn record(&mut self) -> Result<Vec<(Side, Command)>> {
        let crew = self.begin_again().await?;
        Script::new(&self.clusters, &crew, &[]).run().await?;
        self.check(&crew, true).await?;
        crew.dismiss();
        let mut commands = Vec::new();
        for side in Side::BOTH {
            let journal = self.clusters.proxy(side).journal().into_iter();
            commands.extend(journal.map(|command| (side, command)));
        }
        Ok(commands)
    }

    /// A sync with faults.
    pub async fn run(&mut self, names: &[Name]) -> Played {
        let begun = Instant::now();
        let mut met = vec![false; names.len()];
        let done = Box::pin(self.try_run(names, &mut met)).await;
        Played {
            met,
            seconds: begun.elapsed().as_secs_f64(),
            failure: done.err().map(|error| format!("{error:#}")),
        }
    }

    async fn try_run(&mut self, names: &[Name], met: &mut [bool]) -> Result<()> {
        let crew = self.begin_again().await?;
        let logs = crew.log_path().display().to_string();
        let mut script = Script::new(&self.clusters, &crew, names);
        let played = script.run().await;
        met.copy_from_slice(script.met());
        drop(script);
        let ended = match played {
            Ok(()) => self.check(&crew, false).await,
            failed => failed,
        };
        crew.dismiss();
        if ended.is_err() {
            self.write_journals(&crew)?;
        }
        ended.with_context(|| format!("logs are in {logs}"))?;
        // Logs of a successful run are not needed.
        std::fs::remove_dir_all(crew.log_path()).context("remove logs")
    }

    /// Writes the commands of a run next to its logs.
    fn write_journals(&self, crew: &Crew) -> Result<()> {
        for side in Side::BOTH {
            let journal = self.clusters.proxy(side).journal();
            let lines = journal
                .iter()
                .map(|command| format!("{command}, host {}\n", letter(command.ordinal)));
            let file = crew
                .log_path()
                .join(format!("{}-commands.txt", side.name()));
            std::fs::write(file, lines.collect::<String>()).context("write a journal")?;
        }
        Ok(())
    }

    async fn begin_again(&mut self) -> Result<Arc<Crew>> {
        self.runs += 1;
        self.clusters.begin_again().await?;
        set::load(self.clusters.source.client())
            .await
            .context("load the source")?;
        let more = ["--leaseSeconds", "2"].map(str::to_owned).to_vec();
        let run = format!("run-{}", self.runs);
        let arguments = Arguments {
            binary: self.binary.clone(),
            cluster0: self.clusters.proxy(Side::Source).uri().to_owned(),
            cluster1: self.clusters.proxy(Side::Destination).uri().to_owned(),
            log_path: self.directory.path().join("logs").join(run),
            more,
            // Each collection has several partitions.
            environment: vec![("TIDEGATE_PARTITION_BYTES".to_owned(), "2000".to_owned())],
        };
        Ok(Arc::new(Crew::new(arguments)))
    }

    /// Compares both clusters, and reads the logs. A fault may be warned of.
    async fn check(&self, crew: &Crew, is_strict: bool) -> Result<()> {
        let (source, destination) = (&self.clusters.source, &self.clusters.destination);
        let compared = compare(source.client(), destination.client(), &Synced::new()?).await?;
        let compared = compared.into_result()?;
        ensure!(
            compared.documents > 200,
            "little was compared: {compared:?}"
        );
        for entry in std::fs::read_dir(crew.log_path()).context("list logs")? {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            let mut log = LogCheck::new(&path);
            if !is_strict {
                log.allow("\"WARN\"");
                // A host that starts during a fault may exit, and is started again.
                log.allow("ended: ConnectionFailed");
                // A call that a fault interrupts names the work that it has not done.
                log.allow("PAUSED is not persisted");
                log.allow("the lease is not given back");
            }
            log.check()?;
        }
        Ok(())
    }

    /// Where logs of failed runs are.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Stops the clusters; without failures, their files go.
    pub fn end(self, has_passed: bool) {
        let Self {
            clusters,
            directory,
            ..
        } = self;
        drop(clusters);
        if has_passed {
            directory.remove();
            return;
        }
        // The logs are enough: clusters are large, and later runs have changed them.
        for cluster in ["source", "destination"] {
            let _ = std::fs::remove_dir_all(directory.path().join(cluster));
        }
    }
}
