//! The verification in `/progress`.

use super::monitor::Monitor;
use crate::{
    model::progress::{FeatureDeferral, FeatureSetProgress, VerificationProgress},
    session::active::ActiveSync,
};

/// The line of `createRole` that lets writes of other clients be seen.
const PRIVILEGE: &str =
    r#"{"resource": {"db": "local", "collection": "oplog.rs"}, "actions": ["find"]}"#;

/// The progress of the verification; `None` where documents are not verified.
pub(super) fn progress(active: &ActiveSync, monitor: &Monitor) -> Option<VerificationProgress> {
    let document = active.record.get();
    if !document.options.verification().enabled {
        return None;
    }
    let progress = active.status.verification.progress();
    let newest = monitor.newest(active.source.name);
    Some(VerificationProgress {
        estimated_documents: active.status.copy().copied_documents,
        lag_seconds: progress
            .boundary
            .zip(newest)
            .map(|(boundary, newest)| boundary.seconds_behind(newest)),
        ..progress
    })
}

/// Adds the verification, where the release that has begun the sync did not verify, and the watch over other clients,
/// where the user lacks the privilege for it.
pub(super) fn with_deferral(
    mut features: FeatureSetProgress,
    active: &ActiveSync,
) -> FeatureSetProgress {
    if active.record.get().options.verification.is_none() {
        features.deferred.push(FeatureDeferral {
            name: "verification".to_owned(),
            reason: "The release that has begun this sync did not verify documents, and an upgrade changes nothing \
                     of a sync. `tidegate verify` compares both clusters beside it; the next sync verifies by itself."
                .to_owned(),
        });
    }
    if active.status.verification.progress().sees_foreign_writes == Some(false) {
        features.deferred.push(FeatureDeferral {
            name: "destinationWrites".to_owned(),
            reason: format!(
                "The user may not read the destination's oplog, so documents that other clients write there are found \
                 by a second comparison of everything, when commit is called. Grant {PRIVILEGE} on the destination, \
                 and they are found at once."
            ),
        });
    }
    features
}
