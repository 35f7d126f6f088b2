//! Programs: an occurrence on the standard input of a process.
//!
//! The process has no shell, and of the host's environment no variable that can hold a secret. It is the first of a group of
//! its own, which ends with it when the time limit is over.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::reply::{HookReply, MAX_REPLY_BYTES, reason};

/// Variables of the host's environment that a program gets.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Time for the last output of a process that has exited: a process that it has left may keep the pipe open.
const OUTPUT_WITHIN: Duration = Duration::from_millis(100);

/// Runs a program with a body on its standard input. Exit status 0 accepts; another status is a veto, whose reason is
/// the first line of the standard output. A dropped future ends the process group.
///
/// # Errors
/// The reason for the lack of an exit status.
pub(super) async fn run(
    program: &Path,
    arguments: &[String],
    body: &[u8],
    limit: Duration,
) -> Result<HookReply, String> {
    let inherited = INHERITED.iter();
    let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(inherited)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let mut group = ProcessGroup::of(&child);
    let mut output = Vec::new();
    let exited = timeout(limit, converse(&mut child, body, &mut output)).await;
    let status = exited
        .map_err(|_elapsed| format!("no exit within {} s", limit.as_secs()))?
        .map_err(|error| format!("its exit is unknown: {error}"))?;
    group.release();
    match status.code() {
        Some(0) => Ok(HookReply::Accepted),
        Some(_) => Ok(HookReply::Vetoed(reason(&String::from_utf8_lossy(&output)))),
        None => Err("it was ended by a signal".to_owned()),
    }
}

/// Writes the input, reads the output and waits for the exit.
async fn converse(
    child: &mut Child,
    body: &[u8],
    output: &mut Vec<u8>,
) -> std::io::Result<ExitStatus> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let Some(mut stdout) = stdout else {
        return child.wait().await;
    };
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program need not read its input.
            let _ = stdin.write_all(body).await;
        }
    };
    let limit = u64::try_from(MAX_REPLY_BYTES).unwrap_or(u64::MAX);
    let read = async {
        let _ = (&mut stdout).take(limit).read_to_end(output).await;
        // A full pipe would stop the program.
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    };
    let mut talk = std::pin::pin!(async { tokio::join!(write, read) });
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = &mut talk => return child.wait().await,
    };
    let _ = timeout(OUTPUT_WITHIN, talk).await;
    Ok(status)
}

/// The group of a process. Dropping it ends the group.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Leaves the group to itself: its first process has exited.
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // A group that has ended is none.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, limit: Duration) -> Result<HookReply, String> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run(
            Path::new("/bin/sh"),
            &arguments,
            br#"{"event":"copied"}"#,
            limit,
        )
        .await
    }

    #[tokio::test]
    async fn an_exit_status_is_the_reply() {
        let limit = Duration::from_secs(10);
        let accepts = sh(r#"grep -q '"copied"'"#, limit).await;
        assert_eq!(accepts, Ok(HookReply::Accepted));
        let vetoes = sh("echo a backup runs; exit 3", limit).await;
        assert_eq!(vetoes, Ok(HookReply::Vetoed("a backup runs".to_owned())));
        let killed = sh("kill -9 $$", limit).await;
        assert_eq!(killed, Err("it was ended by a signal".to_owned()));
        // Neither the environment nor the input of a program that reads none.
        let environment = sh("test -z \"$CARGO_MANIFEST_DIR\"", limit).await;
        assert_eq!(environment, Ok(HookReply::Accepted));
        let much = sh("head -c 300000 /dev/zero; sleep 300 & exit 0", limit).await;
        assert_eq!(much, Ok(HookReply::Accepted));
    }

    #[tokio::test]
    async fn a_time_limit_ends_the_whole_group() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let late = sh(&script, Duration::from_secs(1)).await;
        assert_eq!(late, Err("no exit within 1 s".to_owned()));
        let pid = std::fs::read_to_string(file).expect("a pid");
        let stat = format!("/proc/{}/stat", pid.trim());
        for _ in 0..100 {
            match std::fs::read_to_string(&stat) {
                Ok(stat) if !stat.contains(") Z ") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => return,
            }
        }
        panic!("{stat} is there");
    }
}
