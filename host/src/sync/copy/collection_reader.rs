//! Reads of one cluster's collection for the comparison before commit.

use std::time::Duration;

use bson::{RawDocumentBuf, rawdoc};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::{
    model::raw,
    mongo::{self, Client, RawReader, Retry, code, write::CollectionRef},
    plugin::{NamespaceChain, Outcome},
    sync::{Error, quarantine::id_document, transformation},
};

/// Codes of a server that does not have the collection.
pub(super) const GONE: [i32; 2] = [code::NAMESPACE_NOT_FOUND, code::COLLECTION_UUID_MISMATCH];

/// The time for one batch. A comparison as a whole has no bound.
const ANSWER: Duration = Duration::from_secs(120);

/// A collection of one cluster, and the read concern for its reads.
pub(in crate::sync) struct CollectionReader {
    /// The cluster.
    pub(in crate::sync) client: Client,
    /// The collection, by its name and UUID on that cluster.
    pub(in crate::sync) collection: CollectionRef,
    /// Replaced by `majority` once the server cannot read at the requested time.
    pub(in crate::sync) read_concern: RawDocumentBuf,
}

/// The number of a collection's documents in natural order, and a digest over their bytes.
pub(in crate::sync) type CollectionDigest = (u64, [u8; 32]);

impl CollectionReader {
    /// The document with this `_id`.
    pub(super) async fn document(
        &mut self,
        id: &RawDocumentBuf,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        let mut found = self
            .read(&rawdoc! { "filter": id.clone() }, |documents| {
                documents.iter().map(|document| owned(document)).collect()
            })
            .await?;
        Ok(found.pop())
    }

    /// The `_id`s of the documents in a range that plugins keep.
    pub(super) async fn ids(
        &mut self,
        range: &RawDocumentBuf,
        chain: Option<&NamespaceChain>,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut find = range.clone();
        if chain.is_none() {
            find.append(bson::cstr!("projection"), rawdoc! { "_id": 1 });
        }
        self.read(&find, |documents| {
            let kept = kept(chain, documents)?;
            kept.iter().map(|document| id_of(document)).collect()
        })
        .await
    }

    /// The results of `take` for the batches of a find with these fields; none if the collection is
    /// gone. If the server can no longer read at the requested time, this and all later reads
    /// return the newest state.
    async fn read(
        &mut self,
        find: &RawDocumentBuf,
        take: impl Fn(&[&[u8]]) -> Result<Vec<RawDocumentBuf>, Error>,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        loop {
            let read = Retry::open(self.client.contact(), "compare").run(|| async {
                let mut taken = Vec::new();
                let all = self.each(find, |documents| {
                    taken.extend(take(documents)?);
                    Ok(())
                });
                match all.await {
                    Err(Error::Mongo(error)) if has_any(&error, &code::NOT_AT_TIME) => Ok(Ok(None)),
                    Err(Error::Mongo(error)) if has_any(&error, &GONE) => Ok(Ok(Some(Vec::new()))),
                    Err(Error::Mongo(error)) => Err(error),
                    other => Ok(other.map(|()| Some(taken))),
                }
            });
            if let Some(taken) = read.await?? {
                return Ok(taken);
            }
            self.read_concern = rawdoc! { "level": "majority" };
        }
    }

    /// Calls `take` with the documents of each batch of a find with these fields.
    async fn each(
        &self,
        find: &RawDocumentBuf,
        mut take: impl FnMut(&[&[u8]]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut fields = find.clone();
        fields.append(bson::cstr!("readConcern"), self.read_concern.clone());
        let database = self.client.database(&self.collection.namespace.database);
        let reader = RawReader::new(database, self.collection.clone());
        let opened = timeout(ANSWER, reader.open(&fields)).await;
        let mut cursor = opened.map_err(|_elapsed| mongo::Error::NoAnswer(ANSWER))??;
        while let Some(reply) = cursor.next_within(ANSWER).await? {
            let documents: Vec<&[u8]> = reply.documents()?.collect::<Result<_, _>>()?;
            take(&documents)?;
        }
        Ok(())
    }

    /// The digest of the collection's documents after plugins have transformed them.
    pub(in crate::sync) async fn digest(
        &self,
        chain: Option<&NamespaceChain>,
    ) -> Result<CollectionDigest, Error> {
        let read = Retry::open(self.client.contact(), "compare").run(|| async {
            match self.digest_once(chain).await {
                Err(Error::Mongo(error)) => Err(error),
                other => Ok(other),
            }
        });
        read.await?
    }

    async fn digest_once(&self, chain: Option<&NamespaceChain>) -> Result<CollectionDigest, Error> {
        let natural = rawdoc! { "hint": { "$natural": 1 } };
        let (mut count, mut digest) = (0, Sha256::new());
        self.each(&natural, |documents| {
            for document in kept(chain, documents)? {
                count += 1;
                digest.update(&document);
            }
            Ok(())
        })
        .await?;
        Ok((count, digest.finalize().into()))
    }
}

/// Whether a server answered with one of `codes`.
pub(super) fn has_any(error: &mongo::Error, codes: &[i32]) -> bool {
    codes.iter().any(|code| error.has_code(*code))
}

/// The documents after plugins have transformed them, without dropped and quarantined documents.
pub(super) fn kept(
    chain: Option<&NamespaceChain>,
    documents: &[&[u8]],
) -> Result<Vec<Vec<u8>>, Error> {
    let owned = |document: &&[u8]| document.to_vec();
    let Some(chain) = chain else {
        return Ok(documents.iter().map(owned).collect());
    };
    let transformed = transformation::transform(chain, documents)?;
    let outcomes = documents.iter().zip(transformed.outcomes());
    let kept = outcomes.filter_map(|(document, outcome)| match outcome {
        Outcome::Keep => Some(document.to_vec()),
        Outcome::Replaced(replacement) => Some(replacement.to_vec()),
        Outcome::Drop | Outcome::Quarantined(_) => None,
    });
    Ok(kept.collect())
}

fn owned(document: &[u8]) -> Result<RawDocumentBuf, Error> {
    let owned = RawDocumentBuf::from_bytes(document.to_vec());
    Ok(owned.map_err(mongo::Error::Bson)?)
}

fn id_of(document: &[u8]) -> Result<RawDocumentBuf, Error> {
    let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
    id_document(id.kind, id.value)
}
