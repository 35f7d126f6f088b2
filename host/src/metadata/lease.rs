//! The lease on a sync: exactly one host works on it.
//!
//! The lease is a document. Its holder changes in a single conditional update, and all its times are those of
//! the destination's primary (`$$NOW`). Another host can take it after its release, after its expiry, or
//! after the death of its holder. Each takeover begins a new *term*. The term has a document of its own, which
//! each transaction of the metadata changes. So a writer of an older term writes nothing, and renewals, which
//! do not change that document, never wait for a long transaction.

use std::time::Duration;

use bson::{Document, doc};

use super::{
    collections::LEASE,
    documents::LeaseDocument,
    store::Reader,
    tenure::{LEASE_ID, LeaseKey, writers},
};
use crate::mongo::{Error, GuardCounts};

/// A host's claim to the lease.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Id of the host process, new for each process.
    pub holder: String,
    /// `--id`.
    pub instance: String,
    /// Release of the host, as `0.3.1`.
    pub release: String,
    /// Identifies the process on its machine, so that another host there can tell whether it lives.
    pub process: String,
    /// Time until the lease expires without a renewal: `leaseSeconds`.
    pub duration: Duration,
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Reader {
    /// The lease; `None` before the first host with a release that has leases.
    pub async fn lease(&self) -> Result<Option<LeaseDocument>, Error> {
        let found = self.documents.find(LEASE, doc! { "_id": LEASE_ID }).await?;
        Ok(found.into_iter().next())
    }

    /// True if the lease has expired by the server's clock.
    pub async fn is_lease_expired(&self) -> Result<bool, Error> {
        let over = doc! { "_id": LEASE_ID, "$expr": { "$lte": ["$expiresAt", "$$NOW"] } };
        let found: Vec<LeaseDocument> = self.documents.find(LEASE, over).await?;
        Ok(!found.is_empty())
    }

    /// Takes the lease, if it is free or held by `dead`. `None` if another host has it.
    ///
    /// Invariant: the new holder writes nothing before [`Self::begin_term`].
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

    /// Raises the term of all guards: from then on, transactions of older terms write nothing. Waits for open
    /// transactions.
    pub async fn begin_term(&self, term: i64) -> Result<GuardCounts, Error> {
        self.documents.raise_term(LEASE, &writers(), term).await
    }

    /// Extends the lease by `duration` from now. `idle` is the time since the last applied event or copied
    /// document; `None` before the first. False if another host has the lease.
    pub async fn renew_lease(
        &self,
        key: &LeaseKey,
        duration: Duration,
        idle: Option<Duration>,
    ) -> Result<bool, Error> {
        let renewed = doc! { "expiresAt": { "$add": ["$$NOW", milliseconds(duration)] } };
        self.set(key, renewed, idle).await
    }

    /// Releases the lease: any host can take it at once. False if another host has it.
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
