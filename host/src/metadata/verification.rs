//! The state of a verification, and the mismatches that it has found.
//!
//! Invariants:
//! - The state is written after, or with, the mismatches that were found up to its position.
//! - A collection is removed in the transaction that makes its copy begin again.

use bson::doc;

use super::{
    collections::{MISMATCHES, VERIFICATION, VERIFIED_COLLECTIONS},
    documents::{MismatchDocument, VerificationDocument, VerifiedCollectionDocument},
    store::{Reader, Store, remove},
};
use crate::mongo::{Change, Error};

/// Mismatches that one transaction writes.
const TOGETHER: usize = 500;

impl Reader {
    /// The state of the verification; `None` before the first boundary.
    pub async fn verification(&self) -> Result<Option<VerificationDocument>, Error> {
        let id = doc! { "_id": VerificationDocument::ID };
        Ok(self.documents.find(VERIFICATION, id).await?.pop())
    }

    /// How far each collection is verified.
    pub async fn verified_collections(&self) -> Result<Vec<VerifiedCollectionDocument>, Error> {
        self.documents.find(VERIFIED_COLLECTIONS, doc! {}).await
    }

    /// The mismatches whose documents may differ.
    pub async fn open_mismatches(&self) -> Result<Vec<MismatchDocument>, Error> {
        let open = doc! { "state": { "$in": ["open", "repairing"] } };
        self.documents.find(MISMATCHES, open).await
    }

    /// At most `limit` mismatches of all states with ids greater than `after`.
    pub async fn mismatches(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<MismatchDocument>, Error> {
        let rest = doc! { "_id": { "$gt": after } };
        self.documents
            .page(MISMATCHES, rest, doc! {}, Some(limit))
            .await
    }
}

impl Store {
    /// Writes mismatches, and then the state and the changed collections in one transaction. `removed`: ids of
    /// collections that are not verified any more.
    pub async fn put_verification(
        &self,
        state: &VerificationDocument,
        collections: &[VerifiedCollectionDocument],
        removed: &[String],
        mismatches: &[MismatchDocument],
    ) -> Result<(), Error> {
        self.put_mismatches(mismatches).await?;
        let mut changes = vec![self.put(VERIFICATION, &state.id, state)?];
        if !removed.is_empty() {
            changes.push(remove(
                VERIFIED_COLLECTIONS,
                doc! { "_id": { "$in": removed } },
            ));
        }
        let documents = collections
            .iter()
            .map(|collection| Ok((collection.id.clone(), self.stamped(collection)?)));
        changes.push(Change::PutMany {
            collection: VERIFIED_COLLECTIONS,
            documents: documents.collect::<Result<_, Error>>()?,
        });
        self.commit(changes).await
    }

    /// Writes mismatches.
    pub async fn put_mismatches(&self, mismatches: &[MismatchDocument]) -> Result<(), Error> {
        for mismatches in mismatches.chunks(TOGETHER) {
            let documents = mismatches
                .iter()
                .map(|mismatch| Ok((mismatch.id.clone(), self.stamped(mismatch)?)));
            let put = Change::PutMany {
                collection: MISMATCHES,
                documents: documents.collect::<Result<_, Error>>()?,
            };
            self.commit(vec![put]).await?;
        }
        Ok(())
    }

    /// The changes that make a verification begin again, for all collections.
    pub fn verification_removal(&self) -> Vec<Change> {
        [VERIFICATION, VERIFIED_COLLECTIONS]
            .map(|collection| remove(collection, doc! {}))
            .into()
    }
}
