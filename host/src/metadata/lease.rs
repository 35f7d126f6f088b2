//! The lease on a sync: exactly one host works on it.
//!
//! One document, which only changes hands in one conditional update, and whose
//! times are all the destination primary's own (`$$NOW`). It goes to another host when
//! its holder has released it, when its time is over, or when its holder is known
//! to be dead. Each time it is taken begins a new *term*, which stands in a document of
//! its own: whoever writes metadata touches that one, in the same transaction, in the
//! writer's term. So a writer of an older term writes nothing, and renewals, which do not
//! touch it, never wait for a long transaction.

use bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::store::{Reader, Storage};
use crate::model::Guard;

pub(super) const LEASE: &str = "lease";
const ID: &str = "lease";
const TERM_ID: &str = "term";

/// The guard documents of all writers of documents. The list is closed: a new holder raises the
/// term of each, and a writer never makes one, so that none of an older term appears later.
const APPLIERS: [&str; 8] = [
    "applier:0",
    "applier:1",
    "applier:2",
    "applier:3",
    "applier:4",
    "applier:5",
    "applier:6",
    "applier:7",
];
const BETWEEN_ROUNDS: &str = "betweenRounds";

/// What a writer of metadata shows: the lease in its own term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey {
    /// The id of the host process that holds it.
    pub holder: String,
    pub term: i64,
}

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

/// Collection `lease`: one document.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseDocument {
    pub holder: String,
    pub instance: String,
    pub release: String,
    pub process: String,
    pub term: i64,
    pub released: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime>,
    /// When the holder last applied or copied anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_at: Option<DateTime>,
    /// Whom it was taken over from; absent for the first holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
}

/// The holder before.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Predecessor {
    pub holder: String,
    pub release: String,
    /// It has given the lease back; otherwise it died, or was cut off.
    pub released: bool,
    /// From what it applied last until the lease was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<i64>,
}

impl LeaseKey {
    /// The guard of metadata, and of DDL that takes part in its transactions.
    pub fn guard(&self) -> Guard {
        self.guard_of(TERM_ID)
    }

    /// The guard of the applier with this number.
    pub fn applier_guard(&self, number: usize) -> Guard {
        self.guard_of(APPLIERS.get(number).copied().unwrap_or(APPLIERS[0]))
    }

    /// The guard of whoever writes documents between rounds, when no applier does.
    pub fn between_rounds_guard(&self) -> Guard {
        self.guard_of(BETWEEN_ROUNDS)
    }

    fn guard_of(&self, writer: &str) -> Guard {
        Guard {
            collection: LEASE,
            writer: writer.to_owned(),
            term: self.term,
        }
    }

    fn filter(&self) -> Document {
        doc! { "_id": ID, "holder": &self.holder, "term": self.term, "released": false }
    }
}

impl LeaseDocument {
    pub fn key(&self) -> LeaseKey {
        LeaseKey {
            holder: self.holder.clone(),
            term: self.term,
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<S: Storage> Reader<S> {
    /// The lease as it stands; `None` where no host that knows leases has worked yet.
    pub async fn lease(&self) -> Result<Option<LeaseDocument>, S::Error> {
        let found = self.storage.find(LEASE, doc! { "_id": ID }).await?;
        Ok(found.into_iter().next())
    }

    /// Whether the time of the lease is over, by the server's clock.
    pub async fn is_lease_over(&self) -> Result<bool, S::Error> {
        let over = doc! { "_id": ID, "$expr": { "$lte": ["$expiresAt", "$$NOW"] } };
        let found: Vec<LeaseDocument> = self.storage.find(LEASE, over).await?;
        Ok(!found.is_empty())
    }

    /// Takes the lease, if it is free, or if `dead` holds it. `None`: somebody else has it.
    /// Nothing may be written before [`Self::begin_term`].
    pub async fn take_lease(
        &self,
        claim: &Claim,
        dead: Option<&str>,
    ) -> Result<Option<LeaseDocument>, S::Error> {
        let free = doc! { "term": 0_i64, "released": true };
        self.storage.insert_if_absent(LEASE, ID, free).await?;
        let filter = doc! { "_id": ID, "$or": [
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
    pub async fn begin_term(&self, term: i64) -> Result<S::Counts, S::Error> {
        let mut writers = vec![TERM_ID, BETWEEN_ROUNDS];
        writers.extend(APPLIERS);
        self.storage.raise_term(LEASE, &writers, term).await
    }

    /// Keeps the lease for another `duration`. `idle` is the time since anything was applied;
    /// `None` before anything was. False: the lease is somebody else's.
    pub async fn renew_lease(
        &self,
        key: &LeaseKey,
        duration: Duration,
        idle: Option<Duration>,
    ) -> Result<bool, S::Error> {
        let renewed = doc! { "expiresAt": { "$add": ["$$NOW", milliseconds(duration)] } };
        self.set(key, renewed, idle).await
    }

    /// Gives the lease back: whoever wants it gets it at once. False: it is somebody else's.
    pub async fn release_lease(
        &self,
        key: &LeaseKey,
        idle: Option<Duration>,
    ) -> Result<bool, S::Error> {
        self.set(key, doc! { "released": true, "expiresAt": "$$NOW" }, idle)
            .await
    }

    async fn set(
        &self,
        key: &LeaseKey,
        mut fields: Document,
        idle: Option<Duration>,
    ) -> Result<bool, S::Error> {
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
    ) -> Result<Option<LeaseDocument>, S::Error> {
        self.storage.update(LEASE, filter, pipeline).await
    }
}
