//! Documents on the destination that may be newer than the current event.
//!
//! A delta has the effect of the source's update only on a document that is exactly as it was
//! before the event. That does not hold
//!
//! - for events up to a cluster time, `exact_after`: documents may have been copied, or events
//!   applied before a crash, later than the event; and
//! - for documents that were looked up on the source at a cluster time *T*: they are as of *T*, so
//!   events up to *T* are ignored.
//!
//! Invariant: a document's *T* is never forgotten without raising `exact_after` to it. Raising
//! `exact_after` is always safe: it only turns deltas into look-ups.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::model::{
    ClusterTime,
    document_key::{DocumentKey, OwnedDocumentKey},
    event::CollectionUuid,
};

/// Looked-up documents that one applier remembers, and the bytes of their keys.
const MAX_REMEMBERED: usize = 50_000;
const MAX_BYTES: usize = 8 << 20;

/// The exactness of a stream, shared by its appliers.
#[derive(Debug, Default)]
pub(super) struct Exactness {
    exact_after: AtomicU64,
    /// The newest time of any look-up, and of any copied document.
    newest_lookup: AtomicU64,
}

impl Exactness {
    #[cfg(test)]
    pub(super) fn new(exact_after: ClusterTime) -> Self {
        let exactness = Self::default();
        exactness.raise(exact_after);
        exactness
    }

    /// Whether an update at `time` may be applied as a delta, unless its document was looked up.
    pub(super) fn is_exact(&self, time: ClusterTime) -> bool {
        time.to_bits() > self.exact_after.load(SeqCst)
    }

    /// Raises `exact_after` to `time`.
    pub(super) fn raise(&self, time: ClusterTime) {
        self.exact_after.fetch_max(time.to_bits(), SeqCst);
    }

    /// Notes that documents were read at `time`, for a host that takes over.
    pub(super) fn note(&self, time: ClusterTime) {
        self.newest_lookup.fetch_max(time.to_bits(), SeqCst);
    }

    /// The value of `exact_after` for a host that does not know the look-ups.
    pub(super) fn after_restart(&self) -> ClusterTime {
        ClusterTime::from_bits(
            self.exact_after
                .load(SeqCst)
                .max(self.newest_lookup.load(SeqCst)),
        )
    }
}

/// The looked-up documents of an applier.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    looked_up: HashMap<(CollectionUuid, OwnedDocumentKey), ClusterTime>,
    /// Of the keys.
    bytes: usize,
}

impl Freshness {
    /// Whether the document is already as of `time` or later.
    pub(super) fn covers(
        &self,
        collection: CollectionUuid,
        key: &DocumentKey<'_>,
        time: ClusterTime,
    ) -> bool {
        !self.looked_up.is_empty()
            && self
                .looked_up
                .get(&(collection, key.clone().into_owned()))
                .is_some_and(|looked_up| *looked_up >= time)
    }

    /// Remembers that a document is as of `time`.
    pub(super) fn remember(
        &mut self,
        exactness: &Exactness,
        collection: CollectionUuid,
        key: DocumentKey<'_>,
        time: ClusterTime,
    ) {
        exactness.note(time);
        if self.looked_up.len() >= MAX_REMEMBERED || self.bytes >= MAX_BYTES {
            self.forget(exactness);
        }
        let key = key.into_owned();
        self.bytes += key.heap_bytes();
        self.looked_up.insert((collection, key), time);
    }

    /// Forgets all look-ups: events up to their times are applied again, none of them as a delta.
    pub(super) fn forget(&mut self, exactness: &Exactness) {
        exactness.raise(exactness.after_restart());
        self.looked_up.clear();
        self.bytes = 0;
    }

    /// Forgets look-ups that are older than every event from `time` on.
    pub(super) fn forget_before(&mut self, time: ClusterTime) {
        self.looked_up.retain(|_, looked_up| *looked_up >= time);
        let keys = self.looked_up.keys();
        self.bytes = keys.map(|(_, key)| key.heap_bytes()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> ClusterTime {
        ClusterTime {
            seconds,
            increment: 1,
        }
    }

    #[test]
    fn a_looked_up_document_covers_older_events_only() {
        let (exactness, mut freshness) = (Exactness::new(at(1)), Freshness::default());
        let (x, y) = (DocumentKey::Whole(1), DocumentKey::Whole(2));
        freshness.remember(&exactness, [1; 16], x.clone(), at(10));
        assert!(freshness.covers([1; 16], &x, at(10)) && !freshness.covers([1; 16], &x, at(11)));
        assert!(!freshness.covers([2; 16], &x, at(5)) && !freshness.covers([1; 16], &y, at(5)));
        freshness.forget_before(at(11));
        assert!(!freshness.covers([1; 16], &x, at(5)));
        assert_eq!(exactness.after_restart(), at(10));
        assert!(exactness.is_exact(at(5)));
    }

    #[test]
    fn forgetting_for_want_of_room_raises_exactness() {
        let (exactness, mut freshness) = (Exactness::new(at(1)), Freshness::default());
        for n in 0..=i64::try_from(MAX_REMEMBERED).unwrap() {
            freshness.remember(&exactness, [1; 16], DocumentKey::Whole(n), at(10));
        }
        assert!(!exactness.is_exact(at(10)) && exactness.is_exact(at(11)));
    }

    #[test]
    fn large_keys_are_forgotten_sooner() {
        let (exactness, mut freshness) = (Exactness::new(at(1)), Freshness::default());
        let mut key = vec![0; MAX_BYTES / 4];
        for n in 0..5 {
            assert!(exactness.is_exact(at(10)));
            key[0] = n;
            freshness.remember(&exactness, [1; 16], DocumentKey::Bytes(2, &key), at(10));
        }
        assert!(!exactness.is_exact(at(10)));
    }
}
