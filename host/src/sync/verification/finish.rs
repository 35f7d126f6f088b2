//! The end of a verification, before commit restores what waits for it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Error, SyncedCollection, Verification, VerificationBoundary, VerifiedClusters,
    missing_collections::{find_extra, find_missing},
    progress::VerificationState,
    scan::SliceDeadline,
    slice::Slice,
};
use crate::{
    metadata::MismatchDocument,
    model::{
        ErrorKind, ErrorName, Namespace, OperatorError,
        progress::{CollectionVerification, VerificationProgress},
    },
    mongo::{listing, outage},
    sync::throttle::Throttle,
};

/// How long the rest may fail to be compared while both clusters answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two attempts.
const AGAIN: Duration = Duration::from_millis(200);

/// Mismatches that a message names.
const NAMED: usize = 5;

/// Verifies what is left at the last boundary: nothing is applied after it. Does nothing where documents are not
/// verified. `source_name` gives the name on the source, whose databases it gets, of a name of the destination; `None` out of
/// scope.
///
/// # Errors
/// `VerificationFailed`, with the first mismatches.
pub(crate) async fn finish(
    clusters: &VerifiedClusters,
    verification: &Verification,
    throttle: &Throttle,
    source_name: impl Fn(&BTreeSet<String>, &Namespace) -> Result<Option<Namespace>, OperatorError>,
) -> Result<(), Error> {
    if !verification.options.enabled {
        return Ok(());
    }
    verification.reopen().await;
    let last = verification.last.lock().take();
    let last = last.ok_or_else(|| unfinished("the last boundary was not reached"))?;
    let VerificationBoundary {
        at,
        position,
        collections,
        pins,
        mut dirty,
        ..
    } = last;
    let mut state = VerificationState::load(clusters).await?;
    let begun = Instant::now();
    loop {
        let boundary = VerificationBoundary {
            at,
            // Commit has corrected the results of unguarded commands since.
            destination: listing::operation_time(&clusters.destination).await?,
            position: position.clone(),
            dirty: std::mem::take(&mut dirty),
            collections: collections.clone(),
            pins: pins.clone(),
        };
        let slice = Slice {
            clusters,
            throttle,
            verification,
            state: &mut state,
            deadline: SliceDeadline::never(),
        };
        let end = compare_rest(slice, boundary, &source_name).await;
        dirty = verification.take_dirty();
        let elapsed = begun.elapsed();
        match end {
            Ok(true) => break,
            Ok(false) if elapsed > PATIENCE => {
                return Err(unfinished("documents could not be compared").into());
            }
            Err(error) if elapsed > patience(&error) => return Err(error),
            Ok(false) => {}
            Err(error) => tracing::info!(error = %error, "the rest is verified again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
    show(verification, &state);
    let changed: Vec<_> = state.changed.values().cloned().collect();
    clusters.store.put_mismatches(&changed).await?;
    if state.mismatch_count() == 0 {
        tracing::info!(cluster_time = %at, "all documents are verified");
        return Ok(());
    }
    let mismatches: Vec<_> = state.mismatches.values().collect();
    Err(failed(&mismatches, state.mismatch_count()).into())
}

/// Compares documents and collections at `boundary`. Returns whether all were compared.
async fn compare_rest(
    mut slice: Slice<'_>,
    boundary: VerificationBoundary,
    source_name: impl Fn(&BTreeSet<String>, &Namespace) -> Result<Option<Namespace>, OperatorError>,
) -> Result<bool, Error> {
    let (at, destination) = (boundary.at, boundary.destination);
    let collections = boundary.collections.clone();
    let end = slice.run(boundary).await?;
    if !end.keys_compared || slice.state.incomplete_without_missing() > 0 {
        return Ok(false);
    }
    find_missing(slice.clusters, &collections, destination, slice.state, at).await?;
    let extra = find_extra(slice.clusters, source_name).await?;
    slice.state.take_extra(extra, at);
    Ok(true)
}

/// How long comparisons may fail like this.
fn patience(error: &Error) -> Duration {
    match error {
        Error::Mongo(error) if error.kind() == ErrorKind::Transient => outage(),
        _ => PATIENCE,
    }
}

fn unfinished(why: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::VerificationFailed,
        format!(
            "The commit is undone, since the destination could not be verified: {why}. The sync goes on. Call commit \
             again."
        ),
    )
}

fn failed(mismatches: &[&MismatchDocument], count: u64) -> OperatorError {
    let named: Vec<String> = mismatches
        .iter()
        .take(NAMED)
        .map(|mismatch| match &mismatch.document_id {
            Some(_) => format!("a document of {} ({})", mismatch.source, mismatch.kind),
            None => format!("collection {} ({})", mismatch.source, mismatch.kind),
        })
        .collect();
    OperatorError::new(
        ErrorName::VerificationFailed,
        format!(
            "The commit is undone, since {count} mismatches between the clusters were found: {}. The sync goes on. GET \
             /api/v1/verification/mismatches lists all. Call POST /api/v1/verification/repair, or mend them on the \
             destination, and call commit again.",
            named.join(", ")
        ),
    )
}

/// Shows the state in `/progress`.
pub(super) fn show(verification: &Verification, state: &VerificationState) {
    let documents = state.collections.values();
    let documents: i64 = documents.map(|known| known.document.documents).sum();
    let (all, incomplete) = (state.collections.len(), state.incomplete());
    let before = verification.figures.progress();
    verification.figures.show(VerificationProgress {
        verified_to: state
            .verified_to
            .filter(|_| incomplete == 0 && state.mismatch_count() == 0),
        boundary: state.verified_to,
        documents: u64::try_from(documents).unwrap_or_default(),
        collections: all as u64,
        collections_verified: (all - incomplete) as u64,
        mismatches: state.mismatch_count(),
        repaired: state.repaired,
        written_by_others: state.written_by_others,
        ..before
    });
}

/// Shows the state of each collection.
pub(super) fn show_collections(
    verification: &Verification,
    collections: &[Arc<SyncedCollection>],
    state: &VerificationState,
) {
    let shown = collections.iter().filter_map(|collection| {
        let known = state.collections.get(&collection.uuid)?;
        let progress = CollectionVerification {
            documents: u64::try_from(known.document.documents).unwrap_or_default(),
            complete: known.document.complete,
        };
        Some((collection.source.clone(), progress))
    });
    verification.figures.show_collections(shown.collect());
}
