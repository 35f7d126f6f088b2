//! Reads and writes the metadata documents through a storage that `sync` supplies.

use bson::{Document, doc};
use serde::{Serialize, de::DeserializeOwned};

use super::documents::{
    METADATA_VERSION, NamespaceDocument, PartitionDocument, PositionDocument, SessionDocument,
};

const SESSION: &str = "session";
const NAMESPACES: &str = "namespaces";
const PARTITIONS: &str = "partitions";
const POSITION: &str = "position";
pub(super) const QUARANTINE: &str = "quarantine";

/// A database for documents keyed by string ids. Every write is durable on a
/// majority when it returns, and reads see every earlier write.
pub trait Storage: Send + Sync {
    type Error: Send;

    fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
    ) -> impl Future<Output = Result<Vec<T>, Self::Error>> + Send;

    /// Documents by ascending `_id`, with the fields that `projection` lets through.
    fn page<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
        projection: Document,
        limit: Option<u32>,
    ) -> impl Future<Output = Result<Vec<T>, Self::Error>> + Send;

    /// Writes the whole document, whether or not there was one.
    fn replace<T: Serialize + Send + Sync>(
        &self,
        collection: &'static str,
        id: &str,
        document: &T,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    fn insert_all<T: Serialize + Send + Sync>(
        &self,
        collection: &'static str,
        documents: &[T],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    fn remove(
        &self,
        collection: &'static str,
        filter: Document,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What [`Store::version`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionGate {
    /// No sync has begun.
    Empty,
    /// This release's own version.
    Ours,
    /// Another version, and the release that wrote it.
    Other { version: i32, written_by: String },
}

/// The metadata database of one destination.
#[derive(Clone)]
pub struct Store<S> {
    pub(super) storage: S,
}

impl<S: Storage> Store<S> {
    pub fn new(storage: S) -> Self {
        Self { storage }
    }

    /// Looks at nothing but the version: everything else may have another shape.
    pub async fn version(&self) -> Result<VersionGate, S::Error> {
        let found: Vec<Document> = self
            .storage
            .find(SESSION, doc! { "_id": SessionDocument::ID })
            .await?;
        Ok(match found.first() {
            None => VersionGate::Empty,
            Some(session)
                if session
                    .get_i32("metadataVersion")
                    .is_ok_and(|version| version == METADATA_VERSION) =>
            {
                VersionGate::Ours
            }
            Some(session) => VersionGate::Other {
                version: session.get_i32("metadataVersion").unwrap_or_default(),
                written_by: session
                    .get_str("writtenBy")
                    .unwrap_or("an unknown release")
                    .to_owned(),
            },
        })
    }

    pub async fn session(&self) -> Result<Option<SessionDocument>, S::Error> {
        Ok(self
            .storage
            .find(SESSION, doc! { "_id": SessionDocument::ID })
            .await?
            .pop())
    }

    pub async fn put_session(&self, session: &SessionDocument) -> Result<(), S::Error> {
        self.storage.replace(SESSION, &session.id, session).await
    }

    pub async fn namespaces(&self) -> Result<Vec<NamespaceDocument>, S::Error> {
        self.storage.find(NAMESPACES, doc! {}).await
    }

    pub async fn namespace(&self, id: &str) -> Result<Option<NamespaceDocument>, S::Error> {
        Ok(self
            .storage
            .find(NAMESPACES, doc! { "_id": id })
            .await?
            .pop())
    }

    /// Writes namespaces of which none is there yet.
    pub async fn insert_namespaces(
        &self,
        namespaces: &[NamespaceDocument],
    ) -> Result<(), S::Error> {
        self.storage.insert_all(NAMESPACES, namespaces).await
    }

    pub async fn put_namespace(&self, namespace: &NamespaceDocument) -> Result<(), S::Error> {
        self.storage
            .replace(NAMESPACES, &namespace.id, namespace)
            .await
    }

    /// Forgets a namespace, its partitions and its quarantined documents.
    pub async fn remove_namespace(&self, id: &str) -> Result<(), S::Error> {
        for collection in [PARTITIONS, QUARANTINE] {
            self.storage
                .remove(collection, doc! { "namespaceId": id })
                .await?;
        }
        self.storage.remove(NAMESPACES, doc! { "_id": id }).await
    }

    /// Forgets what a start that was cut short has left: called before the session is written.
    pub async fn clear(&self) -> Result<(), S::Error> {
        for collection in [NAMESPACES, PARTITIONS, POSITION, QUARANTINE] {
            self.storage.remove(collection, doc! {}).await?;
        }
        Ok(())
    }

    pub async fn partitions(&self, namespace_id: &str) -> Result<Vec<PartitionDocument>, S::Error> {
        self.storage
            .find(PARTITIONS, doc! { "namespaceId": namespace_id })
            .await
    }

    /// Writes a namespace's partitions for the first time.
    pub async fn put_partitions(
        &self,
        namespace_id: &str,
        partitions: &[PartitionDocument],
    ) -> Result<(), S::Error> {
        self.storage
            .remove(PARTITIONS, doc! { "namespaceId": namespace_id })
            .await?;
        self.storage.insert_all(PARTITIONS, partitions).await
    }

    pub async fn put_partition(&self, partition: &PartitionDocument) -> Result<(), S::Error> {
        self.storage
            .replace(PARTITIONS, &partition.id, partition)
            .await
    }

    pub async fn position(&self) -> Result<Option<PositionDocument>, S::Error> {
        Ok(self
            .storage
            .find(POSITION, doc! { "_id": PositionDocument::ID })
            .await?
            .pop())
    }

    pub async fn put_position(&self, position: &PositionDocument) -> Result<(), S::Error> {
        self.storage.replace(POSITION, &position.id, position).await
    }
}
