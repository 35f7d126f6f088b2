//! The `tidegate` process under test: started, spoken to over HTTP, killed and
//! started again as an operator would.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

pub use crate::api::{Answer, can_commit, number, text};
use crate::{
    api::request,
    mongod::target_directory,
    process::{Process, Usage, free_port},
    wait::{Look, wait_until},
};

/// Longest time until a state is reached, unless a test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Names the point at which a host built for tests kills itself: `name`, or
/// `name:n` for the n-th passage.
const KILL_AT: &str = "TIDEGATE_KILL_AT";

/// How a host is started: everything a restart repeats.
#[derive(Clone, Debug)]
pub struct Arguments {
    pub binary: PathBuf,
    pub cluster0: String,
    pub cluster1: String,
    /// Directory of the log and of the output (`stderr`).
    pub log_path: PathBuf,
    /// More arguments.
    pub more: Vec<String>,
    /// More of the environment.
    pub environment: Vec<(String, String)>,
}

pub struct Host {
    arguments: Arguments,
    port: u16,
    process: Option<Process>,
    kill_at: Option<String>,
    /// Of the processes that have ended.
    ended: Usage,
    /// CPU time of the running process at the last look: a dead process cannot be asked.
    seen_cpu_ms: AtomicU64,
    seen_peak_kb: AtomicU64,
}

/// True for the progress of a host that has not reached its clusters yet.
fn waits_for_clusters(body: &Value) -> bool {
    let info = body.pointer("/progress/info");
    info.and_then(Value::as_str) == Some("waiting for clusters")
}

/// The host's binary: `TIDEGATE_BIN`, else the binary next to the running test or task (`target/debug`,
/// `target/release`).
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TIDEGATE_BIN") {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_exe().context("find the running program")?;
    let beside = here
        .ancestors()
        .skip(1)
        .map(|dir| dir.join("tidegate"))
        .find(|file| file.is_file());
    beside.context("the host is not built: run `cargo build`, or `cargo xtask test`")
}

/// The host's binary of the release profile, or `TIDEGATE_BIN`.
pub fn release_binary() -> PathBuf {
    let given = std::env::var_os("TIDEGATE_BIN").map(PathBuf::from);
    given.unwrap_or_else(|| target_directory().join("release").join("tidegate"))
}

impl Host {
    /// Starts a host between two clusters and waits until its API answers.
    pub async fn spawn(arguments: Arguments) -> Result<Self> {
        Self::spawn_to_be_killed(arguments, None).await
    }

    /// The same, with a named point at which it kills itself.
    pub async fn spawn_to_be_killed(arguments: Arguments, kill_at: Option<&str>) -> Result<Self> {
        std::fs::create_dir_all(&arguments.log_path).context("create a log directory")?;
        let mut host = Self {
            arguments,
            port: free_port()?,
            process: None,
            kill_at: kill_at.map(str::to_owned),
            ended: Usage::default(),
            seen_cpu_ms: AtomicU64::new(0),
            seen_peak_kb: AtomicU64::new(0),
        };
        host.run().await?;
        Ok(host)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn log_path(&self) -> &Path {
        &self.arguments.log_path
    }

    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    pub fn arguments_mut(&mut self) -> &mut Arguments {
        &mut self.arguments
    }

    // ---- the API

    /// Calls the API and returns its answer.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        self.look_at_usage();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let (method, body) = (method.to_owned(), body.to_owned().into_bytes());
        tokio::task::spawn_blocking(move || request(&method, &url, body)).await?
    }

    /// Posts bytes.
    pub async fn upload(&self, path: &str, body: Vec<u8>) -> Result<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        tokio::task::spawn_blocking(move || request("POST", &url, body)).await?
    }

    /// The `progress` object.
    pub async fn progress(&self) -> Result<Value> {
        let answer = self.call("GET", "/api/v1/progress", "").await?;
        ensure!(
            answer.status == 200,
            "progress answers {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.body.get("progress").cloned().unwrap_or(Value::Null))
    }

    /// Starts a sync from cluster0 to cluster1 with these options.
    pub async fn start(&self, options: Value) -> Result<()> {
        let mut body = json!({ "source": "cluster0", "destination": "cluster1" });
        if let (Some(body), Some(options)) = (body.as_object_mut(), options.as_object()) {
            body.extend(options.clone());
        }
        self.post("start", &body.to_string()).await
    }

    pub async fn pause(&self) -> Result<()> {
        self.post("pause", "{}").await
    }

    pub async fn resume(&self) -> Result<()> {
        self.post("resume", "{}").await
    }

    pub async fn commit(&self) -> Result<()> {
        self.post("commit", "{}").await
    }

    async fn post(&self, call: &str, body: &str) -> Result<()> {
        let answer = self.call("POST", &format!("/api/v1/{call}"), body).await?;
        ensure!(
            answer.status == 200,
            "{call} answers {}: {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    // ---- waiting

    /// Waits until `look` accepts the progress. A failure shows the last progress.
    pub async fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        pleases: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait_until(what, deadline, async || {
            let progress = self.progress().await?;
            Ok(if pleases(&progress) {
                Look::Done(progress)
            } else {
                Look::NotYet(format!("{progress:#}"))
            })
        })
        .await
        .with_context(|| format!("the host's log is in {}", self.log_path().display()))
    }

    pub async fn wait_for_state(&self, state: &str) -> Result<Value> {
        self.wait_until(&format!("state {state}"), DEADLINE, |progress| {
            text(progress, "state") == state
        })
        .await
    }

    pub async fn wait_can_commit(&self) -> Result<Value> {
        self.wait_until("canCommit", DEADLINE, can_commit).await
    }

    /// Waits until the process has ended by itself, as at a named point.
    pub async fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the host is not running")?;
        let status = process.wait("the host", DEADLINE).await;
        self.count_ended();
        status
    }

    /// Waits until it has exited by itself or `look` accepts the progress. Returns whether it exited.
    pub async fn ends_before(
        &mut self,
        deadline: Duration,
        pleases: impl Fn(&Value) -> bool,
    ) -> Result<bool> {
        let begun = Instant::now();
        loop {
            if self
                .process
                .as_mut()
                .context("the host is not running")?
                .ended()?
                .is_some()
            {
                self.process = None;
                self.count_ended();
                return Ok(true);
            }
            match self.progress().await {
                Ok(progress) if pleases(&progress) => return Ok(false),
                _ if begun.elapsed() > deadline => {
                    bail!("neither ended nor as expected in {deadline:?}")
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    // ---- life and death

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.look_at_usage();
        self.process
            .take()
            .context("the host is not running")?
            .kill()?;
        self.count_ended();
        Ok(())
    }

    /// SIGTERM; the exit status is the caller's to judge.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.look_at_usage();
        let mut process = self.process.take().context("the host is not running")?;
        process.terminate()?;
        let status = process
            .wait("the host after SIGTERM", Duration::from_secs(30))
            .await;
        self.count_ended();
        status
    }

    /// Starts it again with the same arguments, without a wait for its clusters. Returns its first progress.
    pub async fn restart_without_clusters(&mut self) -> Result<Value> {
        self.kill_at = None;
        self.process = Some(Process::spawn(&mut self.command()?)?);
        wait_until("the API answers", Duration::from_secs(10), async || {
            Ok(match self.progress().await {
                Ok(progress) => Look::Done(progress),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    /// Starts it again with the same arguments and no kill point.
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_to_be_killed(None).await
    }

    pub async fn restart_to_be_killed(&mut self, kill_at: Option<&str>) -> Result<()> {
        if self.process.is_some() {
            self.kill()?;
        }
        self.kill_at = kill_at.map(str::to_owned);
        self.run().await
    }

    /// True if the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.process.as_mut().map(Process::ended);
        ended.is_none_or(|ended| ended.is_ok_and(|status| status.is_some()))
    }

    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the host is not running")
    }

    /// CPU and peak memory over all processes of this host so far.
    pub fn usage(&self) -> Usage {
        self.look_at_usage();
        self.ended.and(self.seen())
    }

    async fn run(&mut self) -> Result<()> {
        let mut process = Process::spawn(&mut self.command()?)?;
        wait_until("the API answers", Duration::from_secs(30), async || {
            if let Some(status) = process.ended()? {
                bail!("the host ended with {status}: {}", self.printed());
            }
            Ok(match self.call("GET", "/api/v1/progress", "").await {
                Ok(Answer { body, .. }) if waits_for_clusters(&body) => {
                    Look::NotYet(format!("{body:#}"))
                }
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let stderr = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.stderr());
        let mut command = Command::new(&self.arguments.binary);
        command
            .args(["--cluster0", &self.arguments.cluster0])
            .args(["--cluster1", &self.arguments.cluster1])
            .args(["--port", &self.port.to_string()])
            .arg("--logPath")
            .arg(&self.arguments.log_path)
            .args(&self.arguments.more)
            .env_remove(KILL_AT)
            .envs(self.arguments.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.context("open a file for what the host prints")?);
        if let Some(point) = &self.kill_at {
            command.env(KILL_AT, point);
        }
        Ok(command)
    }

    fn stderr(&self) -> PathBuf {
        self.arguments.log_path.with_extension("stderr")
    }

    /// The standard error of the host.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.stderr()).unwrap_or_default()
    }

    fn look_at_usage(&self) {
        let Some(usage) = self
            .process
            .as_ref()
            .and_then(|process| Usage::of(process.id()))
        else {
            return;
        };
        self.seen_cpu_ms.fetch_max(usage.cpu_ms, Ordering::Relaxed);
        self.seen_peak_kb
            .fetch_max(usage.peak_rss_kb, Ordering::Relaxed);
    }

    fn seen(&self) -> Usage {
        Usage {
            cpu_ms: self.seen_cpu_ms.load(Ordering::Relaxed),
            peak_rss_kb: self.seen_peak_kb.load(Ordering::Relaxed),
        }
    }

    fn count_ended(&mut self) {
        self.ended = self.ended.and(self.seen());
        self.seen_cpu_ms = AtomicU64::new(0);
        self.seen_peak_kb = AtomicU64::new(0);
    }
}
