//! The delays of a sync for its clusters, for `/progress`.

use parking_lot::Mutex;

use crate::model::progress::ThrottleProgress;

/// A cluster, by its part in the sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The cluster that is read.
    Source,
    /// The cluster that is written.
    Destination,
}

/// The delays for both clusters.
#[derive(Debug, Default)]
pub struct ThrottleStatus {
    source: Mutex<SideStatus>,
    destination: Mutex<SideStatus>,
}

#[derive(Clone, Debug, Default)]
struct SideStatus {
    slowed: Option<ThrottleProgress>,
    unknown: Option<String>,
}

impl Side {
    /// The cluster's name in messages to operators.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "the source",
            Self::Destination => "the destination",
        }
    }
}

impl ThrottleStatus {
    /// The longer of the delays for both clusters; `None` while nothing is slowed.
    pub fn longest(&self) -> Option<ThrottleProgress> {
        let delays = [Side::Source, Side::Destination].map(|side| self.of(side));
        delays
            .into_iter()
            .flatten()
            .max_by_key(|slowed| slowed.delay_ms)
    }

    /// Sentences about clusters whose load cannot be read.
    pub fn unknown(&self) -> Vec<String> {
        let sides = [&self.source, &self.destination];
        sides
            .into_iter()
            .filter_map(|side| side.lock().unknown.clone())
            .collect()
    }

    /// Forgets everything, before work begins.
    pub(crate) fn clear(&self) {
        for side in [&self.source, &self.destination] {
            *side.lock() = SideStatus::default();
        }
    }

    /// The delay for a cluster.
    pub(crate) fn of(&self, side: Side) -> Option<ThrottleProgress> {
        self.side(side).lock().slowed.clone()
    }

    /// Sets the delay for a cluster.
    pub(crate) fn set(&self, side: Side, slowed: Option<ThrottleProgress>) {
        self.side(side).lock().slowed = slowed;
    }

    /// Sets the sentence about a cluster whose load cannot be read. Returns whether it is new.
    pub(crate) fn set_unknown(&self, side: Side, unknown: Option<String>) -> bool {
        let mut status = self.side(side).lock();
        let is_new = status.unknown != unknown;
        status.unknown = unknown;
        is_new
    }

    fn side(&self, side: Side) -> &Mutex<SideStatus> {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }
}
