//! Takeover of a persisted sync: finds it, takes its lease, and continues its work.
//!
//! Before the lease is taken nothing is written, and nothing at all if the metadata has a newer version or
//! belongs to a sync between other clusters. With the lease, the metadata is migrated to the version of this
//! release, and the session records this host. A failure releases the lease, so that another host can take the
//! sync over.

use std::sync::Arc;

use super::{
    persisted_sync::{FIRST_WITH_LEASE, PersistedSync, find},
    standby::StandbyReason,
};
use crate::{
    metadata::{
        self, LeaseDocument, METADATA_VERSION, Phase, SessionDocument, SessionHeader,
        UpgradeDocument,
    },
    model::{ErrorName, OperatorError, State},
    mongo,
    observe::{self, failpoint},
    session::{
        active::{ActiveSync, state::SyncState},
        components::{adoption::configured, pins},
        context::HostContext,
        lease::{self, Lease, LeaseGrant, pause::PauseMeter, process::is_dead},
        quarantine,
    },
    sync::{self, Record, Status},
};

/// The result of a search on both clusters.
pub(crate) enum Discovery {
    NoSync,
    /// Another host is active.
    Held(PersistedSync, StandbyReason),
    /// No host is active. With the id of a holder that has died without a release, if there is one.
    Free(PersistedSync, Option<String>),
}

/// The result of a takeover.
pub(crate) enum Takeover {
    Active(Arc<ActiveSync>),
    /// Another host was faster.
    Standby(Box<LeaseDocument>),
}

/// The reason of a failed takeover. The lease has been released.
pub(crate) enum TakeoverError {
    /// This host must not take the sync over, or a cluster did not allow it.
    Refused(OperatorError),
    /// This host cannot run the sync.
    Unfit(OperatorError),
}

impl From<TakeoverError> for OperatorError {
    fn from(error: TakeoverError) -> Self {
        match error {
            TakeoverError::Refused(error) | TakeoverError::Unfit(error) => error,
        }
    }
}

impl From<OperatorError> for TakeoverError {
    fn from(error: OperatorError) -> Self {
        Self::Refused(error)
    }
}

/// Looks for a sync and for its active host. Only reads. Whether the lease has expired is asked only if
/// `patient` is set: it takes another command.
pub(crate) async fn discover(
    context: &HostContext,
    patient: bool,
) -> Result<Discovery, OperatorError> {
    let Some(persisted) = find(&context.clusters).await? else {
        return Ok(Discovery::NoSync);
    };
    persisted.refuse_unknown(&context.identities)?;
    if persisted.is_worked_on_without_lease().await? {
        return Ok(Discovery::Held(persisted, StandbyReason::HostWithoutLease));
    }
    let Some(lease) = persisted.reader.lease().await? else {
        return Ok(Discovery::Free(persisted, None));
    };
    let dead = is_dead(&lease.process).then(|| lease.holder.clone());
    let is_free = lease.released || dead.is_some() || lease.holder == context.holder;
    if is_free || (patient && persisted.reader.is_lease_expired().await?) {
        return Ok(Discovery::Free(persisted, dead));
    }
    Ok(Discovery::Held(
        persisted,
        StandbyReason::LeaseHeld(Box::new(lease)),
    ))
}

/// Takes over a sync without an active host. `without_lease` says that a host without a lease was connected at
/// the previous search.
///
/// Not cancel safe: dropped after the lease was taken, it leaves a lease that expires by itself.
pub(crate) async fn take(
    context: &HostContext,
    persisted: &PersistedSync,
    dead: Option<&str>,
    without_lease: bool,
) -> Result<Takeover, TakeoverError> {
    let client = &persisted.destination.client;
    let last_written = if without_lease {
        // Needed for `pausedMs` only. Without the privilege that value is less exact.
        mongo::last_written(client).await.ok()
    } else {
        None
    };
    let grant = lease::take(client, &persisted.reader, &context.claim(), dead).await;
    match grant.map_err(OperatorError::from)? {
        Some(grant) => continue_sync(context, persisted, grant, last_written)
            .await
            .map(Takeover::Active),
        None => {
            let held = persisted
                .reader
                .lease()
                .await
                .map_err(OperatorError::from)?;
            Ok(Takeover::Standby(Box::new(held.unwrap_or_default())))
        }
    }
}

/// Continues a sync under a lease that was just granted. A failure releases the lease.
async fn continue_sync(
    context: &HostContext,
    persisted: &PersistedSync,
    grant: LeaseGrant,
    last_written: Option<bson::DateTime>,
) -> Result<Arc<ActiveSync>, TakeoverError> {
    let status = Arc::new(Status::default());
    let (taken, document) = (grant.at, grant.document.clone());
    let duration = context.settings.lease;
    let lease = Lease::hold(persisted.reader.clone(), grant, duration, status.clone());
    let prepared = async {
        let prepared = prepare(context, persisted, &lease).await?;
        show_persisted(persisted, &status, &prepared.0).await?;
        Ok::<_, OperatorError>(prepared)
    };
    let (session, upgrade_time) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            lease.abandon().await;
            return Err(TakeoverError::Refused(error));
        }
    };
    let active = active_sync(context, persisted, lease, session, status);
    if let Err(error) = resume(context, &active).await {
        // The sync was not shown yet, so this error needs no report.
        let _ = active.stop().await;
        active.lease.abandon().await;
        return Err(TakeoverError::Unfit(error));
    }
    if matches!(active.state(), SyncState::Running | SyncState::Committing) {
        let meter = PauseMeter {
            record: active.record.clone(),
            moved: active.status.moved(),
            source: active.source.client.clone(),
            paused_ms: active.pause(),
            lease: document,
            taken,
            last_written,
            upgrade: upgrade_time,
        };
        meter.start();
    }
    quarantine::remove_stored_documents(active.record.store());
    Ok(active)
}

/// All steps before the work starts. Returns the session, and the time of the history entry if this takeover is
/// a live upgrade.
async fn prepare(
    context: &HostContext,
    persisted: &PersistedSync,
    lease: &Lease,
) -> Result<(SessionDocument, Option<bson::DateTime>), OperatorError> {
    let client = &persisted.destination.client;
    let version = persisted.header.metadata_version;
    if version < FIRST_WITH_LEASE && persisted.is_worked_on_without_lease().await? {
        return Err(still_there());
    }
    if version < METADATA_VERSION {
        let versions = (version, METADATA_VERSION);
        sync::migrate(client, &lease.tenure(), &context.registry, versions).await?;
    }
    sync::lock_out_legacy_hosts(&lease.destination(client)).await?;
    failpoint("old_hosts_shut_out");
    let store = lease.store();
    let session = store.session().await?;
    let mut session = session.ok_or(mongo::Error::Reply("session"))?;
    if session.reversals > 0 {
        let old = metadata::Reader::new(&persisted.source.client);
        if let Err(error) = old.remove_older_session(session.reversals).await {
            tracing::info!(error = %error, "the session of the direction before the reverse is not removed yet");
        }
    }
    let upgrade = upgrade(&persisted.header, lease.document());
    let began = upgrade.as_ref().map(|upgrade| upgrade.at);
    let occurrence = upgrade
        .as_ref()
        .and_then(|upgrade| context.hooks.upgraded(&session, upgrade));
    session.upgrades.extend(upgrade);
    if version < FIRST_WITH_LEASE {
        let position = store.position().await?;
        let unclean = position.is_none_or(|position| !position.clean);
        session.warnings.extend(may_come_back(&session, unclean));
    }
    session.written_by = observe::VERSION.to_owned();
    let occurrence = occurrence.map(|document| store.hook_change(&document));
    let more = occurrence.transpose()?.into_iter().collect();
    store.put_session(&session, more).await?;
    failpoint("upgrade_recorded");
    Ok((session, began))
}

fn active_sync(
    context: &HostContext,
    persisted: &PersistedSync,
    lease: Lease,
    document: SessionDocument,
    status: Arc<Status>,
) -> Arc<ActiveSync> {
    tracing::info!(sync_id = document.sync_id(), state = %document.state, "found a sync");
    let record = Record::new(lease.store(), document);
    let clusters = (persisted.source.clone(), persisted.destination.clone());
    Arc::new(ActiveSync::new(
        context.runtime(),
        clusters,
        lease,
        record,
        status,
    ))
}

/// Continues a sync in its persisted state: running work is started, a paused sync stays paused. Fails if this
/// host cannot run the pinned components.
async fn resume(context: &HostContext, active: &ActiveSync) -> Result<(), OperatorError> {
    match active.record.get().state {
        State::Committed => {
            active.status.set_activity(sync::Activity::Committed);
            pins::load(&context.registry, active.record.store()).await?;
        }
        _ => drop(configured(active).await?),
    }
    context.uploads.store(active.record.store()).await?;
    if matches!(
        active.record.get().state,
        State::Running | State::Committing
    ) {
        let configured = configured(active).await?;
        active.spawn(&configured).await;
    }
    Ok(())
}

async fn show_persisted(
    persisted: &PersistedSync,
    status: &Status,
    session: &SessionDocument,
) -> Result<(), mongo::Error> {
    let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
    let copied = persisted.reader.copy_totals().await?;
    let position = persisted.reader.position().await?;
    let (events, before) = match position {
        None => Default::default(),
        Some(position) => {
            status.set_safe(position.safe.cluster_time);
            status.set_reported(position.safe.cluster_time);
            (to_u64(position.events_applied), position.copied)
        }
    };
    let documents = to_u64(copied.documents.max(before.documents));
    status.begin_at(events, documents, to_u64(copied.bytes.max(before.bytes)));
    let namespaces = persisted.reader.namespaces().await?;
    sync::show_indexes(status, session.options.build_indexes, &namespaces);
    Ok(())
}

/// The history entry of this takeover, if it is a live upgrade.
fn upgrade(header: &SessionHeader, lease: &LeaseDocument) -> Option<UpgradeDocument> {
    let from_binary = &header.written_by;
    let from_metadata = header.metadata_version;
    if from_binary == observe::VERSION && from_metadata >= METADATA_VERSION {
        return None;
    }
    let outcome = match &lease.predecessor {
        Some(before) if before.released => "handed over",
        Some(_) => "taken over when the old host was gone",
        None => "continued after the old host had stopped",
    };
    Some(UpgradeDocument {
        at: lease.taken_at.unwrap_or(bson::DateTime::MIN),
        from_binary: from_binary.clone(),
        to_binary: observe::VERSION.to_owned(),
        from_metadata,
        to_metadata: from_metadata.max(METADATA_VERSION),
        paused_ms: None,
        outcome: outcome.to_owned(),
    })
}

/// A warning for a previous host without a lease that may have been cut off while it applied events: it can
/// write documents until the destination refuses its next write of metadata. The copy needs no warning, because
/// its partitions are compared before commit.
fn may_come_back(document: &SessionDocument, unclean: bool) -> Option<String> {
    let worked = matches!(document.state, State::Running | State::Committing)
        && document.phase == Phase::ChangeEventApplication;
    (worked && unclean).then(|| {
        format!(
            "The host of release {} that worked on this sync before did not stop cleanly. Make sure that its process \
             has ended: if it was only cut off and comes back, it can overwrite newer documents for about a second, \
             until the destination refuses its metadata.",
            document.written_by
        )
    })
}

fn still_there() -> OperatorError {
    OperatorError::new(
        ErrorName::StandbyInstance,
        "A host of a release before 0.2.0 works on the sync. Stop it, and this host continues the sync.",
    )
}
