//! Takes a persisted sync over: finds it, takes its lease, and goes on with it.
//!
//! The cluster that holds the metadata is the destination. Nothing is written before the
//! lease is ours, and nothing at all where the metadata is a newer release's or the sync
//! one between other clusters. Once the lease is ours, metadata is brought to this
//! release's version, and the session is told who works on it now. A failure gives the
//! lease back.

use std::sync::Arc;

use super::{
    ActiveSync, Session,
    lease::{self, Lease, Taken},
    pause, pins,
    process::is_dead,
    standby::Why,
};
use crate::{
    metadata::{Heading, LeaseDocument, METADATA_VERSION, Phase, SessionDocument, UpgradeDocument},
    model::{ErrorName, OperatorError, State, options::ClusterName},
    mongo::{self, Cluster, is_connected, preflight::Identity},
    observe::{self, failpoint},
    sync::{self, MetadataReader, Record, Status, metadata_reader},
};

/// The metadata version from which on every host holds a lease.
const FIRST_WITH_LEASE: i32 = 2;

/// How the hosts of releases without a lease call themselves to a server.
const WITHOUT_LEASE: [&str; 2] = ["tidegate 0.1.0", "tidegate 0.1.1"];

/// What came of an attempt.
pub(super) enum Attempt {
    /// No sync has begun.
    Nothing,
    /// Somebody else works on it.
    Wait(Found, Why),
    /// This host works on it now.
    TakenOver(Arc<ActiveSync>),
}

/// A sync that has begun.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) source: Cluster,
    pub(super) destination: Cluster,
    pub(super) reader: MetadataReader,
    pub(super) heading: Heading,
}

/// Takes a persisted sync over, if there is one and nobody works on it. `patient`: leases that
/// may have run out are tried, too, which a server is asked for.
pub(super) async fn attempt(session: &Session, patient: bool) -> Result<Attempt, OperatorError> {
    let Some(found) = find(session).await? else {
        return Ok(Attempt::Nothing);
    };
    found.refuse_unknown(&session.identities)?;
    if found.is_worked_on_without_lease().await? {
        return Ok(Attempt::Wait(found, Why::WithoutLease));
    }
    let lease = found.reader.lease().await.map_err(operator)?;
    let dead = lease.as_ref().filter(|lease| is_dead(&lease.process));
    let dead = dead.map(|lease| lease.holder.clone());
    if let Some(held) = lease.filter(|lease| !lease.released && dead.is_none() && !patient) {
        return Ok(Attempt::Wait(found, Why::Held(Box::new(held))));
    }
    let client = &found.destination.client;
    let last_written = if session.stands_by_without_lease() {
        // Only for what is shown: without the right to ask, it is shown less exactly.
        mongo::last_written(client).await.ok()
    } else {
        None
    };
    match lease::take(client, &found.reader, &session.claim(), dead.as_deref()).await {
        Ok(Some(taken)) => take_over(session, found, taken, last_written)
            .await
            .map(Attempt::TakenOver),
        Ok(None) => {
            let held = found.reader.lease().await.map_err(operator)?;
            let held = Box::new(held.unwrap_or_default());
            Ok(Attempt::Wait(found, Why::Held(held)))
        }
        Err(error) => Err(operator(error)),
    }
}

pub(super) async fn find(session: &Session) -> Result<Option<Found>, OperatorError> {
    let [cluster0, cluster1] = &session.clusters;
    for (destination, source) in [(cluster0, cluster1), (cluster1, cluster0)] {
        let reader = metadata_reader(&destination.client);
        if let Some(heading) = reader.heading().await.map_err(operator)? {
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

/// Goes on with a sync whose lease has just been taken.
async fn take_over(
    session: &Session,
    found: Found,
    taken: Taken,
    last_written: Option<bson::DateTime>,
) -> Result<Arc<ActiveSync>, OperatorError> {
    let status = Arc::new(Status::default());
    let (at, document) = (taken.at, taken.document.clone());
    let duration = session.settings.lease;
    let lease = Lease::hold(found.reader.clone(), taken, duration, status.clone());
    let gone_on = match go_on(session, &found, &lease).await {
        Ok(document) => resume(session, &found, lease, document, status).await,
        Err(error) => {
            lease.release().await;
            Err(error)
        }
    };
    let active = gone_on?;
    pause::measure(&active, &document, at, last_written);
    Ok(active)
}

/// Everything before the work begins again; gives the session as it is then.
async fn go_on(
    session: &Session,
    found: &Found,
    lease: &Lease,
) -> Result<SessionDocument, OperatorError> {
    let client = &found.destination.client;
    let version = found.heading.metadata_version;
    if version < FIRST_WITH_LEASE && found.is_worked_on_without_lease().await? {
        return Err(still_there());
    }
    if version < METADATA_VERSION {
        let (key, fence) = (lease.document().key(), lease.fence());
        let versions = (version, METADATA_VERSION);
        sync::migrate(client, &fence, &key, &session.registry, versions)
            .await
            .map_err(sync::Error::into_operator)?;
    }
    sync::shut_out(&lease.destination(client))
        .await
        .map_err(sync::Error::into_operator)?;
    failpoint("old_hosts_shut_out");
    let store = lease.store();
    let persisted = store.session().await.map_err(operator)?;
    let mut document = persisted.ok_or_else(|| operator(mongo::Error::Reply("session")))?;
    document.upgrades.extend(found.upgrade(lease.document()));
    if version < FIRST_WITH_LEASE {
        let position = store.position().await.map_err(operator)?;
        let unclean = position.is_none_or(|position| !position.clean);
        document.warnings.extend(may_come_back(&document, unclean));
    }
    document.written_by = observe::VERSION.to_owned();
    store.put_session(&document).await.map_err(operator)?;
    failpoint("upgrade_recorded");
    Ok(document)
}

/// Continues a sync as it was: what ran runs, what was paused stays so. One whose components
/// are not to be had waits for them, as one whose work has failed.
async fn resume(
    session: &Session,
    found: &Found,
    lease: Lease,
    document: SessionDocument,
    status: Arc<Status>,
) -> Result<Arc<ActiveSync>, OperatorError> {
    let (state, commit_time) = (document.state, document.commit_time);
    tracing::info!(state = %state, "found a sync");
    if let Err(error) = show_persisted(found, &status).await {
        lease.release().await;
        return Err(operator(error));
    }
    let record = Record::new(lease.store(), document);
    let clusters = (found.source.clone(), found.destination.clone());
    let active = Arc::new(ActiveSync::new(
        clusters,
        lease,
        record,
        status,
        commit_time,
    ));
    let gone_on = match state {
        State::Running | State::Committing => active.spawn(session).await,
        State::Committed => {
            active.status.set_step(sync::Step::Committed);
            pins::load(session, active.record.store()).await
        }
        _ => active.configured(session).await.map(drop),
    };
    if let Err(error) = gone_on {
        active.fail(error);
    }
    Ok(active)
}

async fn show_persisted(found: &Found, status: &Status) -> Result<(), mongo::Error> {
    let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
    let copied = found.reader.copied().await?;
    let position = found.reader.position().await?;
    let (events, before) = position.map_or_else(Default::default, |position| {
        (to_u64(position.events_applied), position.copied)
    });
    let documents = to_u64(copied.documents.max(before.documents));
    status.begin_at(events, documents, to_u64(copied.bytes.max(before.bytes)));
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
        is_connected(&self.destination.client, &WITHOUT_LEASE)
            .await
            .map_err(operator)
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

pub(super) fn operator(error: mongo::Error) -> OperatorError {
    sync::Error::Mongo(error).into_operator()
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
    let what = match (swapped, other_source) {
        (true, _) => "cluster0 and cluster1 are swapped",
        (_, true) => "the source is another cluster",
        _ => "the destination is another cluster, and holds a copy of the metadata",
    };
    Err(OperatorError::new(
        ErrorName::ClustersMismatch,
        format!(
            "{destination_name} holds the metadata of a sync between other clusters: {what}. Start with the connection \
             strings that the sync was begun with, or drop the database mongosync_internal_tidegate to give it up.",
            destination_name = destination_name.as_str()
        ),
    ))
}
