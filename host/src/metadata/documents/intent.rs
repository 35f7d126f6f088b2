//! Intents of DDL.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use crate::model::{ClusterTime, Namespace};

/// Kind of DDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IntentKind {
    /// `create`: a collection.
    Create,
    /// `drop`: a collection, or a view that an earlier release created.
    Drop,
    /// `renameCollection`, to a name in scope.
    Rename,
    /// `drop` of the list of views (`system.views`) of an otherwise empty database, which ends the database.
    DropDatabase,
    /// `createIndexes`.
    CreateIndexes,
    /// `dropIndexes`.
    DropIndexes,
    /// `collMod`: options of a collection.
    Modify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
/// State of an intent.
pub enum IntentState {
    /// Of the current holder of the lease.
    Pending,
    /// Of a previous holder, or with a lost answer: its command may still reach the server.
    InFlight,
}

/// Collection `intents`: DDL events that are not finished. Since metadata version 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntentDocument {
    /// `TERM:NUMBER`: the term in which it began, and a number in the term.
    #[serde(rename = "_id")]
    pub id: String,
    /// Kind of the DDL command.
    pub what: IntentKind,
    /// The event's resume token.
    pub token: RawDocumentBuf,
    /// Source's cluster time of the event.
    pub cluster_time: ClusterTime,
    /// The namespace's id; absent for events of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// Namespace of the event on the source, before the event.
    pub source: Namespace,
    /// The destination's namespace before the effect.
    pub destination: Namespace,
    /// A rename's new name on the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_to: Option<Namespace>,
    /// UUID of the destination's collection before the effect, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_uuid: Option<String>,
    /// UUID of the destination's collection that a rename drops, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_uuid: Option<String>,
    /// Pending until the end of the DDL is recorded. An intent in flight stays so until commit.
    pub state: IntentState,
}

impl IntentDocument {
    /// The id of intent `number` of a term.
    pub fn id_of(term: i64, number: u64) -> String {
        format!("{term}:{number}")
    }

    /// The term in which the intent began. The document's `term` is that of its last write.
    pub fn begun_in(&self) -> Option<i64> {
        self.id.split_once(':')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc, serialize_to_document};

    use super::*;

    /// The fields of version 3, which are never renamed.
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
