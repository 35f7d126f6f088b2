//! Takes a persisted sync over: finds it, takes its lease, and goes on with it.
//!
//! The cluster that holds the metadata is the destination. Nothing is written before the
//! lease is ours, and nothing at all where the metadata is a newer release's or the sync
//! one between other clusters. Once the lease is ours, metadata is brought to this
//! release's version, and the session is told who works on it now. A failure gives the
//! lease back: another host may be able to go on.

use std::sync::Arc;

use super::{
    ActiveSync, Session,
    lease::{self, Lease, Taken},
    pause, pins,
    process::is_dead,
    quarantine,
    standby::Why,
};
use crate::{
    metadata::{
        self, Heading, LeaseDocument, METADATA_VERSION, Phase, SessionDocument, UpgradeDocument,
    },
    model::{ErrorName, OperatorError, State, options::ClusterName},
    mongo::{self, Cluster, is_connected, preflight::Identity},
    observe::{self, failpoint},
    sync::{self, Record, Status},
};

/// The metadata version from which on every host holds a lease.
const FIRST_WITH_LEASE: i32 = 2;

/// How the hosts of releases without a lease call themselves to a server.
const WITHOUT_LEASE: [&str; 2] = ["tidegate 0.1.0", "tidegate 0.1.1"];

/// What a look at both clusters finds.
pub(super) enum Look {
    NoSync,
    /// Another host works on the sync.
    Held(Found, Why),
    /// No host works on the sync. A holder that has not given it back is known to be dead.
    Free(Found, Option<String>),
}

/// How a takeover ends that has not failed.
pub(super) enum Takeover {
    Active(Arc<ActiveSync>),
    /// Another host was faster.
    Held(Box<LeaseDocument>),
}

/// Why a takeover has failed. The lease was given back.
pub(super) enum TakeoverError {
    /// This host must not take the sync over, or a cluster did not let it.
    Refused(OperatorError),
    /// This host cannot run the sync.
    Unfit(OperatorError),
}

impl TakeoverError {
    pub(super) fn into_operator(self) -> OperatorError {
        match self {
            Self::Refused(error) | Self::Unfit(error) => error,
        }
    }
}

impl From<OperatorError> for TakeoverError {
    fn from(error: OperatorError) -> Self {
        Self::Refused(error)
    }
}

/// A sync that has begun.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) source: Cluster,
    pub(super) destination: Cluster,
    pub(super) reader: metadata::Reader,
    pub(super) heading: Heading,
}

/// Looks for a sync, and whether a host works on it. Only reads. `patient`: a server is asked
/// whether the lease has run out, too.
pub(super) async fn look(session: &Session, patient: bool) -> Result<Look, OperatorError> {
    let Some(found) = find(session).await? else {
        return Ok(Look::NoSync);
    };
    found.refuse_unknown(&session.identities)?;
    if found.is_worked_on_without_lease().await? {
        return Ok(Look::Held(found, Why::WithoutLease));
    }
    let Some(lease) = found.reader.lease().await? else {
        return Ok(Look::Free(found, None));
    };
    let dead = is_dead(&lease.process).then(|| lease.holder.clone());
    let is_free = lease.released || dead.is_some() || lease.holder == session.holder;
    if is_free || (patient && found.reader.is_lease_over().await?) {
        return Ok(Look::Free(found, dead));
    }
    Ok(Look::Held(found, Why::Held(Box::new(lease))))
}

/// Takes a sync over that no host works on.
pub(super) async fn take(
    session: &Session,
    found: &Found,
    dead: Option<&str>,
) -> Result<Takeover, TakeoverError> {
    let client = &found.destination.client;
    let last_written = if session.stands_by_without_lease() {
        // Only for what is shown: without the right to ask, it is shown less exactly.
        mongo::last_written(client).await.ok()
    } else {
        None
    };
    let taken = lease::take(client, &found.reader, &session.claim(), dead).await;
    match taken.map_err(OperatorError::from)? {
        Some(taken) => take_over(session, found, taken, last_written)
            .await
            .map(Takeover::Active),
        None => {
            let held = found.reader.lease().await;
            let held = held.map_err(OperatorError::from)?;
            Ok(Takeover::Held(Box::new(held.unwrap_or_default())))
        }
    }
}

pub(super) async fn find(session: &Session) -> Result<Option<Found>, OperatorError> {
    let [cluster0, cluster1] = &session.clusters;
    for (destination, source) in [(cluster0, cluster1), (cluster1, cluster0)] {
        let reader = metadata::Reader::new(&destination.client);
        if let Some(heading) = reader.heading().await? {
            return Ok(Some(Found {
                source: source.clone(),
                destination: destination.clone(),
                reader,
                heading,
            }));
        }
    }
    Ok(None)
}

/// Goes on with a sync whose lease has just been taken. A failure gives it back.
async fn take_over(
    session: &Session,
    found: &Found,
    taken: Taken,
    last_written: Option<bson::DateTime>,
) -> Result<Arc<ActiveSync>, TakeoverError> {
    let status = Arc::new(Status::default());
    let (at, document) = (taken.at, taken.document.clone());
    let duration = session.settings.lease;
    let lease = Lease::hold(found.reader.clone(), taken, duration, status.clone());
    let prepared = async {
        let prepared = go_on(session, found, &lease).await?;
        show_persisted(found, &status, &prepared.0).await?;
        Ok(prepared)
    };
    let (persisted, upgrade) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            lease.abandon().await;
            return Err(TakeoverError::Refused(error));
        }
    };
    let active = active(found, lease, persisted, status);
    if let Err(error) = resume(session, &active).await {
        // Nothing of it was shown yet.
        let _ = active.stop().await;
        active.lease.abandon().await;
        return Err(TakeoverError::Unfit(error));
    }
    pause::measure(&active, &document, at, last_written, upgrade);
    quarantine::remove_stored_documents(&active);
    Ok(active)
}

/// Everything before the work begins again; gives the session as it is then, and when the upgrade
/// began, if this takeover is one.
async fn go_on(
    session: &Session,
    found: &Found,
    lease: &Lease,
) -> Result<(SessionDocument, Option<bson::DateTime>), OperatorError> {
    let client = &found.destination.client;
    let version = found.heading.metadata_version;
    if version < FIRST_WITH_LEASE && found.is_worked_on_without_lease().await? {
        return Err(still_there());
    }
    if version < METADATA_VERSION {
        let versions = (version, METADATA_VERSION);
        sync::migrate(client, &lease.tenure(), &session.registry, versions).await?;
    }
    sync::lock_out_legacy_hosts(&lease.destination(client)).await?;
    failpoint("old_hosts_shut_out");
    let store = lease.store();
    let persisted = store.session().await?;
    let mut document = persisted.ok_or(mongo::Error::Reply("session"))?;
    let upgrade = found.upgrade(lease.document());
    let began = upgrade.as_ref().map(|upgrade| upgrade.at);
    document.upgrades.extend(upgrade);
    if version < FIRST_WITH_LEASE {
        let position = store.position().await?;
        let unclean = position.is_none_or(|position| !position.clean);
        document.warnings.extend(may_come_back(&document, unclean));
    }
    document.written_by = observe::VERSION.to_owned();
    store.put_session(&document).await?;
    failpoint("upgrade_recorded");
    Ok((document, began))
}

fn active(
    found: &Found,
    lease: Lease,
    document: SessionDocument,
    status: Arc<Status>,
) -> Arc<ActiveSync> {
    tracing::info!(sync_id = document.sync_id(), state = %document.state, "found a sync");
    let commit_time = document.commit_time;
    let record = Record::new(lease.store(), document);
    let clusters = (found.source.clone(), found.destination.clone());
    Arc::new(ActiveSync::new(
        clusters,
        lease,
        record,
        status,
        commit_time,
    ))
}

/// Continues a sync as it was: what ran runs, what was paused stays so. Fails where this host
/// cannot run what the sync is pinned to.
async fn resume(session: &Session, active: &ActiveSync) -> Result<(), OperatorError> {
    match active.record.get().state {
        State::Committed => {
            active.status.set_activity(sync::Activity::Committed);
            pins::load(session, active.record.store()).await?;
        }
        _ => drop(active.configured(session).await?),
    }
    session.uploads.store(active.record.store()).await?;
    if matches!(
        active.record.get().state,
        State::Running | State::Committing
    ) {
        active.spawn(session).await?;
    }
    Ok(())
}

async fn show_persisted(
    found: &Found,
    status: &Status,
    session: &SessionDocument,
) -> Result<(), mongo::Error> {
    let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
    let copied = found.reader.copied().await?;
    let position = found.reader.position().await?;
    let (events, before) = position.map_or_else(Default::default, |position| {
        (to_u64(position.events_applied), position.copied)
    });
    let documents = to_u64(copied.documents.max(before.documents));
    status.begin_at(events, documents, to_u64(copied.bytes.max(before.bytes)));
    let namespaces = found.reader.namespaces().await?;
    sync::show_indexes(status, session.options.build_indexes, &namespaces);
    Ok(())
}

impl Found {
    /// Refuses what this host must not touch. Only reads.
    pub(super) fn refuse_unknown(&self, identities: &[Identity; 2]) -> Result<(), OperatorError> {
        if self.heading.metadata_version > METADATA_VERSION {
            return Err(newer_version(&self.heading));
        }
        let [identity0, identity1] = identities;
        let (source, destination) = match self.destination.name {
            ClusterName::Cluster0 => (identity1, identity0),
            ClusterName::Cluster1 => (identity0, identity1),
        };
        refuse_other_clusters(&self.heading, self.destination.name, source, destination)
    }

    /// True if a host of a release that knows no lease is connected to the destination.
    async fn is_worked_on_without_lease(&self) -> Result<bool, OperatorError> {
        if self.heading.metadata_version >= FIRST_WITH_LEASE {
            return Ok(false);
        }
        Ok(is_connected(&self.destination.client, &WITHOUT_LEASE).await?)
    }

    /// What is to be kept of this takeover, if it is one by another release.
    fn upgrade(&self, lease: &LeaseDocument) -> Option<UpgradeDocument> {
        let from_binary = &self.heading.written_by;
        let from_metadata = self.heading.metadata_version;
        if from_binary == observe::VERSION && from_metadata == METADATA_VERSION {
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
            to_metadata: METADATA_VERSION,
            paused_ms: None,
            outcome: outcome.to_owned(),
        })
    }
}

/// The warning where a host without a lease may have been cut off while it applied events: it can
/// write documents until its next write of metadata is refused. In the copy no warning is needed:
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
        "A host of a release before 0.2.0 works on the sync. Stop it: this one then goes on by itself.",
    )
}

fn newer_version(heading: &Heading) -> OperatorError {
    let (version, release) = (heading.metadata_version, &heading.written_by);
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        format!(
            "The destination's metadata has version {version}, written by {release}; this release knows version \
             {METADATA_VERSION}. Nothing was changed. Use release {release} or a later one."
        ),
    )
}

fn refuse_other_clusters(
    heading: &Heading,
    destination_name: ClusterName,
    source: &Identity,
    destination: &Identity,
) -> Result<(), OperatorError> {
    let named = heading.options.as_ref();
    let swapped = named.is_some_and(|options| options.destination != destination_name);
    let other_source = heading.source_id != source.replica_set_id.to_hex();
    let other_destination = heading.destination_id != destination.replica_set_id.to_hex();
    if !swapped && !other_source && !other_destination {
        return Ok(());
    }
    let holder = destination_name.as_str();
    if heading.is_committed() {
        return Err(OperatorError::new(
            ErrorName::ClustersMismatch,
            format!(
                "{holder} holds the metadata of a sync into it that is COMMITTED, and of which these are not the two \
                 clusters. To begin the next sync, drop the database mongosync_internal_tidegate on {holder}, and \
                 nothing else: its other databases may be in use. docs/cutover.md has the steps."
            ),
        ));
    }
    let what = match (swapped, other_source) {
        (true, _) => "cluster0 and cluster1 are swapped",
        (_, true) => "the source is another cluster",
        _ => "the destination is another cluster, and holds a copy of the metadata",
    };
    Err(OperatorError::new(
        ErrorName::ClustersMismatch,
        format!(
            "{holder} holds the metadata of a sync between other clusters that is not done: {what}. Start with the \
             connection strings that the sync was begun with; or, to give it up, drop the database \
             mongosync_internal_tidegate on {holder}, as docs/cutover.md says."
        ),
    ))
}
