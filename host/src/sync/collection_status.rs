//! Live figures of the collections.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use crate::{
    model::{
        Namespace,
        progress::{CollectionProgress, IndexFailure},
    },
    mongo::Moment,
};

/// Time over which a rate is taken.
const WINDOW: Duration = Duration::from_secs(5);

/// The figures of all collections, by source namespace.
#[derive(Debug, Default)]
pub struct CollectionStatus {
    collections: Mutex<BTreeMap<Namespace, Figures>>,
}

#[derive(Debug)]
struct Figures {
    progress: CollectionProgress,
    written: RateMeter,
    /// The reasons of failed index builds, by name of the index.
    failed_indexes: BTreeMap<String, String>,
}

/// The rate of a count: of the present window, or of the last full one.
#[derive(Debug)]
struct RateMeter {
    since: Moment,
    count: u64,
    last: Option<f64>,
}

impl CollectionStatus {
    /// Shows a collection with nothing copied yet.
    pub fn begin(&self, source: &Namespace, destination: &Namespace, state: &'static str) {
        let progress = CollectionProgress {
            namespace: source.shown(),
            destination: destination.shown(),
            state,
            documents: 0,
            bytes: 0,
            documents_per_second: 0.0,
        };
        let figures = Figures {
            progress,
            written: RateMeter::new(Moment::now()),
            failed_indexes: BTreeMap::new(),
        };
        self.collections.lock().insert(source.shown(), figures);
    }

    /// Changes the progress of a collection, if it is known.
    pub fn change(&self, namespace: &Namespace, change: impl FnOnce(&mut CollectionProgress)) {
        self.with(namespace, |figures| change(&mut figures.progress));
    }

    /// Counts documents of a collection that the destination has: copied, or changed by an applied event.
    pub fn written(&self, namespace: &Namespace, documents: u64) {
        self.with(namespace, |figures| {
            figures.written.add(documents, Moment::now());
        });
    }

    /// Notes why an index was not built.
    pub fn index_failed(&self, namespace: &Namespace, index: &str, reason: &str) {
        self.with(namespace, |figures| {
            let failed = &mut figures.failed_indexes;
            failed.insert(index.to_owned(), reason.to_owned());
        });
    }

    /// Forgets the failed build of an index: it is built, or dropped.
    pub fn index_settled(&self, namespace: &Namespace, index: &str) {
        self.with(namespace, |figures| {
            figures.failed_indexes.remove(index);
        });
    }

    /// Forgets all failed builds: the commit has repeated them and has a list of its own.
    pub fn indexes_restored(&self) {
        for figures in self.collections.lock().values_mut() {
            figures.failed_indexes.clear();
        }
    }

    /// Forgets a collection.
    pub fn remove(&self, namespace: &Namespace) {
        self.collections.lock().remove(&namespace.shown());
    }

    /// Forgets all collections.
    pub fn clear(&self) {
        self.collections.lock().clear();
    }

    /// The progress of all collections.
    pub fn progress(&self) -> Vec<CollectionProgress> {
        let now = Moment::now();
        let collections = self.collections.lock();
        let shown = collections.values().map(|figures| CollectionProgress {
            documents_per_second: figures.written.rate(now),
            ..figures.progress.clone()
        });
        shown.collect()
    }

    /// The failed index builds of all collections, which the commit repeats.
    pub fn index_failures(&self) -> Vec<IndexFailure> {
        let collections = self.collections.lock();
        let failures = collections.iter().flat_map(|(namespace, figures)| {
            let failed = figures.failed_indexes.iter();
            failed.map(|(index, reason)| IndexFailure {
                namespace: namespace.clone(),
                index: index.clone(),
                reason: reason.clone(),
            })
        });
        failures.collect()
    }

    fn with(&self, namespace: &Namespace, change: impl FnOnce(&mut Figures)) {
        let mut collections = self.collections.lock();
        if let Some(figures) = collections.get_mut(&namespace.shown()) {
            change(figures);
        }
    }
}

impl RateMeter {
    const fn new(now: Moment) -> Self {
        Self {
            since: now,
            count: 0,
            last: None,
        }
    }

    fn add(&mut self, count: u64, now: Moment) {
        let elapsed = now.since(self.since);
        if elapsed >= WINDOW {
            self.last = Some(per_second(self.count, elapsed));
            (self.since, self.count) = (now, 0);
        }
        self.count += count;
    }

    /// Per second. 0 after two windows without a count.
    fn rate(&self, now: Moment) -> f64 {
        let elapsed = now.since(self.since);
        match self.last {
            _ if elapsed >= WINDOW * 2 => 0.0,
            _ if elapsed >= WINDOW => per_second(self.count, elapsed),
            Some(last) => last,
            None => per_second(self.count, elapsed.max(Duration::from_secs(1))),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_window_and_ends_with_the_work() {
        let begin = Moment::now();
        let mut meter = RateMeter::new(begin);
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(meter.rate(at(1)), 0.0);
        meter.add(100, at(1));
        assert_eq!(meter.rate(at(2)), 50.0, "the first window");
        meter.add(400, at(4));
        meter.add(30, at(5));
        assert_eq!(meter.rate(at(6)), 100.0, "the last full window");
        assert_eq!(meter.rate(at(10)), 6.0, "nothing since");
        assert_eq!(meter.rate(at(15)), 0.0, "idle");
        meter.add(10, at(60));
        assert_eq!(meter.rate(at(61)), 30.0 / 55.0, "a trickle");
    }
}
