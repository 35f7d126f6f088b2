//! A sequence of courses: a phase, an upgrade, an end.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bson::{Binary, doc, spec::BinarySubtype};
use mongodb::Client;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{
    Manner, Persisted, Phase,
    phase::{Way, fast, is_steady, slow},
};
use crate::{
    Host, Rig, Writer,
    host::{DEADLINE, number, text},
    replica_set,
    rig::Options,
    wait::{Look, wait_until},
    workload::{self, Pace, dataset, plugins},
};

/// Documents of the data set, in addition to the wide documents.
pub const DOCUMENTS: u64 = 3000;

/// Log message of a host that dies at a named point.
const DEATH: &str = "killed by TIDEGATE_KILL_AT";

/// Two clusters and the hosts between them, for a sequence of courses.
pub struct Course {
    pub rig: Rig,
    old: PathBuf,
    new: PathBuf,
    options: Value,
    seed: u64,
    writer: Option<Writer>,
    phase: Option<Phase>,
}

/// Writes the data set to a source, and a collection that is large enough for more than one partition.
pub async fn documents(source: &Client, seed: u64) -> Result<()> {
    const WIDE: i32 = 36;
    const BYTES: usize = 1 << 20;
    workload::load(source, DOCUMENTS, seed).await?;
    let mut rng = StdRng::seed_from_u64(seed);
    let wide = (0..WIDE).map(|number| {
        let mut bytes = vec![0; BYTES];
        rng.fill_bytes(&mut bytes);
        let subtype = BinarySubtype::Generic;
        doc! { "_id": number, "page": Binary { subtype, bytes } }
    });
    let collection = source.database("shop").collection("wide");
    collection
        .insert_many(wide)
        .await
        .context("load wide documents")?;
    Ok(())
}

impl Course {
    /// Clusters with the data set, and the old host. `with_plugins`: the sync has plugins, and a plugin of them
    /// quarantines documents.
    pub async fn prepare(old: &Path, new: &Path, with_plugins: bool) -> Result<Self> {
        let mut rig = Rig::with(Options {
            destination: replica_set::Options::with_fail_points(),
            host_binary: Some(old.to_owned()),
            ..Options::default()
        })
        .await?;
        rig.allow_log(DEATH);
        let options = if with_plugins {
            rig.expect(plugins::expected_with_quarantine()?);
            plugins::quarantining()
        } else {
            rig.set_scope(dataset::in_scope);
            dataset::filters()
        };
        let seed = rand::random();
        documents(rig.source.client(), seed).await?;
        Ok(Self {
            rig,
            old: old.to_owned(),
            new: new.to_owned(),
            options,
            seed,
            writer: None,
            phase: None,
        })
    }

    /// A whole course: to the phase, upgraded, and to its end. Returns `pausedMs`, where the new host reports it.
    pub async fn run(&mut self, phase: Phase, manner: Manner) -> Result<Option<u64>> {
        let run = async {
            self.reach(phase).await?;
            let before = self.upgrade(manner).await?;
            self.finish(&before).await?;
            Ok(last_pause(&self.rig.host.progress().await?))
        };
        let run: Result<Option<u64>> = Box::pin(run).await;
        run.with_context(|| format!("{}; {}", phase.name, manner.name()))
    }

    /// Brings a new sync of the old host into a phase.
    pub async fn reach(&mut self, phase: Phase) -> Result<()> {
        self.reach_with(&self.old.clone(), phase).await
    }

    /// The same, of a sync that this host begins.
    pub async fn reach_with(&mut self, binary: &Path, phase: Phase) -> Result<()> {
        self.phase = Some(phase);
        self.stop_writer().await?;
        let rig = &mut self.rig;
        fast(&rig.destination).await?;
        binary.clone_into(&mut rig.host.arguments_mut().binary);
        rig.begin_again(phase.point()).await?;
        if matches!(phase.way, Way::Idle) {
            return Ok(());
        }
        self.seed = self.seed.wrapping_add(1);
        let source = rig.source.client();
        let writer = Writer::start(source, DOCUMENTS, self.seed, Pace::default());
        self.writer = Some(writer);
        if let Way::Seen(_, commands) | Way::Paused(_, commands) = phase.way
            && !commands.is_empty()
        {
            slow(&rig.destination, commands).await?;
        }
        let started = rig.host.start(self.options.clone()).await;
        match phase.way {
            // The answer may be lost with the host.
            Way::Point(_) => {
                rig.host.wait_for_end().await?;
                return Ok(());
            }
            _ => started?,
        }
        match phase.way {
            Way::Seen(look, _) => self.look(look).await,
            Way::Paused(look, _) => {
                self.look(look).await?;
                self.rig.host.pause().await
            }
            _ => self.commit().await,
        }
    }

    /// Brings a sync that runs into a phase of the commit.
    async fn commit(&mut self) -> Result<()> {
        self.rig.host.wait_can_commit().await?;
        self.stop_writer().await?;
        let Some(phase) = self.phase else {
            return Ok(());
        };
        if let Way::Committing(_, commands) = phase.way
            && !commands.is_empty()
        {
            slow(&self.rig.destination, commands).await?;
        }
        let committed = self.rig.host.commit().await;
        if let Way::Committing(look, _) = phase.way {
            committed?;
            return self.look(look).await;
        }
        self.rig.host.wait_for_end().await?;
        Ok(())
    }

    async fn look(&self, look: fn(&Value) -> bool) -> Result<()> {
        let what = self.phase.map_or("the phase", |phase| phase.name);
        self.rig.host.wait_until(what, DEADLINE, look).await?;
        Ok(())
    }

    /// Replaces the old host by the new host. Asserts that state and figures are unchanged, and returns them.
    pub async fn upgrade(&mut self, manner: Manner) -> Result<Persisted> {
        let before = match manner {
            Manner::Standby => self.hand_over().await?,
            _ => {
                self.leave(manner).await?;
                let before = Persisted::read(&self.rig.destination).await?;
                self.start_new(None).await?;
                before
            }
        };
        let first = self.taken_over(&before).await?;
        ensure!(
            number(&first, "/totalEventsApplied")
                >= u64::try_from(before.events_applied).unwrap_or(0),
            "totalEventsApplied went back: {first:#}"
        );
        let copied = before.copied_bytes(&Persisted::read(&self.rig.destination).await?);
        ensure!(
            number(&first, "/collectionCopy/estimatedCopiedBytes") >= copied,
            "copied bytes went back below {copied}: {first:#}"
        );
        Ok(before)
    }

    /// The old host goes, unless it has killed itself already.
    async fn leave(&mut self, manner: Manner) -> Result<()> {
        if manner == Manner::PauseFirst {
            self.rig.host.pause().await?;
        }
        if manner == Manner::Kill && self.rig.host.process().is_ok() {
            self.rig.host.kill()?;
        }
        self.end().await
    }

    /// Sends SIGTERM to the host, if there is a host.
    pub async fn end(&mut self) -> Result<()> {
        if self.rig.host.process().is_ok() {
            let status = self.rig.host.terminate().await?;
            ensure!(status.success(), "SIGTERM ended the host with {status}");
        }
        fast(&self.rig.destination).await
    }

    /// Starts the old host on the present clusters.
    pub async fn start_old(&mut self) -> Result<()> {
        let host = &mut self.rig.host;
        host.arguments_mut().binary.clone_from(&self.old);
        host.restart().await
    }

    /// Starts the new host on the present clusters. `kill_at`: the point at which it kills itself.
    pub async fn start_new(&mut self, kill_at: Option<&str>) -> Result<()> {
        let host = &mut self.rig.host;
        host.arguments_mut().binary.clone_from(&self.new);
        host.restart_to_be_killed(kill_at).await
    }

    /// Starts the new host, which kills itself at the point.
    pub async fn start_new_to_die_at(&mut self, point: &str) -> Result<()> {
        let deaths = self.deaths(point)?;
        // It may be dead before its API has answered.
        if self.start_new(Some(point)).await.is_ok() {
            self.rig.host.wait_for_end().await?;
        }
        ensure!(
            self.deaths(point)? == deaths + 1,
            "the new host ended, but not at {point}: {}",
            self.rig.host.printed()
        );
        Ok(())
    }

    /// How often a host has killed itself at the point.
    fn deaths(&self, point: &str) -> Result<usize> {
        let lines = self.rig.log.lines()?;
        let at_point = |line: &&String| line.contains(DEATH) && line.contains(point);
        Ok(lines.iter().filter(at_point).count())
    }

    pub async fn wait_in_step(&self) -> Result<()> {
        let host = &self.rig.host;
        host.wait_until("in step", DEADLINE, is_steady).await?;
        Ok(())
    }

    /// The new host is a standby while the old host is terminated.
    async fn hand_over(&mut self) -> Result<Persisted> {
        let mut arguments = self.rig.host.arguments().clone();
        arguments.binary.clone_from(&self.new);
        let standby = Host::spawn(arguments).await?;
        let mut old = std::mem::replace(&mut self.rig.host, standby);
        let before = Persisted::read(&self.rig.destination).await?;
        let status = old.terminate().await?;
        fast(&self.rig.destination).await?;
        ensure!(status.success(), "SIGTERM ended the old host with {status}");
        Ok(before)
    }

    /// The first progress of a new host that holds the sync. Its state is that of the old host.
    async fn taken_over(&self, before: &Persisted) -> Result<Value> {
        let host = &self.rig.host;
        let first = wait_until("the new host holds the sync", DEADLINE, async || {
            // A standby of a host without a lease shows none either. Its own role tells it apart.
            let role = host.call("GET", "/readyz", "").await?;
            let progress = host.progress().await?;
            let waits = text(&role.body, "role") == "standby";
            let finds_nothing = text(&progress, "state") == "IDLE" && before.state != "IDLE";
            Ok(if waits || finds_nothing {
                Look::NotYet(format!("{}, {progress:#}", role.body))
            } else {
                Look::Done(progress)
            })
        })
        .await?;
        let state = text(&first, "state");
        let as_it_was =
            state == before.state || before.state == "COMMITTING" && state == "COMMITTED";
        ensure!(as_it_was, "the state was {}, and is {state}", before.state);
        Ok(first)
    }

    /// Finishes the sync. Asserts that both clusters are equal and that nothing has gone back.
    pub async fn finish(&mut self, before: &Persisted) -> Result<()> {
        match text(&self.rig.host.progress().await?, "state") {
            "IDLE" => self.rig.host.start(self.options.clone()).await?,
            "PAUSED" => self.rig.host.resume().await?,
            _ => {}
        }
        let of_commit = self.phase.is_some_and(|phase| phase.is_of_commit());
        if of_commit {
            self.rig.host.wait_for_state("COMMITTED").await?;
        } else {
            self.rig.host.wait_can_commit().await?;
            self.stop_writer().await?;
            self.rig.commit().await?;
        }
        self.rig.compare().await?;
        let after = Persisted::read(&self.rig.destination).await?;
        after.has_not_gone_back(before)?;
        ensure!(after.state == "COMMITTED", "the state is {}", after.state);
        self.names_what_is_deferred().await
    }

    /// A sync that an earlier release has begun without a verification goes on without, and says so.
    async fn names_what_is_deferred(&self) -> Result<()> {
        let progress = self.rig.host.progress().await?;
        let deferred = progress.pointer("/featureSet/deferredFeatures");
        let deferred = deferred.and_then(Value::as_array);
        let is_named = deferred.is_some_and(|deferred| {
            let mut deferred = deferred.iter();
            deferred.any(|feature| text(feature, "name") == "verification")
        });
        let is_asked = self.options.get("verification").is_some();
        let verification = progress.get("verification").filter(|it| !it.is_null());
        ensure!(
            is_asked || is_named == verification.is_none(),
            "verification {verification:?}, deferred {deferred:?}"
        );
        Ok(())
    }

    async fn stop_writer(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            writer.stop().await?;
        }
        Ok(())
    }

    /// All courses are run: checks the hosts' log, stops everything and removes the files.
    pub fn close(self) -> Result<()> {
        self.rig.log.check()?;
        self.rig.abandon();
        Ok(())
    }
}

/// `pausedMs` of the newest upgrade.
fn last_pause(progress: &Value) -> Option<u64> {
    let history = progress.pointer("/upgrade/history")?.as_array()?;
    history.last()?.get("pausedMs")?.as_u64()
}
