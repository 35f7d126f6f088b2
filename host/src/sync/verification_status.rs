//! The figures of a verification, for `/progress`.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::{
    Namespace,
    progress::{CollectionVerification, VerificationProgress},
};

/// The figures that the verifier writes and `/progress` reads.
#[derive(Debug, Default)]
pub struct VerificationFigures {
    progress: Mutex<VerificationProgress>,
    collections: Mutex<BTreeMap<Namespace, CollectionVerification>>,
}

impl VerificationFigures {
    /// The progress of the verification.
    pub fn progress(&self) -> VerificationProgress {
        self.progress.lock().clone()
    }

    /// The progress of each collection, by source namespace.
    pub fn collections(&self) -> Vec<(Namespace, CollectionVerification)> {
        let collections = self.collections.lock();
        let collections = collections.iter();
        collections
            .map(|(namespace, progress)| (namespace.clone(), *progress))
            .collect()
    }

    /// Sets the progress.
    pub(super) fn show(&self, progress: VerificationProgress) {
        *self.progress.lock() = progress;
    }

    /// Sets the progress of all collections.
    pub(super) fn show_collections(
        &self,
        collections: BTreeMap<Namespace, CollectionVerification>,
    ) {
        *self.collections.lock() = collections;
    }

    /// Sets whether writes of other clients on the destination can be seen.
    pub(super) fn set_sees_foreign_writes(&self, sees: bool) {
        self.progress.lock().sees_foreign_writes = Some(sees);
    }

    /// Sets the reason why the last slice has failed.
    pub(super) fn set_failure(&self, failure: Option<String>) {
        self.progress.lock().failure = failure;
    }
}
