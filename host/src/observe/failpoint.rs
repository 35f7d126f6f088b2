//! Named points at which a test can kill the process, or let a task panic.
//!
//! `TIDEGATE_KILL_AT=name` kills at the first passage of the point `name`, `TIDEGATE_KILL_AT=name:n` at the
//! n-th. The process sends itself a SIGKILL: no unwinding, no flush, no destructor, as after a power failure.
//! `TIDEGATE_PANIC_AT` panics instead. Builds without debug assertions contain no failpoints.

use std::time::Duration;

/// Kills the process if `TIDEGATE_KILL_AT` names this passage.
///
/// # Panics
/// If `TIDEGATE_PANIC_AT` names this passage.
#[cfg(debug_assertions)]
pub fn failpoint(name: &str) {
    armed::pass(name);
}

/// Does nothing in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn failpoint(_name: &str) {}

/// `duration`; in builds with debug assertions, the seconds of the environment variable, if it is set.
pub fn shortened(variable: &str, duration: Duration) -> Duration {
    if cfg!(debug_assertions) {
        let seconds = std::env::var(variable).ok();
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        return seconds.map_or(duration, Duration::from_secs);
    }
    duration
}

/// `bytes`; in builds with debug assertions, the number of the environment variable, if it is set.
pub fn smaller(variable: &str, bytes: u64) -> u64 {
    if cfg!(debug_assertions) {
        let set = std::env::var(variable).ok();
        return set.and_then(|set| set.parse().ok()).unwrap_or(bytes).max(1);
    }
    bytes
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static KILL: LazyLock<Option<Failpoint>> =
        LazyLock::new(|| Failpoint::parse(&std::env::var("TIDEGATE_KILL_AT").ok()?));

    static PANIC: LazyLock<Option<Failpoint>> =
        LazyLock::new(|| Failpoint::parse(&std::env::var("TIDEGATE_PANIC_AT").ok()?));

    #[expect(clippy::panic, reason = "the fault that a test asks for")]
    pub(super) fn pass(name: &str) {
        if KILL.as_ref().is_some_and(|point| point.is_due(name)) {
            tracing::warn!(failpoint = name, "killed by TIDEGATE_KILL_AT");
            _ = kill_process(getpid(), Signal::KILL);
        }
        if PANIC.as_ref().is_some_and(|point| point.is_due(name)) {
            panic!("TIDEGATE_PANIC_AT {name}");
        }
    }

    struct Failpoint {
        name: String,
        passages_left: AtomicU32,
    }

    impl Failpoint {
        fn parse(text: &str) -> Option<Self> {
            let (name, count) = match text.split_once(':') {
                Some((name, count)) => (name, count.parse().ok()?),
                None => (text, 1),
            };
            Some(Self {
                name: name.to_owned(),
                passages_left: AtomicU32::new(count),
            })
        }

        /// True at exactly one passage, in any thread.
        fn is_due(&self, name: &str) -> bool {
            self.name == name && self.passages_left.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }

    #[cfg(test)]
    mod tests {
        use super::Failpoint;

        #[test]
        fn the_nth_passage_is_due_and_no_other() {
            let point = Failpoint::parse("copy.batch:3").expect("a point");
            let due: Vec<bool> = (0..5).map(|_| point.is_due("copy.batch")).collect();
            assert_eq!(due, [false, false, true, false, false]);
            assert!(!Failpoint::parse("a").expect("a point").is_due("b"));
            assert!(Failpoint::parse("a").expect("a point").is_due("a"));
            assert!(Failpoint::parse("a:x").is_none());
        }
    }
}
