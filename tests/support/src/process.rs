//! Child processes that never outlive their owner, and their usage of CPU and memory.

use std::{
    fs::File,
    ops::RangeInclusive,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{Look, wait_until};

/// Runs a program to its end in a directory. `instead`: advice for machines without the program.
pub(crate) fn run(
    directory: &Path,
    program: &str,
    arguments: &[&str],
    instead: &str,
) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .with_context(|| format!("run {program}; or {instead}"))?;
    ensure!(
        output.status.success(),
        "{program} {} failed; {instead}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// A running child. Dropped, it is killed and waited for.
pub struct Process {
    child: Child,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs on these cores only, from now on.
    pub fn keep_to_cores(&self, cores: RangeInclusive<usize>) -> Result<()> {
        let (list, id) = (
            format!("{}-{}", cores.start(), cores.end()),
            self.id().to_string(),
        );
        let arguments = ["--all-tasks", "--cpu-list", "--pid", &list, &id];
        run(
            Path::new("/"),
            "taskset",
            &arguments,
            "install util-linux, which has it",
        )
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill")?;
        self.child.wait().context("wait for a killed process")?;
        Ok(())
    }

    /// SIGTERM.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGSTOP: the process stands still, and keeps its connections and locks.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGUSR1.
    pub fn user_signal(&self) -> Result<()> {
        self.signal(Signal::USR1)
    }

    /// SIGHUP.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let raw = i32::try_from(self.child.id()).context("process id")?;
        let id = Pid::from_raw(raw).ok_or_else(|| anyhow!("process id 0"))?;
        kill_process(id, signal).context("send a signal")
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look at a process")
    }

    pub async fn wait(&mut self, what: &str, deadline: Duration) -> Result<ExitStatus> {
        wait_until(&format!("{what} ends"), deadline, async || {
            Ok(match self.ended()? {
                Some(status) => Look::Done(status),
                None => Look::NotYet("running".to_owned()),
            })
        })
        .await
    }

    pub fn usage(&self) -> Usage {
        Usage::of(self.id()).unwrap_or_default()
    }

    /// Counts the peak of its memory from now on.
    pub fn forget_peak(&self) -> Result<()> {
        const PEAK: &str = "5";
        let file = format!("/proc/{}/clear_refs", self.id());
        std::fs::write(file, PEAK).context("forget the peak of a process's memory")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time and memory of a process, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_ms: u64,
    pub peak_rss_kb: u64,
}

impl Usage {
    /// `None` once the process is gone.
    pub fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        // The command's name may hold spaces; fields are counted from its closing bracket.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
        Some(Self {
            cpu_ms: (user + system) * 1000 / rustix::param::clock_ticks_per_second().max(1),
            peak_rss_kb: peak.unwrap_or(0),
        })
    }

    /// The usage of a process and its successor: the sum of CPU times and the higher peak.
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms + other.cpu_ms,
            peak_rss_kb: self.peak_rss_kb.max(other.peak_rss_kb),
        }
    }

    pub fn cpu_seconds(self) -> f64 {
        Duration::from_millis(self.cpu_ms).as_secs_f64()
    }

    pub fn peak_rss_mb(self) -> u64 {
        self.peak_rss_kb.div_ceil(1024)
    }
}

/// Ports that this process has handed out: the lock of each keeps other test processes from it.
static PORTS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A free port of the loopback interface, which no other test gets while this process lives. Taken from below the range of
/// outgoing connections, so that a server that is killed and started again finds its port free.
pub fn free_port() -> Result<u16> {
    let folder = std::env::temp_dir().join("tidegate-ports");
    std::fs::create_dir_all(&folder).context("create the folder of ports")?;
    for _ in 0..100 {
        let port = rand::random_range(10_000..32_000);
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true);
        let lock = lock.open(folder.join(port.to_string()))?;
        let is_ours = lock.try_lock().is_ok();
        if is_ours && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
            ports.push(lock);
            return Ok(port);
        }
    }
    Err(anyhow!("no free port between 10000 and 32000"))
}
