//! DDL that is about to change the destination: persisted before its effect, ended after it.
//!
//! Invariants:
//!
//! - an intent is persisted in one transaction with the exact position before its event;
//! - it ends in one transaction with the record of its effect and the position after it;
//! - one that was pending at a takeover may still take effect late, and is `inFlight` from then on.

use bson::{RawDocumentBuf, doc};
use serde::{Deserialize, Serialize};

use super::{
    collections::{INTENTS, NAMESPACES, PARTITIONS, POSITION, QUARANTINE},
    documents::{NamespaceDocument, PartitionDocument, PositionDocument},
    store::{Reader, Store, remove},
};
use crate::{
    model::{ClusterTime, Namespace},
    mongo::{Change, Error},
};

/// The DDL of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IntentKind {
    Create,
    Drop,
    Rename,
    DropDatabase,
    CreateIndexes,
    DropIndexes,
    Modify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IntentState {
    /// Of the current holder of the lease.
    Pending,
    /// Of an earlier holder: its command may still reach the server.
    InFlight,
}

/// Collection `intents`: one per DDL event that is not finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntentDocument {
    /// `TERM:NUMBER`: the term it was begun in, and a number within the term.
    #[serde(rename = "_id")]
    pub id: String,
    pub what: IntentKind,
    /// The event's resume token.
    pub token: RawDocumentBuf,
    pub cluster_time: ClusterTime,
    /// The namespace's id; absent for events of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    pub source: Namespace,
    /// The destination's namespace before the effect.
    pub destination: Namespace,
    /// A rename's new name on the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_to: Option<Namespace>,
    /// In hex, the UUID of the collection on the destination before the effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_uuid: Option<String>,
    /// In hex, the UUID of the collection that a rename drops from the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_uuid: Option<String>,
    pub state: IntentState,
}

impl IntentDocument {
    /// The id of intent `number` of a term.
    pub fn id_of(term: i64, number: u64) -> String {
        format!("{term}:{number}")
    }

    /// The term that the intent was begun in; the document's `term` is that of its last write.
    pub fn begun_in(&self) -> Option<i64> {
        self.id.split_once(':')?.0.parse().ok()
    }
}

impl Reader {
    /// All intents, pending or in flight.
    pub async fn intents(&self) -> Result<Vec<IntentDocument>, Error> {
        self.documents.find(INTENTS, doc! {}).await
    }
}

impl Store {
    /// Persists an intent, together with the exact position before its event, if there is one.
    pub async fn put_intent(
        &self,
        intent: &IntentDocument,
        position: Option<&PositionDocument>,
    ) -> Result<(), Error> {
        let mut changes = vec![self.intent_change(intent)?];
        if let Some(position) = position {
            changes.push(self.position_change(position)?);
        }
        self.commit(changes).await
    }

    /// The change that writes an intent.
    pub fn intent_change(&self, intent: &IntentDocument) -> Result<Change, Error> {
        self.put(INTENTS, &intent.id, intent)
    }

    /// The change that ends an intent.
    pub fn intent_removal(&self, id: &str) -> Change {
        remove(INTENTS, doc! { "_id": id })
    }

    /// Records what DDL has changed, together with the position after it.
    pub async fn record_ddl(
        &self,
        mut changes: Vec<Change>,
        position: Option<&PositionDocument>,
    ) -> Result<(), Error> {
        if let Some(position) = position {
            changes.push(self.position_change(position)?);
        }
        self.commit(changes).await
    }

    /// Work begins: what earlier work was at may still arrive at the destination. Partitions that were
    /// begun and are not done are suspect from now on, and pending intents in flight. Whatever work
    /// reads after this, it reads under its own term.
    pub async fn begin_work(&self) -> Result<(), Error> {
        let mut changes = Vec::new();
        for mut intent in self.intents().await? {
            if intent.state == IntentState::Pending {
                intent.state = IntentState::InFlight;
                changes.push(self.intent_change(&intent)?);
            }
        }
        let begun = doc! { "begun": true, "done": false };
        let begun: Vec<PartitionDocument> = self.partitions_where(begun).await?;
        for mut partition in begun {
            (partition.begun, partition.suspect) = (false, true);
            changes.push(self.partition_change(&partition)?);
        }
        self.commit(changes).await
    }

    /// The change that writes the position.
    pub fn position_change(&self, position: &PositionDocument) -> Result<Change, Error> {
        self.put(POSITION, &position.id, position)
    }

    /// The change that writes a namespace.
    pub fn namespace_change(&self, namespace: &NamespaceDocument) -> Result<Change, Error> {
        self.put(NAMESPACES, &namespace.id, namespace)
    }

    /// The change that writes a partition.
    pub fn partition_change(&self, partition: &PartitionDocument) -> Result<Change, Error> {
        self.put(PARTITIONS, &partition.id, partition)
    }

    /// The changes that remove a namespace, its partitions and its quarantined documents.
    pub fn namespace_removal(&self, id: &str) -> Vec<Change> {
        let of_namespace = [PARTITIONS, QUARANTINE]
            .map(|collection| remove(collection, doc! { "namespaceId": id }));
        let itself = remove(NAMESPACES, doc! { "_id": id });
        of_namespace.into_iter().chain([itself]).collect()
    }
}

#[cfg(test)]
mod tests {
    use bson::{rawdoc, serialize_to_document};

    use super::*;

    /// The fields as version 3 has them: never renamed.
    #[test]
    fn an_intent_keeps_its_shape() {
        let namespace = |database: &str| Namespace::new(database, "users");
        let mut intent = IntentDocument {
            id: IntentDocument::id_of(7, 3),
            what: IntentKind::CreateIndexes,
            token: rawdoc! { "_data": "82" },
            cluster_time: ClusterTime {
                seconds: 5,
                increment: 1,
            },
            namespace_id: None,
            source: namespace("app"),
            destination: namespace("to"),
            destination_to: None,
            destination_uuid: None,
            replaced_uuid: None,
            state: IntentState::InFlight,
        };
        assert_eq!(intent.begun_in(), Some(7));
        let mut expected = doc! {
            "_id": "7:3", "what": "createIndexes", "token": { "_data": "82" },
            "clusterTime": bson::Timestamp { time: 5, increment: 1 },
            "source": { "database": "app", "collection": "users" },
            "destination": { "database": "to", "collection": "users" },
            "state": "inFlight",
        };
        assert_eq!(serialize_to_document(&intent).unwrap(), expected);
        intent.namespace_id = Some("aa".to_owned());
        intent.destination_to = Some(namespace("other"));
        intent.destination_uuid = Some("bb".to_owned());
        intent.replaced_uuid = Some("cc".to_owned());
        expected.insert("namespaceId", "aa");
        expected.insert(
            "destinationTo",
            doc! { "database": "other", "collection": "users" },
        );
        expected.insert("destinationUuid", "bb");
        expected.insert("replacedUuid", "cc");
        assert_eq!(serialize_to_document(&intent).unwrap(), expected);
        let read: IntentDocument = bson::deserialize_from_document(expected).unwrap();
        assert_eq!(read, intent);
    }
}
