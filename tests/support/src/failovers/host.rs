//! The host of a run, and its supervisor: a host that has ended by itself is started again, as a service manager does.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    Host,
    api::{brief, call, post},
    host::{Arguments, text},
    wait::{Look, wait_until},
};

/// Longest time until a goal of a run is reached, with any failure that lasts seconds.
const DEADLINE: Duration = Duration::from_secs(240);

/// After this time without an answer of a cluster the sync pauses.
pub(super) const OUTAGE: Duration = Duration::from_secs(590);

/// Time between two looks: a look costs the host and the tests CPU.
const LOOK: Duration = Duration::from_millis(100);

/// A part of the warning of a sync that has paused so.
const SILENT: &str = "back and try again";

/// The host, behind a port that it keeps.
pub(super) struct Keeper {
    host: Mutex<Host>,
    port: u16,
    /// Longest time until a goal of a run is reached.
    deadline: Duration,
    /// A sync that pauses because of an outage is resumed, as the page of `ConnectionFailed` says.
    resumes: bool,
}

impl Keeper {
    /// `away`: for how long a cluster will be away.
    pub(super) async fn start(arguments: Arguments, away: Duration) -> Result<Self> {
        let host = Host::spawn(arguments).await?;
        Ok(Self {
            port: host.port(),
            host: Mutex::new(host),
            deadline: DEADLINE + away,
            resumes: away > OUTAGE,
        })
    }

    /// kill -9, and a start after this time.
    pub(super) async fn kill(&self, lasts: Duration) -> Result<()> {
        let mut host = self.host.lock().await;
        if !host.has_ended() {
            host.kill()?;
        }
        sleep(lasts).await;
        // A host that ends because a cluster does not answer is started again by `supervise`.
        let _ = host.restart_without_clusters().await;
        Ok(())
    }

    pub(super) async fn end(&self) -> PathBuf {
        let mut host = self.host.lock().await;
        if !host.has_ended() {
            // The process may end at this moment by itself.
            let _ = host.kill();
        }
        host.log_path().to_owned()
    }

    /// Starts the host where it has ended by itself.
    async fn supervise(&self) {
        let mut host = self.host.lock().await;
        if host.has_ended() {
            let _ = host.restart_without_clusters().await;
        }
    }

    pub(super) async fn progress(&self) -> Option<Value> {
        let answer = call(self.port, "GET", "/api/v1/progress", "").await.ok()?;
        answer.body.get("progress").cloned()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<()> {
        post(self.port, path, body).await.map(drop)
    }

    /// Repeats `act` until the progress is accepted. The answers of calls do not count: an answer may be lost although
    /// the call was carried out. A sync that has paused by itself has failed.
    pub(super) async fn until(
        &self,
        what: &str,
        pleases: impl Fn(&Value) -> bool,
        act: impl AsyncFn(&Value) -> Result<()>,
    ) -> Result<Value> {
        self.drive(what, pleases, act, false).await
    }

    /// The same, with pauses.
    async fn drive(
        &self,
        what: &str,
        pleases: impl Fn(&Value) -> bool,
        act: impl AsyncFn(&Value) -> Result<()>,
        may_pause: bool,
    ) -> Result<Value> {
        let mut last = String::new();
        wait_until(what, self.deadline, async || {
            self.supervise().await;
            let Some(progress) = self.progress().await else {
                return Ok(Look::NotYet(format!("no answer of the host; {last}")));
            };
            if pleases(&progress) {
                return Ok(Look::Done(progress));
            }
            let is_paused = text(&progress, "state") == "PAUSED";
            let warnings = progress.get("warnings").unwrap_or(&Value::Null);
            if is_paused && self.resumes && warnings.to_string().contains(SILENT) {
                self.post("/api/v1/resume", &json!({})).await?;
                return Ok(Look::NotYet(format!("resumed: {warnings}")));
            }
            ensure!(
                may_pause || !is_paused,
                "{what}: the sync has paused by itself: {warnings}"
            );
            if let Err(error) = act(&progress).await {
                last = format!("{error:#}");
            }
            sleep(LOOK).await;
            Ok(Look::NotYet(format!("{last} {}", brief(&progress))))
        })
        .await
    }

    pub(super) async fn wait(&self, what: &str, pleases: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until(what, pleases, async |_| Ok(())).await
    }

    /// Asks for a state until the sync is in it.
    pub(super) async fn reach(&self, state: &str, path: &str) -> Result<()> {
        let reached = |progress: &Value| text(progress, "state") == state;
        let ask = async |_: &Value| self.post(path, &json!({})).await;
        self.drive(&format!("state {state}"), reached, ask, true)
            .await?;
        Ok(())
    }
}
