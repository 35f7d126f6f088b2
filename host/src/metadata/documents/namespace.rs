//! Collections and views in scope.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

use super::partition::is_false;
use crate::model::{Namespace, event::CollectionUuid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
/// Kind of a namespace.
pub enum NamespaceKind {
    /// A collection, also if it is clustered or capped.
    Collection,
    /// A view. It has no UUID, and is created at commit.
    View,
}

/// State of a namespace's copy. Only goes forward, except for a recopy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CopyState {
    /// Not on the destination yet.
    Pending,
    /// Created on the destination; its partitions are persisted.
    Copying,
    /// All partitions are done.
    Copied,
    /// Indexes are built: change events may be applied.
    Ready,
}

/// Collection `namespaces`: collections and views in scope. Options and indexes of a collection are those of
/// the source at the safe position.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceDocument {
    /// A collection's UUID on the source, in hex; for a view, `view:` and its name.
    #[serde(rename = "_id")]
    pub id: String,
    /// Collection or view.
    pub kind: NamespaceKind,
    /// Name on the source, at the safe position.
    pub source: Namespace,
    /// Name on the destination. The router gives it, and a swap never changes it.
    pub destination: Namespace,
    /// The collection's UUID on the destination, in hex: shows after a crash whether a rename or drop was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_uuid: Option<String>,
    /// As `listCollections` returns them.
    pub options: RawDocumentBuf,
    /// As `listIndexes` returns them, without the `_id` index.
    pub indexes: Vec<RawDocumentBuf>,
    /// Progress of the copy.
    pub copy_state: CopyState,
    /// Documents copied by finished partitions; 0 for a view. A recopy counts from 0.
    pub documents: i64,
    /// Uncompressed bytes of these documents.
    pub bytes: i64,
    /// With the state `Pending`: the destination has the collection, and its partitions are compared. Since
    /// metadata version 4.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compare: bool,
}

impl NamespaceDocument {
    /// The collection's UUID on the source; `None` for a view.
    pub fn uuid(&self) -> Option<CollectionUuid> {
        Self::uuid_of_id(&self.id)
    }

    /// The UUID in a collection's id; `None` for a view.
    pub fn uuid_of_id(id: &str) -> Option<CollectionUuid> {
        uuid_from_hex(id)
    }

    /// Whether the collection exists on the destination. A pending collection is created by the copy, from its
    /// record as it is by then.
    pub fn is_on_destination(&self) -> bool {
        self.copy_state != CopyState::Pending || self.compare
    }

    /// The collection's UUID on the destination.
    pub fn destination_uuid(&self) -> Option<CollectionUuid> {
        uuid_from_hex(self.destination_uuid.as_ref()?)
    }

    /// The id of a collection.
    pub fn id_of_uuid(uuid: CollectionUuid) -> String {
        uuid.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id of a view.
    pub fn id_of_view(view: &Namespace) -> String {
        format!("view:{view}")
    }
}

fn uuid_from_hex(hex: &str) -> Option<CollectionUuid> {
    let mut uuid = CollectionUuid::default();
    if hex.len() != 2 * uuid.len() {
        return None;
    }
    for (at, byte) in uuid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_survives_its_hex_form() {
        let uuid = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255];
        assert_eq!(
            uuid_from_hex(&NamespaceDocument::id_of_uuid(uuid)),
            Some(uuid)
        );
        assert_eq!(uuid_from_hex("view:a.b"), None);
    }
}
