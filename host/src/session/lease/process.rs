//! The identity of this process: its name in connections, and the means for other hosts of this machine to
//! detect its death.

use std::fs;

use rustix::{io::Errno, process::Pid};

/// The `appName` of a host's connections. Other hosts find its operations by this name.
pub(crate) fn app_name(release: &str, holder: &str) -> String {
    format!("tidegate {release} {holder}")
}

/// Identity of this process, `boot/namespace/pid/start`: boot id of the machine, namespace of process ids,
/// process id, and start time, because ids are reused. Empty if the machine does not provide them.
pub(crate) fn this_process() -> String {
    identity().unwrap_or_default()
}

fn identity() -> Option<String> {
    let pid = i32::try_from(std::process::id()).ok()?;
    let (_, started) = state_and_start(pid)?;
    Some(format!("{}/{pid}/{started}", place()?))
}

/// Whether `process` ran on this machine and has died. False for a process of another machine or of another
/// namespace, and for a process that this user may not inspect.
pub(crate) fn is_dead(process: &str) -> bool {
    let Some((rest, started)) = process.rsplit_once('/') else {
        return false;
    };
    let Some((its_place, pid)) = rest.rsplit_once('/') else {
        return false;
    };
    let (Ok(pid), Some(here)) = (pid.parse(), place()) else {
        return false;
    };
    if its_place != here {
        return false;
    }
    has_ended(pid, started)
}

/// Whether the process with this id and start time has ended. `/proc/PID` can be unreadable for a process of
/// another user (proc(5), `hidepid`), so only the kernel's answer that no such process exists counts.
fn has_ended(pid: i32, started: &str) -> bool {
    match state_and_start(pid) {
        // A zombie does no work.
        Some((state, now)) => matches!(state, 'Z' | 'X') || now != started,
        // A negative id would name a process group (kill(2)).
        None => (pid > 0)
            .then_some(pid)
            .and_then(Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH)),
    }
}

/// Boot id and namespace of process ids.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_str()?))
}

/// Fields 3 and 22 of `/proc/PID/stat` (proc(5)). The second field can contain any character.
fn state_and_start(pid: i32) -> Option<(char, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_dead_when_it_is_gone_and_not_before() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a process");
        let pid = i32::try_from(child.id()).expect("an id");
        let (_, started) = state_and_start(pid).expect("runs");
        let place = place().expect("a place");
        let process = format!("{place}/{}/{started}", child.id());
        assert!(!is_dead(&process) && !is_dead(&this_process()));
        // The id belongs to another process.
        assert!(is_dead(&format!("{place}/{}/1", child.id())));
        child.kill().expect("ends");
        child.wait().expect("ended");
        assert!(is_dead(&process));
        assert!(!is_dead("elsewhere/pid:[1]/1/1") && !is_dead(""));
    }

    #[test]
    fn an_id_that_no_process_has_is_dead_and_an_invalid_one_is_not() {
        // Above the largest id (`/proc/sys/kernel/pid_max` is at most 2^22).
        assert!(has_ended(1 << 23, "1"));
        assert!(!has_ended(0, "1") && !has_ended(-1, "1"));
    }
}
