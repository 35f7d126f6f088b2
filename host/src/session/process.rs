//! Which process this is, so that another one on the same machine can tell that it has died.

use std::fs;

/// `boot/namespace/pid/start`: a process of one boot of one machine, in one namespace of
/// process ids, with the time at which it was started there, since ids are used again.
/// Empty where the machine does not say.
pub(super) fn this_process() -> String {
    identity().unwrap_or_default()
}

fn identity() -> Option<String> {
    let pid = std::process::id();
    let (_, started) = state_and_start(pid)?;
    Some(format!("{}/{pid}/{started}", place()?))
}

/// True if `process` was of this machine, and is gone. One of another machine, or behind
/// another namespace, is not known to be dead.
pub(super) fn is_dead(process: &str) -> bool {
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
    match state_and_start(pid) {
        None => true,
        // A zombie does nothing any more.
        Some((state, now)) => matches!(state, 'Z' | 'X') || now != started,
    }
}

/// One boot of one machine, and a namespace of process ids on it.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_str()?))
}

/// Of `/proc/PID/stat` (proc(5)): fields 3 and 22. The second field may hold anything.
fn state_and_start(pid: u32) -> Option<(char, String)> {
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
        let (_, started) = state_and_start(child.id()).expect("runs");
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
}
