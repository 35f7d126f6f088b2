//! The lag of each secondary of a cluster.
//!
//! A lag is the time since the primary was first seen with a write that the secondary does not have.
//! So it needs no clock of a server, and an idle primary, which writes every ten seconds, has no
//! lag of ten seconds.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{delay::MAX_DELAY, excess::Excess};
use crate::{
    model::ClusterTime,
    mongo::{ClusterLoad, SecondaryProgress},
};

/// The share of the bound at which delays begin. A secondary that applies a fifth of the writes
/// stays within the bound then (docs/decisions.md).
const TARGET_SHARE: f64 = 0.4;

/// The time over which a secondary's speed is measured.
const SPEED_WINDOW: Duration = Duration::from_secs(4);

/// The slowest speed that counts. A secondary that stands still for a moment has none.
const MIN_SPEED: f64 = 0.1;

/// The time after which delays have no effect on a secondary: something other than the sync keeps it
/// behind.
const FRUITLESS: Duration = Duration::from_secs(600);

/// The time for which writes of the primary are kept.
const KEEP: Duration = Duration::from_secs(1_200);

/// Seconds between two writes of an idle primary (`periodicNoopIntervalSecs`).
const IDLE_WRITE_SECONDS: u32 = 10;

/// The lags of a cluster's secondaries, from one reading to the next. Times are relative to an
/// arbitrary start.
#[derive(Debug)]
pub(super) struct ReplicationTracker {
    target: Duration,
    primary: String,
    /// The newest write of the primary, each with the time at which it was first seen; oldest first.
    writes: VecDeque<(Duration, ClusterTime)>,
    members: HashMap<i64, Member>,
}

#[derive(Debug, Default)]
struct Member {
    /// The lags of the last readings, oldest first, over one window.
    lags: VecDeque<(Duration, Duration)>,
    /// The time since which the lag is above the target.
    above_since: Option<Duration>,
    /// Whether delays have had no effect.
    is_left_out: bool,
}

impl ReplicationTracker {
    /// A tracker for lags up to `bound`.
    pub(super) fn new(bound: Duration) -> Self {
        Self {
            target: bound.mul_f64(TARGET_SHARE),
            primary: String::new(),
            writes: VecDeque::new(),
            members: HashMap::new(),
        }
    }

    /// Notes a reading. Returns the greatest excess of a secondary. Members in `delayed` do not
    /// count: they are behind on purpose.
    pub(super) fn note(
        &mut self,
        at: Duration,
        load: &ClusterLoad,
        delayed: &HashSet<i64>,
    ) -> Option<Excess> {
        self.note_primary(at, load);
        let secondaries: Vec<_> = load
            .secondaries
            .iter()
            .flatten()
            .filter(|secondary| !delayed.contains(&secondary.id))
            .collect();
        self.members
            .retain(|id, _| secondaries.iter().any(|secondary| secondary.id == *id));
        secondaries
            .into_iter()
            .map(|secondary| self.note_secondary(at, secondary))
            .fold(None, Excess::greater)
    }

    fn note_primary(&mut self, at: Duration, load: &ClusterLoad) {
        let last = self.writes.back().map(|(_, newest)| *newest);
        if self.primary != load.primary || last.is_some_and(|last| last > load.newest) {
            // Writes of an earlier primary may be undone.
            self.primary.clone_from(&load.primary);
            self.writes.clear();
            self.members.clear();
        }
        if last != Some(load.newest) || self.writes.is_empty() {
            self.writes.push_back((at, load.newest));
        }
        while self.writes.len() > 1
            && self
                .writes
                .front()
                .is_some_and(|(seen, _)| at.saturating_sub(*seen) > KEEP)
        {
            self.writes.pop_front();
        }
    }

    fn note_secondary(&mut self, at: Duration, secondary: &SecondaryProgress) -> Option<Excess> {
        let lag = self.lag(at, secondary.applied);
        let member = self.members.entry(secondary.id).or_default();
        let (share, grows) = member.note(at, lag, self.target, &secondary.host)?;
        Some(Excess {
            share,
            grows,
            most: MAX_DELAY,
            reason: format!(
                "its secondary {} is {:.1} s behind",
                secondary.host,
                lag.as_secs_f64()
            ),
        })
    }

    fn lag(&self, at: Duration, applied: ClusterTime) -> Duration {
        let missing = self
            .writes
            .partition_point(|(_, newest)| *newest <= applied);
        let Some((seen, newest)) = self.writes.get(missing) else {
            return Duration::ZERO;
        };
        let lag = at.saturating_sub(*seen);
        if missing > 0 {
            return lag;
        }
        // Older than all that was seen: the servers' times say by how much at least.
        let older = applied
            .seconds_behind(*newest)
            .saturating_sub(IDLE_WRITE_SECONDS);
        lag + Duration::from_secs(older.into())
    }
}

impl Member {
    /// Notes a lag. Returns the excess over the target, as a share of it, and whether it grows.
    fn note(
        &mut self,
        at: Duration,
        lag: Duration,
        target: Duration,
        host: &str,
    ) -> Option<(f64, bool)> {
        let grows = self
            .lags
            .back()
            .is_none_or(|(_, previous)| lag >= *previous);
        self.lags.push_back((at, lag));
        while self
            .lags
            .front()
            .is_some_and(|(seen, _)| at.saturating_sub(*seen) > SPEED_WINDOW)
        {
            self.lags.pop_front();
        }
        let expected = lag.div_f64(self.speed());
        if expected <= target {
            if std::mem::take(&mut self.is_left_out) {
                tracing::info!(host, "the secondary has caught up, and counts again");
            }
            self.above_since = None;
            return None;
        }
        let since = *self.above_since.get_or_insert(at);
        if !self.is_left_out && at.saturating_sub(since) > FRUITLESS {
            self.is_left_out = true;
            tracing::info!(
                host,
                "delays have no effect on the lag of the secondary; it does not count until it has caught up"
            );
        }
        let share = expected.div_duration_f64(target) - 1.0;
        (!self.is_left_out).then_some((share, grows))
    }

    /// Seconds of the primary's writes that the secondary applies in a second: at least
    /// [`MIN_SPEED`], at most one. A lag divided by it is the time after which the secondary has the primary's newest write,
    /// which is the lag to be expected.
    fn speed(&self) -> f64 {
        let (Some((first, before)), Some((last, now))) = (self.lags.front(), self.lags.back())
        else {
            return 1.0;
        };
        let passed = last.saturating_sub(*first);
        if passed.is_zero() {
            return 1.0;
        }
        let speed = 1.0 - (now.as_secs_f64() - before.as_secs_f64()) / passed.as_secs_f64();
        speed.clamp(MIN_SPEED, 1.0)
    }
}

#[cfg(test)]
mod tests;
