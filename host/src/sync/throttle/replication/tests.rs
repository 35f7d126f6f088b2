use bson::DateTime;

use super::{super::delay::Delay, *};
use crate::mongo::StoragePressure;

fn time(milliseconds: u64) -> ClusterTime {
    ClusterTime {
        seconds: u32::try_from(milliseconds / 1_000).expect("small") + 1_000,
        increment: u32::try_from(milliseconds % 1_000).expect("small"),
    }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A reading of a primary with secondaries 1 and so on.
fn reading(primary: &str, newest: u64, applied: &[u64]) -> ClusterLoad {
    let secondaries = applied
        .iter()
        .zip(1..)
        .map(|(applied, id)| SecondaryProgress {
            id,
            host: format!("host{id}"),
            applied: time(*applied),
        });
    ClusterLoad {
        at: DateTime::now(),
        primary: primary.to_owned(),
        set_version: 1,
        newest: time(newest),
        secondaries: Some(secondaries.collect()),
        pressure: StoragePressure::default(),
    }
}

/// Readings twice a second, from `begin` to `end`, of a primary that writes all the time; `applied`
/// gives a secondary's newest write.
fn read(
    tracker: &mut ReplicationTracker,
    (begin, end): (u64, u64),
    applied: impl Fn(u64) -> u64,
) -> Option<Excess> {
    let mut excess = None;
    for now in (begin..=end).step_by(500) {
        excess = tracker.note(
            at(now),
            &reading("host0", now, &[applied(now)]),
            &HashSet::new(),
        );
    }
    excess
}

fn tracker() -> ReplicationTracker {
    ReplicationTracker::new(Duration::from_secs(10))
}

#[test]
fn a_secondary_that_keeps_up_has_no_excess() {
    let mut tracker = tracker();
    // Less than a reading behind, still for a moment, and steadily three seconds behind.
    assert_eq!(
        read(&mut tracker, (0, 20_000), |now| now.saturating_sub(100)),
        None
    );
    assert_eq!(read(&mut tracker, (20_500, 22_000), |_| 20_400), None);
    assert_eq!(
        read(&mut tracker, (22_500, 60_000), |now| now - 3_000),
        None
    );
    assert!(read(&mut tracker, (60_500, 80_000), |now| now - 6_000).is_some());
}

/// A write of an idle primary, which its secondary does not have yet.
#[test]
fn an_idle_cluster_has_no_lag() {
    let mut tracker = tracker();
    let none = HashSet::new();
    for now in (0..60_000).step_by(500) {
        let newest = now / 10_000 * 10_000;
        let applied = newest
            - if now % 10_000 == 0 {
                newest.min(10_000)
            } else {
                0
            };
        let load = reading("host0", newest, &[applied]);
        assert_eq!(tracker.note(at(now), &load, &none), None, "{now}");
    }
}

/// A secondary that applies a quarter of the writes has an expected lag of four times its lag.
#[test]
fn the_speed_of_a_secondary_counts() {
    let mut tracker = tracker();
    assert_eq!(read(&mut tracker, (0, 1_000), |now| now / 4), None);
    let excess = read(&mut tracker, (1_500, 6_000), |now| now / 4).expect("an excess");
    assert!(excess.grows && excess.share > 1.0, "{excess:?}");
    assert!(
        excess.reason.contains("host1 is 4.0 s behind"),
        "{excess:?}"
    );
    // It catches up.
    let excess = read(&mut tracker, (6_500, 6_500), |_| 3_000).expect("an excess");
    assert!(!excess.grows, "{excess:?}");
    assert_eq!(read(&mut tracker, (7_000, 12_000), |now| now), None);
}

#[test]
fn a_member_that_is_delayed_or_down_does_not_count() {
    let mut tracker = tracker();
    let delayed = HashSet::from([2]);
    for now in (0..30_000).step_by(500) {
        let load = reading("host0", now, &[now, now.saturating_sub(20_000)]);
        assert_eq!(tracker.note(at(now), &load, &delayed), None);
    }
    let load = reading("host0", 30_000, &[30_000, 10_000]);
    assert!(tracker.note(at(30_000), &load, &HashSet::new()).is_some());
    let load = reading("host0", 30_500, &[30_500]);
    assert_eq!(tracker.note(at(30_500), &load, &delayed), None);
}

#[test]
fn a_secondary_that_delays_do_not_help_does_not_count_until_it_has_caught_up() {
    let mut tracker = tracker();
    assert!(read(&mut tracker, (0, 600_000), |_| 0).is_some());
    assert_eq!(read(&mut tracker, (600_500, 700_000), |_| 0), None);
    assert_eq!(read(&mut tracker, (700_500, 710_000), |now| now), None);
    assert!(read(&mut tracker, (710_500, 720_000), |_| 710_000).is_some());
}

#[test]
fn a_new_primary_begins_again() {
    let mut tracker = tracker();
    assert!(read(&mut tracker, (0, 20_000), |_| 0).is_some());
    let load = reading("host9", 20_000, &[19_000]);
    assert_eq!(tracker.note(at(20_500), &load, &HashSet::new()), None);
    // A host that takes a sync over does not know since when a secondary has been behind.
    let mut fresh = ReplicationTracker::new(Duration::from_secs(10));
    let load = reading("host0", 60_000, &[20_000]);
    let excess = fresh
        .note(at(0), &load, &HashSet::new())
        .expect("an excess");
    assert!(excess.reason.contains("30.0 s behind"), "{excess:?}");
}

/// The greatest lag in seconds of a secondary that applies `speed` of what its primary can take, in a
/// simulation: the sync writes a batch in 50 ms, and waits for the delay after it.
fn greatest_lag(speed: f64) -> f64 {
    const BATCH: u32 = 50;
    let (mut tracker, mut delay, none) = (tracker(), Delay::default(), HashSet::new());
    let mut waiting = VecDeque::new();
    let (mut applied, mut greatest) = (0, 0);
    for now in (0..120_000).step_by(BATCH as usize) {
        let batch = Duration::from_millis(BATCH.into());
        waiting.push_back((now, batch.div_duration_f64(batch + delay.length())));
        let mut room = speed;
        while let Some((written, left)) = waiting.front_mut() {
            let taken = room.min(*left);
            (*left, room) = (*left - taken, room - taken);
            if *left > 1e-9 {
                break;
            }
            applied = *written;
            waiting.pop_front();
        }
        greatest = greatest.max(now - applied);
        if now % 500 == 0 {
            let excess = tracker.note(at(now), &reading("host0", now, &[applied]), &none);
            delay = delay.after(excess.as_ref());
        }
    }
    at(greatest).as_secs_f64()
}

/// What is written before the first delay is still to be applied, however long the delays are then.
#[test]
fn the_bound_holds_down_to_a_fifth_of_the_primarys_speed() {
    let lags = [0.5, 0.3, 0.2, 0.1].map(greatest_lag);
    assert!(lags[..3].iter().all(|lag| *lag < 10.0), "{lags:?}");
    assert!((10.0..25.0).contains(&lags[3]), "{lags:?}");
}
