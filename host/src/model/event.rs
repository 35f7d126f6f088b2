//! Change events, read from the raw documents of a change stream.
//!
//! A [`ChangeEvent`] borrows the event's bytes: documents are neither copied nor decoded. Reading takes a single
//! walk over the event's top level.

use super::{ClusterTime, raw, resume_token};

/// Identity of a collection. A rename within a database keeps it.
pub type CollectionUuid = [u8; 16];

/// Operation of a change event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpType {
    /// A new document, in `fullDocument`.
    Insert,
    /// A change of a document's fields, as a delta in `rawUpdateDescription`.
    Update,
    /// The new content of a document, in `fullDocument`.
    Replace,
    /// The removal of a document.
    Delete,
    /// A new collection or view, with its options. Needs `showExpandedEvents`.
    Create,
    /// New indexes of a collection. Needs `showExpandedEvents`.
    CreateIndexes,
    /// The removal of indexes. Needs `showExpandedEvents`.
    DropIndexes,
    /// Changed options of a collection, an index or a view (`collMod`). Needs `showExpandedEvents`.
    Modify,
    /// The new name of a collection; see [`ChangeEvent::rename_to`].
    Rename,
    /// The removal of a collection or a view.
    Drop,
    /// The removal of a database, after a [`Self::Drop`] for each of its collections (MongoDB manual,
    /// "dropDatabase").
    DropDatabase,
    /// Events of sharded clusters and of later servers. Invariant: they are named in errors, never ignored.
    Other,
}

impl OpType {
    fn parse(name: &str) -> Self {
        match name {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "replace" => Self::Replace,
            "delete" => Self::Delete,
            "create" => Self::Create,
            "createIndexes" => Self::CreateIndexes,
            "dropIndexes" => Self::DropIndexes,
            "modify" => Self::Modify,
            "rename" => Self::Rename,
            "drop" => Self::Drop,
            "dropDatabase" => Self::DropDatabase,
            _ => Self::Other,
        }
    }

    /// True for changes of documents; false for DDL.
    pub fn is_crud(self) -> bool {
        matches!(
            self,
            Self::Insert | Self::Update | Self::Replace | Self::Delete
        )
    }
}

/// A change event, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct ChangeEvent<'a> {
    /// `operationType`.
    pub op_type: OpType,
    /// The server's name of the operation, for messages about [`OpType::Other`].
    pub op_name: &'a str,
    /// `clusterTime`: time of the oplog entry.
    pub cluster_time: ClusterTime,
    /// The event's `_id`: its resume token.
    pub resume_token: &'a [u8],
    /// `ns.db`: the database; empty for an event without `ns`.
    pub database: &'a str,
    /// Empty for database events.
    pub collection: &'a str,
    /// `collectionUUID`; `None` for events of views and databases. Needs `showExpandedEvents`.
    pub uuid: Option<CollectionUuid>,
    /// The document's `_id`: BSON type and value bytes.
    pub document_id: Option<(u8, &'a [u8])>,
    /// `fullDocument`: BSON of the document after an insert or a replace.
    pub full_document: Option<&'a [u8]>,
    /// The oplog's own description of an update (`showRawUpdateDescription`).
    pub update_description: Option<&'a [u8]>,
    /// `operationDescription`: BSON of the details of a DDL event. Needs `showExpandedEvents`.
    pub operation_description: Option<&'a [u8]>,
    /// `to` of a rename: the new name.
    to: Option<&'a [u8]>,
    /// The collection that a plain rename must have dropped; see [`Self::with_dropped_target`].
    implied_target: Option<CollectionUuid>,
    /// An update with the public `updateDescription`, which gives no exact document.
    is_described: bool,
}

impl<'a> ChangeEvent<'a> {
    /// Reads the raw document of a change event (MongoDB manual, "Change Events").
    ///
    /// # Errors
    /// Malformed BSON, or an event without an operation or a resume token.
    pub fn parse(document: &'a [u8]) -> Result<Self, raw::Malformed> {
        let mut event = Self {
            op_type: OpType::Other,
            op_name: "",
            cluster_time: ClusterTime::default(),
            resume_token: &[],
            database: "",
            collection: "",
            uuid: None,
            document_id: None,
            full_document: None,
            update_description: None,
            operation_description: None,
            to: None,
            implied_target: None,
            is_described: false,
        };
        for element in raw::elements(document)? {
            event.read(element?)?;
        }
        if event.op_name.is_empty() || event.resume_token.is_empty() {
            return Err(raw::Malformed);
        }
        Ok(event)
    }

    /// Like [`Self::parse`], for an event of a stream without `showExpandedEvents`: the UUID of its collection is in its
    /// token alone.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_plain(document: &'a [u8]) -> Result<Self, raw::Malformed> {
        let mut event = Self::parse(document)?;
        event.uuid = resume_token::collection_of(event.resume_token);
        Ok(event)
    }

    /// A rename of a stream without `showExpandedEvents`, whose description does not tell the collection that it has
    /// dropped: `target` had the new name.
    pub fn with_dropped_target(self, target: CollectionUuid) -> Self {
        Self {
            implied_target: Some(target),
            ..self
        }
    }

    fn read(&mut self, element: raw::Element<'a>) -> Result<(), raw::Malformed> {
        let malformed = raw::Malformed;
        match element.name {
            b"_id" => self.resume_token = element.as_document().ok_or(malformed)?,
            b"operationType" => {
                self.op_name = element.as_str().ok_or(malformed)?;
                self.op_type = OpType::parse(self.op_name);
            }
            b"clusterTime" => {
                self.cluster_time = element
                    .as_timestamp()
                    .map(ClusterTime::from_bits)
                    .ok_or(malformed)?
            }
            b"ns" => (self.database, self.collection) = namespace(element.value)?,
            b"collectionUUID" => self.uuid = element.as_uuid(),
            b"documentKey" => {
                let id = raw::find(element.value, "_id")?.ok_or(malformed)?;
                self.document_id = Some((id.kind, id.value));
            }
            b"fullDocument" => self.full_document = element.as_document(),
            b"updateDescription" => self.is_described = true,
            b"to" => self.to = element.as_document(),
            b"rawUpdateDescription" => self.update_description = element.as_document(),
            b"operationDescription" => self.operation_description = element.as_document(),
            _ => {}
        }
        Ok(())
    }

    /// The document after an insert or a replace, or the description of an update.
    pub fn body(&self) -> Option<&'a [u8]> {
        match self.op_type {
            OpType::Insert | OpType::Replace => self.full_document,
            OpType::Update => self.update_description,
            _ => None,
        }
    }

    /// True for a change that came without its document, which is too large for an event. The document is looked
    /// up.
    pub fn is_oversize(&self) -> bool {
        self.op_type.is_crud()
            && self.op_type != OpType::Delete
            && self.body().is_none()
            && !self.is_described
    }

    /// The new name of a renamed collection: database and collection.
    ///
    /// # Errors
    /// Malformed BSON, or an event without `to`.
    pub fn rename_to(&self) -> Result<(&'a str, &'a str), raw::Malformed> {
        let described = match self.operation_description {
            Some(description) => raw::find(description, "to")?.map(|to| to.value),
            None => None,
        };
        namespace(described.or(self.to).ok_or(raw::Malformed)?)
    }

    /// The collection that a rename has dropped; `None` without `dropTarget`.
    pub fn dropped_target(&self) -> Option<CollectionUuid> {
        /// Bytes before the content of a binary: its length and its subtype.
        const HEAD: usize = 5;
        let Some(description) = self.operation_description else {
            return self.implied_target;
        };
        let dropped = raw::find(description, "dropTarget").ok()??;
        if dropped.kind != raw::kind::BINARY {
            return None;
        }
        dropped.value.get(HEAD..)?.try_into().ok()
    }
}

fn namespace(document: &[u8]) -> Result<(&str, &str), raw::Malformed> {
    let text = |name| Ok(raw::find(document, name)?.and_then(|element| element.as_str()));
    Ok((
        text("db")?.ok_or(raw::Malformed)?,
        text("coll")?.unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, rawdoc};

    use super::*;

    #[test]
    fn an_update_is_read_without_copying() {
        let document = rawdoc! {
            "_id": { "_data": "82" },
            "operationType": "update",
            "clusterTime": Timestamp { time: 7, increment: 2 },
            "ns": { "db": "app", "coll": "users" },
            "documentKey": { "shard": 1, "_id": "u1" },
            "rawUpdateDescription": { "$v": 2, "diff": { "u": { "a": 1 } } },
        };
        let event = ChangeEvent::parse(document.as_bytes()).unwrap();
        assert_eq!(event.op_type, OpType::Update);
        assert_eq!((event.database, event.collection), ("app", "users"));
        assert_eq!(
            event.cluster_time,
            ClusterTime {
                seconds: 7,
                increment: 2
            }
        );
        assert_eq!(event.document_id.unwrap().0, raw::kind::STRING);
        assert!(event.full_document.is_none() && event.update_description.is_some());
    }

    #[test]
    fn a_change_without_its_document_is_oversize() {
        let event = |operation: &str| {
            let document = rawdoc! { "_id": { "_data": "82" }, "operationType": operation, "rawUpdateDescription": {} };
            ChangeEvent::parse(document.as_bytes())
                .unwrap()
                .is_oversize()
        };
        for (operation, is_oversize) in [
            ("insert", true),
            ("replace", true),
            ("update", false),
            ("delete", false),
            ("drop", false),
        ] {
            assert_eq!(event(operation), is_oversize, "{operation}");
        }
    }

    #[test]
    fn an_unknown_operation_keeps_its_name() {
        let document = rawdoc! { "_id": { "_data": "82" }, "operationType": "reshardCollection" };
        let event = ChangeEvent::parse(document.as_bytes()).unwrap();
        assert_eq!(
            (event.op_type, event.op_name),
            (OpType::Other, "reshardCollection")
        );
        assert!(ChangeEvent::parse(rawdoc! { "x": 1 }.as_bytes()).is_err());
    }
}
