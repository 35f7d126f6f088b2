//! Rolls metadata back by one version, for the previous release.

use std::sync::Arc;

use super::{connection::ConnectionWait, open::connect_both, persisted_sync::find};
use crate::{
    metadata::METADATA_VERSION,
    model::{ErrorName, OperatorError},
    session::{
        context::Settings,
        lease::{self, Lease},
    },
    sync,
};

/// The versions before and after a rollback.
pub struct Rollback {
    /// The metadata version before the rollback.
    pub from: i32,
    /// The metadata version now.
    pub to: i32,
}

/// Rolls the metadata of a sync back to the previous version, in one transaction. Takes the lease for this, so
/// no host may hold it.
///
/// # Errors
///
/// `NotFound`, `MetadataVersionNotSupported`, `StandbyInstance`, `MigrationFailed`.
pub async fn rollback(settings: Settings) -> Result<Rollback, OperatorError> {
    let context = connect_both(settings, &ConnectionWait::new(false), Arc::default()).await?;
    let persisted = find(&context.clusters).await?.ok_or_else(nothing)?;
    persisted.refuse_unknown(&context.identities)?;
    let from = persisted.header.metadata_version;
    let to = from - 1;
    if from > METADATA_VERSION {
        return Err(has_system_events());
    }
    if to < 1 {
        return Err(no_way_back(from));
    }
    let claim = context.claim();
    let client = &persisted.destination.client;
    let taken = lease::take(client, &persisted.reader, &claim, None).await;
    let taken = taken?.ok_or_else(in_use)?;
    let lease = Lease::hold(persisted.reader, taken, claim.duration, Arc::default());
    let migrated = sync::migrate(client, &lease.tenure(), &context.registry, (from, to)).await;
    if let Err(error) = migrated {
        // The metadata still has this version. If this fails, the next takeover repeats it.
        if let Err(error) = sync::lock_out_legacy_hosts(&lease.destination(client)).await {
            tracing::info!(error = %error, "hosts of older releases are not locked out before the next takeover");
        }
        lease.abandon().await;
        return Err(error.into());
    }
    // The lease and its terms stay: if terms started from the beginning, a late write of this term could pass
    // the guards.
    lease.abandon().await;
    Ok(Rollback { from, to })
}

fn nothing() -> OperatorError {
    OperatorError::new(
        ErrorName::NotFound,
        "Neither cluster holds the metadata of a sync. Give the connection strings of the sync.",
    )
}

fn no_way_back(version: i32) -> OperatorError {
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        format!(
            "This release writes metadata version {METADATA_VERSION}, and cannot roll back version {version}. \
             Nothing was changed."
        ),
    )
}

fn has_system_events() -> OperatorError {
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        "The sync takes time-series collections, which earlier releases cannot go on with: their change stream does not \
         carry buckets. Nothing was changed. Go on with this release.",
    )
}

fn in_use() -> OperatorError {
    OperatorError::new(
        ErrorName::StandbyInstance,
        "A host works on the sync. Stop every host, or wait until the lease of a dead host has expired, and try \
         again. Nothing was changed.",
    )
}
