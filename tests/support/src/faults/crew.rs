//! The hosts of a run: started, called, killed, stopped and continued. A call goes to the host that works.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Host,
    api::{brief, call, post, send},
    host::{Arguments, text},
    wait::{Look, wait_until},
};

/// Longest time until a goal of a run is reached, with any fault.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
/// How often a host is started that a fault keeps from starting.
const STARTS: usize = 5;

/// Hosts in the order in which they were hired.
pub(super) struct Crew {
    arguments: Arguments,
    hosts: Mutex<Vec<Option<Host>>>,
    /// Only one host is started at a time.
    hiring: tokio::sync::Mutex<()>,
    /// A host that stands still, or does not know yet that it is too late.
    ignored: Mutex<Option<usize>>,
    /// Number of current acts during which a pause is not a failure: a fault acts concurrently with the script.
    pauses: AtomicUsize,
}

/// See [`Crew::allow_pause`].
#[must_use]
pub(super) struct PauseAllowed<'a>(&'a AtomicUsize);

impl Drop for PauseAllowed<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A host that works on the sync, or would.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) place: usize,
    pub(super) port: u16,
    pub(super) progress: Value,
}

impl Crew {
    pub(super) fn new(arguments: Arguments) -> Self {
        Self {
            arguments,
            hosts: Mutex::default(),
            hiring: tokio::sync::Mutex::new(()),
            ignored: Mutex::default(),
            pauses: AtomicUsize::new(0),
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<Option<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log_path(&self) -> &Path {
        &self.arguments.log_path
    }

    fn log_of(&self, place: usize) -> PathBuf {
        self.arguments.log_path.join(letter(place).to_string())
    }

    /// Starts another host. A fault may let the first attempts fail.
    pub(super) async fn hire(&self) -> Result<usize> {
        let _alone = self.hiring.lock().await;
        self.hire_alone().await
    }

    async fn hire_alone(&self) -> Result<usize> {
        let place = self.hosts().len();
        let mut arguments = self.arguments.clone();
        arguments.log_path = self.log_of(place);
        let id = letter(place).to_string();
        arguments.more.extend(["--id".to_owned(), id]);
        let mut attempt = 1;
        let host = loop {
            match Host::spawn(arguments.clone()).await {
                Ok(host) => break host,
                Err(error) if attempt >= STARTS => return Err(error),
                Err(_) => attempt += 1,
            }
        };
        self.hosts().push(Some(host));
        Ok(place)
    }

    /// Starts a host if none is left.
    async fn ensure_one(&self) -> Result<()> {
        let _alone = self.hiring.lock().await;
        if self.ports().is_empty() {
            self.hire_alone().await?;
        }
        Ok(())
    }

    /// kill -9, unless the host has gone already.
    pub(super) fn kill(&self, place: usize) -> Result<()> {
        let host = self.hosts().get_mut(place).and_then(Option::take);
        host.map_or(Ok(()), |mut host| host.kill())
    }

    pub(super) fn freeze(&self, place: usize) -> Result<()> {
        self.ignore(Some(place));
        self.with(place, |host| host.process()?.freeze())
    }

    pub(super) fn thaw(&self, place: usize) -> Result<()> {
        self.ignore(None);
        self.with(place, |host| host.process()?.thaw())
    }

    fn ignored(&self) -> Option<usize> {
        *self.ignored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is asked of this host.
    pub(super) fn ignore(&self, place: Option<usize>) {
        *self.ignored.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn with(&self, place: usize, act: impl Fn(&Host) -> Result<()>) -> Result<()> {
        let hosts = self.hosts();
        let host = hosts.get(place).and_then(Option::as_ref);
        host.map_or(Ok(()), act)
    }

    /// Kills all that are left.
    pub(super) fn dismiss(&self) {
        self.hosts().clear();
    }

    /// The hosts whose processes live, with their ports.
    fn ports(&self) -> Vec<(usize, u16)> {
        let mut living = Vec::new();
        for (place, seat) in self.hosts().iter_mut().enumerate() {
            let ended = seat.as_mut().is_some_and(|host| host.has_ended());
            if ended {
                *seat = None;
            }
            living.extend(seat.as_ref().map(|host| (place, host.port())));
        }
        living
    }

    /// The host that works on the sync, if a host says so. Before a sync has begun: the first host.
    pub(super) async fn worker(&self) -> Option<Worker> {
        let ignored = self.ignored();
        let ports = self.ports().into_iter();
        for (place, port) in ports.filter(|(place, _)| Some(*place) != ignored) {
            let Ok(answer) = call(port, "GET", "/api/v1/progress", "").await else {
                continue;
            };
            let progress = answer.body.get("progress").cloned().unwrap_or(Value::Null);
            let ours = progress.pointer("/lease/ours") == Some(&Value::Bool(true));
            if ours || text(&progress, "state") == "IDLE" {
                return Some(Worker {
                    place,
                    port,
                    progress,
                });
            }
        }
        None
    }

    /// As long as this is kept, a pause is not a failure.
    pub(super) fn allow_pause(&self) -> PauseAllowed<'_> {
        self.pauses.fetch_add(1, Ordering::Relaxed);
        PauseAllowed(&self.pauses)
    }

    fn refuse_pause(&self, progress: &Value) -> Result<()> {
        let may_pause = self.pauses.load(Ordering::Relaxed) > 0;
        let is_paused = text(progress, "state") == "PAUSED";
        ensure!(
            may_pause || !is_paused,
            "the sync has paused by itself: {}",
            progress.get("warnings").unwrap_or(&Value::Null)
        );
        Ok(())
    }

    /// Repeats `act` on the worker until its progress is accepted. The answers of calls do not count: an answer may
    /// be lost although the call was carried out.
    pub(super) async fn until(
        &self,
        what: &str,
        pleases: impl Fn(&Worker) -> bool,
        mut act: impl AsyncFnMut(&Worker) -> Result<()>,
    ) -> Result<Worker> {
        let mut last = String::new();
        wait_until(what, DEADLINE, async || {
            self.ensure_one().await?;
            let Some(worker) = self.worker().await else {
                return Ok(Look::NotYet(format!("no host works on the sync {last}")));
            };
            if pleases(&worker) {
                return Ok(Look::Done(worker));
            }
            self.refuse_pause(&worker.progress)?;
            if let Err(error) = act(&worker).await {
                last = format!("{error:#}");
            }
            Ok(Look::NotYet(format!("{last} {}", brief(&worker.progress))))
        })
        .await
    }

    /// Asks for a state until the worker is in it.
    pub(super) async fn reach(&self, state: &str, call: &str) -> Result<()> {
        let reached = |worker: &Worker| text(&worker.progress, "state") == state;
        self.until(state, reached, async |worker| {
            post(worker.port, call, &json!({})).await.map(drop)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn pause_and_resume(&self) -> Result<()> {
        let _allowed = self.allow_pause();
        self.reach("PAUSED", "/api/v1/pause").await?;
        self.reach("RUNNING", "/api/v1/resume").await
    }

    /// Makes a host give the sync to another host, which has been started before. A handover that fails leaves the
    /// sync paused, and its error says that a resume continues it. A sync that is paused for another reason is
    /// handed over as it is.
    pub(super) async fn hand_over(&self, from: usize) -> Result<()> {
        let handed = |worker: &Worker| worker.place != from;
        let _allowed = self.allow_pause();
        self.until("another host works on the sync", handed, async |worker| {
            let call = match worker.state() {
                "PAUSED" if has_kept_the_sync(&worker.progress) => "/api/v1/resume",
                _ => "/api/v1/handover",
            };
            post(worker.port, call, &json!({})).await.map(drop)
        })
        .await?;
        Ok(())
    }

    /// Waits until the worker's progress is accepted.
    pub(super) async fn wait(
        &self,
        what: &str,
        pleases: impl Fn(&Worker) -> bool,
    ) -> Result<Worker> {
        self.until(what, pleases, async |_| Ok(())).await
    }
}

/// Whether a handover has failed, and its host has kept the sync.
fn has_kept_the_sync(progress: &Value) -> bool {
    let warnings = progress.get("warnings").map(Value::to_string);
    let warnings = warnings.unwrap_or_default();
    warnings.contains("the lease is not given back") || warnings.contains("is not persisted")
}

/// `a` for the first host of a run.
pub(super) fn letter(place: usize) -> char {
    let offset = u8::try_from(place).unwrap_or(25).min(25);
    char::from(b'a' + offset)
}

/// Uploads a component; answers its digest.
pub(super) async fn upload(port: u16, component: Vec<u8>) -> Result<String> {
    let answer = send(port, "POST", "/api/v1/plugins", component).await?;
    let digest = answer
        .body
        .pointer("/plugin/digest")
        .and_then(Value::as_str);
    let digest = digest.with_context(|| format!("the upload answers {}", answer.body))?;
    Ok(digest.to_owned())
}
