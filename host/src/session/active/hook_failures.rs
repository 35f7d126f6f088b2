//! Hooks that do not receive, for `/progress`.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// A sentence for each hook that has not received an occurrence, by the hook's name.
#[derive(Default)]
pub(crate) struct HookFailures(Mutex<BTreeMap<String, String>>);

impl HookFailures {
    /// Notes a failure of a hook; `None` for a success.
    pub(crate) fn set(&self, hook: &str, failure: Option<String>) {
        let mut failures = self.0.lock();
        match failure {
            Some(failure) => _ = failures.insert(hook.to_owned(), failure),
            None => _ = failures.remove(hook),
        }
    }

    /// All sentences.
    pub(crate) fn sentences(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
    }
}
