//! The excess of a load over its target, with its reason.

use std::time::Duration;

use crate::mongo::StoragePressure;

/// Shares of the cache from which on the server makes its clients evict pages (WiredTiger:
/// `eviction_trigger`, `eviction_dirty_trigger`). A copy at full speed stays below both
/// (docs/decisions.md).
const FULL_CACHE: f64 = 0.95;
const DIRTY_CACHE: f64 = 0.20;

/// Consecutive readings with pressure before it counts. A checkpoint may take a second.
const LASTING: u32 = 3;

/// Tickets that a sync itself may take. Servers from 7.0 on choose the number of their tickets, down
/// to a few, which a sync alone exhausts without any harm.
const OWN_TICKETS: i64 = 32;

/// The excess that any lasting pressure counts as.
const PRESSURE_SHARE: f64 = 1.0;

/// The longest delay for pressure: as long as a transaction, so that the load is about halved. The
/// server slows its clients down by itself, and the cause may be another client's work for hours.
const PRESSURE_DELAY: Duration = Duration::from_millis(500);

/// The excess of a load over its target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Excess {
    /// The excess, as a share of the target.
    pub(super) share: f64,
    /// Whether it was smaller at the previous reading, or is as great.
    pub(super) grows: bool,
    /// The longest delay for it.
    pub(super) most: Duration,
    /// The beginning of a sentence for the operator, after the name of the cluster.
    pub(super) reason: String,
}

impl Excess {
    /// The greater of two.
    pub(super) fn greater(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if one.share < other.share => Some(other),
            (one, other) => one.or(other),
        }
    }
}

/// The pressure on a primary's storage engine over consecutive readings.
#[derive(Debug, Default)]
pub(super) struct PressureTracker {
    readings: u32,
}

impl PressureTracker {
    /// Notes a reading. `None` without a lasting pressure.
    pub(super) fn note(&mut self, pressure: StoragePressure) -> Option<Excess> {
        let reason = reason(pressure);
        self.readings = match reason {
            Some(_) => self.readings + 1,
            None => 0,
        };
        (self.readings >= LASTING).then_some(Excess {
            share: PRESSURE_SHARE,
            grows: true,
            most: PRESSURE_DELAY,
            reason: reason?,
        })
    }
}

fn reason(pressure: StoragePressure) -> Option<String> {
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    if pressure.flow_control {
        Some("its flow control is active, since a majority lags".to_owned())
    } else if let Some(tickets) = pressure.exhausted_tickets.filter(|all| *all > OWN_TICKETS) {
        Some(format!("all of its {tickets} tickets are in use"))
    } else if pressure.dirty >= DIRTY_CACHE {
        Some(format!(
            "{} of its cache are changes",
            percent(pressure.dirty)
        ))
    } else if pressure.cache >= FULL_CACHE {
        Some(format!(
            "{} of its cache are in use",
            percent(pressure.cache)
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_counts_when_it_lasts() {
        let full = StoragePressure {
            cache: 0.97,
            ..StoragePressure::default()
        };
        let mut pressure = PressureTracker::default();
        assert_eq!((pressure.note(full), pressure.note(full)), (None, None));
        let excess = pressure.note(full).expect("an excess");
        assert_eq!(excess.reason, "97% of its cache are in use");
        assert_eq!(pressure.note(StoragePressure::default()), None);
        assert_eq!(pressure.note(full), None);
    }

    #[test]
    fn each_resource_has_its_limit() {
        let free = StoragePressure::default();
        for (pressure, has_excess) in [
            (free, false),
            (
                StoragePressure {
                    cache: 0.94,
                    dirty: 0.19,
                    ..free
                },
                false,
            ),
            (StoragePressure { dirty: 0.2, ..free }, true),
            (
                StoragePressure {
                    exhausted_tickets: Some(128),
                    ..free
                },
                true,
            ),
            (
                StoragePressure {
                    exhausted_tickets: Some(8),
                    ..free
                },
                false,
            ),
            (
                StoragePressure {
                    flow_control: true,
                    ..free
                },
                true,
            ),
        ] {
            assert_eq!(reason(pressure).is_some(), has_excess, "{pressure:?}");
        }
    }

    #[test]
    fn the_greater_excess_counts() {
        let excess = |share| {
            Some(Excess {
                share,
                grows: true,
                most: PRESSURE_DELAY,
                reason: String::new(),
            })
        };
        assert_eq!(Excess::greater(excess(1.0), excess(2.0)), excess(2.0));
        assert_eq!(Excess::greater(excess(2.0), excess(1.0)), excess(2.0));
        assert_eq!(Excess::greater(None, excess(1.0)), excess(1.0));
        assert_eq!(Excess::greater(excess(1.0), None), excess(1.0));
    }
}
