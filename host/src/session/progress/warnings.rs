//! The warnings of a sync.

use super::{
    deadline::{ClusterLabel, silent},
    monitor::Monitor,
};
use crate::{
    metadata::{Phase, SessionDocument},
    model::{StartOptions, principals::PrincipalsProgress, progress::IndexFailure},
    plugin::plaintext_secrets,
    session::{
        active::{ActiveSync, state::SyncState},
        write_blocks,
    },
};

/// A warning until COMMITTED.
const NOT_VERIFIED: &str =
    "Copied data is not verified. Compare both clusters before you rely on it.";
/// A warning after COMMITTED.
const WAS_NOT_VERIFIED: &str =
    "Copied data was not verified. docs/compare.md describes how to compare both clusters.";
/// A warning until COMMITTED.
const NOT_BLOCKED: &str =
    "Writes to the destination are not blocked. Make sure that nothing else writes to it.";

/// The warnings of a sync, the most urgent first.
pub(super) fn of(
    active: &ActiveSync,
    monitor: &Monitor,
    document: &SessionDocument,
) -> Vec<String> {
    let state = active.state();
    let mut warnings: Vec<_> = state.reason().iter().map(ToString::to_string).collect();
    if state.reason().is_some() {
        warnings.extend(write_blocks::stopped_commit(document, &active.status));
    }
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    if let Some(silence) = silent(monitor, clusters) {
        warnings.push(format!("{silence} Its values are older."));
    }
    warnings.extend(
        document
            .not_restored
            .iter()
            .map(|what| format!("Not restored on the destination: {what}")),
    );
    warnings.extend(document.commit_warnings.iter().cloned());
    warnings.extend(users_warning(active.status.principals.get(), document));
    warnings.extend(index_warning(&active.status.collections.index_failures()));
    warnings.extend(resync_warning(document));
    warnings.extend(write_blocks::warnings(document, &active.status));
    warnings.extend(active.lease.warning());
    warnings.extend(active.rejected());
    warnings.extend(active.status.throttle.unknown());
    warnings.extend(active.hook_failures.sentences());
    match active.status.quarantined() {
        0 => {}
        held => warnings.push(format!(
            "Documents in quarantine, and not on the destination: {held}. See GET /api/v1/quarantine."
        )),
    }
    warnings.extend(plaintext_secret_warning(&document.options));
    warnings.extend(document.warnings.iter().cloned());
    let blocks = document.write_blocks.as_ref();
    let is_blocked =
        blocks.is_some_and(|blocks| blocks.destination.is_some() || !blocks.lacking.is_empty());
    let is_verified = document.options.verification().enabled;
    let notes: &[&str] = match state {
        // Applications already write to the destination, and the source is no longer compared with it.
        SyncState::Committed if is_verified => &[],
        SyncState::Committed => &[WAS_NOT_VERIFIED],
        _ if is_blocked && is_verified => &[],
        _ if is_blocked => &[NOT_VERIFIED],
        _ if is_verified => &[NOT_BLOCKED],
        _ => &[NOT_VERIFIED, NOT_BLOCKED],
    };
    warnings.extend(notes.iter().copied().map(str::to_owned));
    warnings
}

/// The warning about plaintext secrets in the options, which are persisted in the metadata.
fn plaintext_secret_warning(options: &StartOptions) -> Option<String> {
    let fields = plaintext_secrets(options);
    (!fields.is_empty()).then(|| {
        format!(
            "Plaintext secrets, readable for everyone who can read the destination's metadata: {}. For the next \
             sync, put each into a file of --secretsDir and give {{\"$secret\": \"FILE\"}} in its place; drop the \
             database mongosync_internal_tidegate after this sync is committed.",
            fields.join(", ")
        )
    })
}

/// The warning about users and roles that the commit will not bring over, before it says so itself.
fn users_warning(
    progress: Option<PrincipalsProgress>,
    document: &SessionDocument,
) -> Option<String> {
    match progress? {
        PrincipalsProgress::Refused(reason) => Some(format!(
            "Users and roles cannot be brought over, and commit is refused: {reason}"
        )),
        PrincipalsProgress::Checked(counts) if document.phase < Phase::Restore => {
            Some(format!("At commit, {}.", counts.complaint()?))
        }
        PrincipalsProgress::Checked(_) => None,
    }
}

/// The warning about index builds that the destination has refused.
fn index_warning(failures: &[IndexFailure]) -> Option<String> {
    let first = failures.first()?;
    Some(format!(
        "Indexes that the destination has refused to build, and that the commit builds again: {}. The first is {} of {}: {}",
        failures.len(),
        first.index,
        first.namespace,
        first.reason,
    ))
}

/// The warning about a resync that is not done.
fn resync_warning(document: &SessionDocument) -> Option<String> {
    let resync = document.resyncs.last().filter(|last| !last.done)?;
    Some(format!(
        "The source's oplog no longer held the position {}: {}. Since {} all collections are compared with the source, \
         and what differs is written.{}",
        resync.from,
        resync.reason,
        resync.at.try_to_rfc3339_string().unwrap_or_default(),
        resync.to.map_or_else(String::new, |to| format!(
            " Changes are applied from the position {to} on."
        )),
    ))
}
