//! Which process this is: how it calls itself to a server, and by what another one on the same machine can
//! tell that it has died.

use std::fs;

use rustix::{io::Errno, process::Pid};

/// How a host calls itself to a server: also what another host finds its operations by.
pub(crate) fn app_name(release: &str, holder: &str) -> String {
    format!("tidegate {release} {holder}")
}

/// `boot/namespace/pid/start`: a process of one boot of one machine, in one namespace of
/// process ids, with the time at which it was started there, since ids are used again.
/// Empty where the machine does not say.
pub(crate) fn this_process() -> String {
    identity().unwrap_or_default()
}

fn identity() -> Option<String> {
    let pid = i32::try_from(std::process::id()).ok()?;
    let (_, started) = state_and_start(pid)?;
    Some(format!("{}/{pid}/{started}", place()?))
}

/// True if `process` was of this machine, and is gone. One of another machine, or behind
/// another namespace, is not known to be dead; nor is one that this user may not look at.
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

/// True if the process with this id and start time is known to be gone. `/proc/PID` may be
/// unreadable for another user's process (proc(5): `hidepid`): that is no sign of its death, only
/// the kernel's answer that no such process exists is.
fn has_ended(pid: i32, started: &str) -> bool {
    match state_and_start(pid) {
        // A zombie does nothing any more.
        Some((state, now)) => matches!(state, 'Z' | 'X') || now != started,
        // A negative one would stand for a group of processes.
        None => (pid > 0)
            .then_some(pid)
            .and_then(Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH)),
    }
}

/// One boot of one machine, and a namespace of process ids on it.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_str()?))
}

/// Of `/proc/PID/stat` (proc(5)): fields 3 and 22. The second field may hold anything.
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
        // Another process has its number by now.
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
