//! The hosts that can be given items.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

use crate::mongo::Moment;

/// Time in which a host that could not do an item gets no other.
const PASSED_OVER_FOR: Duration = Duration::from_secs(60);

/// Processes of this release that are registered, without this process. Empty for a host alone.
#[derive(Default)]
pub struct ItemHolders(Mutex<KnownHolders>);

#[derive(Default)]
struct KnownHolders {
    holders: Vec<String>,
    failed: HashMap<String, Moment>,
}

impl ItemHolders {
    /// Replaces the list.
    pub fn set(&self, holders: Vec<String>) {
        let mut known = self.0.lock();
        known
            .failed
            .retain(|_, failed| failed.elapsed() < PASSED_OVER_FOR);
        known.holders = holders;
    }

    /// The processes that get items now.
    pub(crate) fn get(&self) -> Vec<String> {
        let known = self.0.lock();
        let able = |holder: &&String| {
            let failed = known.failed.get(*holder);
            failed.is_none_or(|failed| failed.elapsed() >= PASSED_OVER_FOR)
        };
        known.holders.iter().filter(able).cloned().collect()
    }

    /// Notes that a process has not done its item. It gets none for a minute, so that its work is done by others.
    pub(crate) fn pass_over(&self, holder: &str) {
        let mut known = self.0.lock();
        known.failed.insert(holder.to_owned(), Moment::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_has_failed_is_passed_over() {
        let holders = ItemHolders::default();
        holders.set(vec!["a".to_owned(), "b".to_owned()]);
        holders.pass_over("a");
        assert_eq!(holders.get(), ["b"]);
        holders.set(vec!["a".to_owned()]);
        assert!(holders.get().is_empty());
    }
}
