//! Bounds of records of refused calls: garbage must not displace the records of calls that were carried out.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// Most records of refused calls within `WINDOW`: of callers without valid credentials, and of all others.
const OF_STRANGERS: usize = 20;
const OF_CALLERS: usize = 120;

/// Bounds the records of refused calls.
#[derive(Default)]
pub(super) struct Moderation {
    strangers: Mutex<Recent>,
    callers: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    records: VecDeque<Instant>,
    unrecorded: u64,
}

impl Moderation {
    /// Admits the record of a refused call. Returns the number of refused calls since the last admitted record that have
    /// none; `None` for a call that gets none.
    pub(super) fn admit(&self, is_stranger: bool, now: Instant) -> Option<u64> {
        let (recent, most) = match is_stranger {
            true => (&self.strangers, OF_STRANGERS),
            false => (&self.callers, OF_CALLERS),
        };
        let mut recent = recent.lock();
        recent.records.retain(|at| now.duration_since(*at) < WINDOW);
        if recent.records.len() >= most {
            recent.unrecorded += 1;
            return None;
        }
        recent.records.push_back(now);
        Some(std::mem::take(&mut recent.unrecorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_calls_above_the_bound_are_counted() {
        let (moderation, now) = (Moderation::default(), Instant::now());
        for _ in 0..OF_STRANGERS {
            assert_eq!(moderation.admit(true, now), Some(0));
        }
        assert_eq!(moderation.admit(true, now), None);
        assert_eq!(moderation.admit(true, now), None);
        assert_eq!(moderation.admit(false, now), Some(0));
        assert_eq!(moderation.admit(true, now + WINDOW), Some(2));
        assert_eq!(moderation.admit(true, now + WINDOW), Some(0));
    }
}
