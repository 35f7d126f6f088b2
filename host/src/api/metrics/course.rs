//! Families of the course of a sync: lease, takeovers, failures and the commit.

use super::exposition::Exposition;
use super::family::{Family, Gauge, Number, Unit};
use crate::model::Progress;
use crate::model::progress::Endpoint;

const FAILURE: Family<Gauge, 1> = Family::new(
    "tidegate_failure",
    Unit::One,
    "1 while the sync is paused by an error, with the error's name as a label; otherwise absent",
    ["error"],
);

const LEASE_HELD: Family<Gauge, 0> = Family::new(
    "tidegate_lease_held",
    Unit::One,
    "1 while this host holds the lease of the sync; absent before a sync",
    [],
);

const LEASE_TERM: Family<Gauge, 0> = Family::new(
    "tidegate_lease_term",
    Unit::One,
    "Number that rises each time the sync changes hands",
    [],
);

const TAKEOVER_PAUSE: Family<Gauge, 0> = Family::new(
    "tidegate_takeover_pause_seconds",
    Unit::Seconds,
    "Pause of the newest takeover: from the last event of the previous host to the first of this host",
    [],
);

const UPGRADE_PAUSE: Family<Gauge, 3> = Family::new(
    "tidegate_upgrade_pause_seconds",
    Unit::Seconds,
    "Pause of each live upgrade of the sync; absent where the sync was not running",
    ["upgrade", "from", "to"],
);

const PING: Family<Gauge, 1> = Family::new(
    "tidegate_ping_latency_seconds",
    Unit::Seconds,
    "Round-trip time to a cluster; absent while it is silent",
    ["cluster"],
);

const CAN_WRITE: Family<Gauge, 0> = Family::new(
    "tidegate_can_write",
    Unit::One,
    "1 once applications may write to the destination",
    [],
);

const COMMIT_UNDONE: Family<Gauge, 0> = Family::new(
    "tidegate_commit_undone_timestamp_seconds",
    Unit::Seconds,
    "Time at which a commit was undone, by the destination's clock; absent if none was",
    [],
);

const BLOCKED: Family<Gauge, 0> = Family::new(
    "tidegate_cutover_blocked_seconds",
    Unit::Seconds,
    "Time for which applications could not write at the cutover; absent before its end",
    [],
);

/// Adds the course of the sync.
pub(super) fn expose(progress: &Progress, exposition: &mut Exposition) {
    if let Some(failure) = progress.failure {
        exposition.add(&FAILURE, [failure.as_str()], true);
    }
    exposition.add(&CAN_WRITE, [], progress.can_write);
    let undone = progress.commit_undone_at_ms;
    exposition.add_if_known(&COMMIT_UNDONE, undone.map(seconds));
    exposition.add_if_known(&BLOCKED, progress.blocked_ms.map(seconds));
    for Endpoint {
        cluster, ping_ms, ..
    } in [&progress.source, &progress.destination]
    {
        if let Some(ms) = ping_ms {
            exposition.add(&PING, [cluster], Number::seconds_of_us(ms * 1_000));
        }
    }
    if let Some(lease) = &progress.lease {
        exposition.add(&LEASE_HELD, [], lease.ours);
        exposition.add(&LEASE_TERM, [], number(lease.term));
        exposition.add_if_known(&TAKEOVER_PAUSE, lease.paused_ms.map(seconds));
    }
    for (place, upgrade) in progress.upgrade.history.iter().enumerate() {
        if let Some(ms) = upgrade.paused_ms {
            // A sync can go back to a release and forth again.
            let place = place.to_string();
            let labels = [&place, &upgrade.from_binary, &upgrade.to_binary];
            exposition.add(&UPGRADE_PAUSE, labels.map(String::as_str), seconds(ms));
        }
    }
}

fn seconds(ms: i64) -> Number {
    Number::seconds_of_us(number(ms).saturating_mul(1_000))
}

/// A number that is never negative.
fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
