//! Registration of the hosts of a sync. A host writes its own document alone, so that no guard is needed: a write that
//! arrives late makes the host look alive for one lease.

use bson::{Document, doc};

use super::{
    collections::{HOSTS, PASSED_CALLS},
    documents::HostDocument,
    lease::{Claim, milliseconds},
    store::Reader,
};
use crate::mongo::Error;

/// Milliseconds after which documents of hosts that are gone, and of calls, are removed.
const KEPT_MS: i64 = 600_000;

impl Reader {
    /// Registers the host of this claim, and removes registrations and calls that are long over.
    pub async fn register_host(&self, claim: &Claim) -> Result<(), Error> {
        let over = doc! { "$expr": { "$lt": ["$expiresAt", { "$subtract": ["$$NOW", KEPT_MS] }] } };
        for collection in [HOSTS, PASSED_CALLS] {
            self.documents.delete(collection, over.clone()).await?;
        }
        let mut host = doc! {
            "instance": { "$literal": &claim.instance },
            "release": { "$literal": &claim.release },
            "takesCalls": true,
        };
        host.extend(signs_of_life(claim));
        let set = vec![doc! { "$set": host }];
        self.documents.put_computed(HOSTS, &claim.holder, set).await
    }

    /// Renews the registration. False if there is none.
    pub async fn renew_host(&self, claim: &Claim) -> Result<bool, Error> {
        let mine = doc! { "_id": &claim.holder };
        let set = vec![doc! { "$set": signs_of_life(claim) }];
        let renewed: Option<Document> = self.documents.update(HOSTS, mine, set).await?;
        Ok(renewed.is_some())
    }

    /// Removes the registration of a host.
    pub async fn remove_host(&self, id: &str) -> Result<(), Error> {
        self.documents.delete(HOSTS, doc! { "_id": id }).await
    }

    /// The hosts that are not gone by the server's clock, in the order of their ids.
    pub async fn hosts(&self) -> Result<Vec<HostDocument>, Error> {
        let alive = doc! { "$expr": { "$gt": ["$expiresAt", "$$NOW"] } };
        let fields = doc! {
            "instance": 1, "release": 1, "takesCalls": 1, "seenAt": 1, "expiresAt": 1,
            "ageMs": { "$subtract": ["$$NOW", "$seenAt"] },
        };
        self.documents.page(HOSTS, alive, fields, None).await
    }
}

fn signs_of_life(claim: &Claim) -> Document {
    doc! {
        "seenAt": "$$NOW",
        "expiresAt": { "$add": ["$$NOW", milliseconds(claim.duration)] },
    }
}
