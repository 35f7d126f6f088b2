//! The lease on a sync: exactly one host works on it.
//!
//! One document, which only changes hands in one conditional update, and whose
//! times are all the destination primary's own (`$$NOW`). It goes to another host when
//! its holder has released it, when its time is over, or when its holder is known
//! to be dead. Each time it is taken begins a new *term*, which stands in a document of
//! its own: whoever writes metadata touches that one, in the same transaction, in the
//! writer's term. So a writer of an older term writes nothing, and renewals, which do not
//! touch it, never wait for a long transaction.

use std::time::Duration;

use bson::{Document, doc};

use super::{
    collections::LEASE,
    documents::LeaseDocument,
    store::Reader,
    tenure::{LEASE_ID, LeaseKey, writers},
};
use crate::mongo::{Error, GuardCounts};

/// Who wants the lease.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The id of the host process: new for each.
    pub holder: String,
    /// `--id`.
    pub instance: String,
    pub release: String,
    /// Tells on the same machine whether the process is still there.
    pub process: String,
    pub duration: Duration,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Reader {
    /// The lease as it stands; `None` where no host that knows leases has worked yet.
    pub async fn lease(&self) -> Result<Option<LeaseDocument>, Error> {
        let found = self.documents.find(LEASE, doc! { "_id": LEASE_ID }).await?;
        Ok(found.into_iter().next())
    }

    /// Whether the time of the lease is over, by the server's clock.
    pub async fn is_lease_expired(&self) -> Result<bool, Error> {
        let over = doc! { "_id": LEASE_ID, "$expr": { "$lte": ["$expiresAt", "$$NOW"] } };
        let found: Vec<LeaseDocument> = self.documents.find(LEASE, over).await?;
        Ok(!found.is_empty())
    }

    /// Takes the lease, if it is free, or if `dead` holds it. `None`: somebody else has it.
    /// Nothing may be written before [`Self::begin_term`].
    pub async fn take_lease(
        &self,
        claim: &Claim,
        dead: Option<&str>,
    ) -> Result<Option<LeaseDocument>, Error> {
        let free = doc! { "term": 0_i64, "released": true };
        self.documents
            .insert_if_absent(LEASE, LEASE_ID, free)
            .await?;
        let filter = doc! { "_id": LEASE_ID, "$or": [
            { "released": true },
            { "holder": { "$in": [&claim.holder, dead.unwrap_or(&claim.holder)] } },
            { "$expr": { "$lte": ["$expiresAt", "$$NOW"] } },
        ] };
        let remember = doc! { "$set": { "predecessor": { "$cond": [
            { "$gt": ["$term", 0_i64] },
            {
                "holder": "$holder", "release": "$release", "released": "$released",
                "silentMs": { "$subtract": ["$$NOW", "$lastAppliedAt"] },
            },
            "$$REMOVE",
        ] } } };
        let take = doc! { "$set": {
            "holder": { "$literal": &claim.holder },
            "instance": { "$literal": &claim.instance },
            "release": { "$literal": &claim.release },
            "process": { "$literal": &claim.process },
            "term": { "$add": ["$term", 1_i64] },
            "released": false,
            "takenAt": "$$NOW",
            "expiresAt": { "$add": ["$$NOW", milliseconds(claim.duration)] },
        } };
        self.changed(filter, vec![remember, take]).await
    }

    /// From here on, a transaction of an older term writes nothing. Waits for those that are open.
    pub async fn begin_term(&self, term: i64) -> Result<GuardCounts, Error> {
        self.documents.raise_term(LEASE, &writers(), term).await
    }

    /// Keeps the lease for another `duration`. `idle` is the time since anything was applied;
    /// `None` before anything was. False: the lease is somebody else's.
    pub async fn renew_lease(
        &self,
        key: &LeaseKey,
        duration: Duration,
        idle: Option<Duration>,
    ) -> Result<bool, Error> {
        let renewed = doc! { "expiresAt": { "$add": ["$$NOW", milliseconds(duration)] } };
        self.set(key, renewed, idle).await
    }

    /// Gives the lease back: whoever wants it gets it at once. False: it is somebody else's.
    pub async fn release_lease(
        &self,
        key: &LeaseKey,
        idle: Option<Duration>,
    ) -> Result<bool, Error> {
        self.set(key, doc! { "released": true, "expiresAt": "$$NOW" }, idle)
            .await
    }

    async fn set(
        &self,
        key: &LeaseKey,
        mut fields: Document,
        idle: Option<Duration>,
    ) -> Result<bool, Error> {
        if let Some(idle) = idle {
            let applied = doc! { "$subtract": ["$$NOW", milliseconds(idle)] };
            fields.insert("lastAppliedAt", applied);
        }
        let changed = self
            .changed(key.filter(), vec![doc! { "$set": fields }])
            .await?;
        Ok(changed.is_some())
    }

    async fn changed(
        &self,
        filter: Document,
        pipeline: Vec<Document>,
    ) -> Result<Option<LeaseDocument>, Error> {
        self.documents.update(LEASE, filter, pipeline).await
    }
}
