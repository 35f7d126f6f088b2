//! The decision about a key whose documents differ: it is looked at until both sides agree, or stay as they are.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses between two looks at a key.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A digest of the source's document after the plugins, and of the destination's; `None` for no document.
pub(super) type Digests = (Option<[u8; 32]>, Option<[u8; 32]>);

/// The looks at a key so far.
#[derive(Clone, Debug)]
pub(super) struct KeyWatch {
    begun: Instant,
    pause: Duration,
    /// What the last look saw, and the first look that saw the same.
    seen: Option<(Digests, Instant)>,
}

/// The decision after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both sides have the same document, or none.
    Agreement,
    /// Both sides have stayed as they are for the time to settle.
    Mismatch,
    /// A side kept changing until the patience was over.
    Unsettled,
    /// The key is to be looked at again at this time.
    Again(Instant),
}

impl KeyWatch {
    /// A key whose documents were seen to differ `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            pause: FIRST_PAUSE,
            seen: None,
        }
    }

    /// Decides after a look that saw `digests`. A change that is taken back between two looks is not seen.
    pub(super) fn look(
        &mut self,
        digests: Digests,
        now: Instant,
        (settle, patience): (Duration, Duration),
    ) -> Verdict {
        if digests.0 == digests.1 {
            return Verdict::Agreement;
        }
        let since = match self.seen {
            Some((before, since)) if before == digests => since,
            _ => now,
        };
        self.seen = Some((digests, since));
        let unchanged = now.duration_since(since);
        if unchanged >= settle {
            return Verdict::Mismatch;
        }
        if now.duration_since(self.begun) >= patience && since == now {
            return Verdict::Unsettled;
        }
        let pause = self.pause.min(settle - unchanged);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        Verdict::Again(now + pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

    fn digests(source: u8, destination: u8) -> Digests {
        (Some([source; 32]), Some([destination; 32]))
    }

    /// Looks at a key until it is decided; `of` gives what is seen after these seconds. Returns the seconds too.
    fn decided(of: impl Fn(f32) -> Digests) -> (Verdict, f32) {
        let begun = Instant::now();
        let (mut watch, mut now) = (KeyWatch::new(begun), begun);
        loop {
            let seconds = now.duration_since(begun).as_secs_f32();
            match watch.look(of(seconds), now, TIMES) {
                Verdict::Again(next) => now = next,
                verdict => return (verdict, seconds),
            }
        }
    }

    #[test]
    fn a_difference_that_stays_is_a_mismatch_and_a_difference_that_passes_is_none() {
        assert_eq!(decided(|_| digests(1, 2)), (Verdict::Mismatch, 10.0));
        assert_eq!(decided(|_| (None, Some([1; 32]))).0, Verdict::Mismatch);
        assert_eq!(decided(|_| (None, None)).0, Verdict::Agreement);
        let lagging = |at: f32| digests(2, if at < 3.0 { 1 } else { 2 });
        assert_eq!(decided(lagging).0, Verdict::Agreement);
        let changed_once = |at: f32| digests(if at < 3.0 { 1 } else { 3 }, 2);
        let (verdict, seconds) = decided(changed_once);
        assert!(verdict == Verdict::Mismatch && seconds > 12.0);
    }

    #[test]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few seconds"
    )]
    fn a_key_that_keeps_changing_is_unsettled() {
        let (verdict, seconds) = decided(|at| digests(at as u8 + 1, 0));
        assert!(verdict == Verdict::Unsettled && seconds >= 60.0);
    }

    #[test]
    fn without_a_time_to_settle_the_first_look_decides() {
        let now = Instant::now();
        let none = (Duration::ZERO, Duration::ZERO);
        assert_eq!(
            KeyWatch::new(now).look(digests(1, 2), now, none),
            Verdict::Mismatch
        );
        assert_eq!(
            KeyWatch::new(now).look(digests(1, 1), now, none),
            Verdict::Agreement
        );
    }
}
