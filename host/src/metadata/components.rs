//! Pinned and uploaded components. Invariant: the chunks of a component are written before its document.

use bson::{Binary, doc, spec::BinarySubtype};

use super::{
    collections::{CHUNKS, COMPONENTS},
    documents::{ComponentChunkDocument, ComponentDocument},
    store::{Reader, Store, remove},
};
use crate::mongo::Error;

/// Bytes of a chunk: well below the limit of a document.
const CHUNK_BYTES: usize = 8 << 20;

impl Store {
    /// Writes a component. Idempotent, since ids hold the digest.
    pub async fn put_component(
        &self,
        name: &str,
        version: &str,
        digest: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let mut chunks = 0;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let document = ComponentChunkDocument {
                id: format!("{digest}:{chunks}"),
                digest: digest.to_owned(),
                number: chunks,
                bytes: Binary {
                    subtype: BinarySubtype::Generic,
                    bytes: chunk.to_vec(),
                },
            };
            let chunk = self.put(CHUNKS, &document.id, &document)?;
            self.commit(vec![chunk]).await?;
            chunks += 1;
        }
        let document = ComponentDocument {
            digest: digest.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            chunks,
        };
        self.commit(vec![self.put(COMPONENTS, digest, &document)?])
            .await
    }

    /// Removes a component, and chunks of an interrupted write.
    pub async fn remove_component(&self, digest: &str) -> Result<(), Error> {
        self.commit(vec![remove(COMPONENTS, doc! { "_id": digest })])
            .await?;
        self.commit(vec![remove(CHUNKS, doc! { "digest": digest })])
            .await
    }
}

impl Reader {
    /// The digests of all stored components.
    pub async fn component_digests(&self) -> Result<Vec<String>, Error> {
        let listed: Vec<ComponentDocument> = self.documents.find(COMPONENTS, doc! {}).await?;
        Ok(listed
            .into_iter()
            .map(|component| component.digest)
            .collect())
    }

    /// The bytes of a component, unchecked: the caller compares their digest.
    pub async fn component(&self, digest: &str) -> Result<Vec<u8>, Error> {
        let mut chunks: Vec<ComponentChunkDocument> = self
            .documents
            .find(CHUNKS, doc! { "digest": digest })
            .await?;
        chunks.sort_by_key(|chunk| chunk.number);
        let bytes = chunks.into_iter().map(|chunk| chunk.bytes.bytes);
        Ok(bytes.collect::<Vec<_>>().concat())
    }
}
