//! Write commands of many statements, made of raw documents.
//!
//! The driver does not look into raw commands. So this room adds the write concern, reads the write errors
//! of replies, and repeats commands.

use bson::{Binary, Document, RawDocumentBuf, rawdoc, spec::BinarySubtype};
use mongodb::{
    Client, Database,
    options::{Acknowledgment, WriteConcern},
};

use super::{
    super::{
        Error, ServerError,
        code::{self, is_transient},
        reply::bson_number,
    },
    empty_timestamps,
};
use crate::model::{
    Namespace,
    event::CollectionUuid,
    raw::{Writer, kind},
};

/// Limit of a command: 16 MiB of documents and 16 KiB around them (server: `BSONObjMaxInternalSize`). A
/// document of 16 MiB needs a command of its own.
pub const MAX_COMMAND_BYTES: usize = 16_793_600;

/// The server's `maxWriteBatchSize`.
pub const MAX_STATEMENTS: usize = 100_000;

/// Name and UUID of a collection of the destination. The server refuses a command whose name belongs to
/// another UUID, or to no collection (code 361, CollectionUUIDMismatch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRef {
    /// Database and name, as the destination has them.
    pub namespace: Namespace,
    /// `None` only for metadata of an early release, which does not hold it.
    pub uuid: Option<CollectionUuid>,
}

/// A command on a database, for a transaction.
#[derive(Clone, Debug)]
pub struct Command {
    pub(in crate::mongo) database: String,
    pub(in crate::mongo) body: RawDocumentBuf,
}

/// An `insert`, `update` or `delete` command under construction.
pub struct WriteCommand {
    database: String,
    writer: Writer,
    array: crate::model::raw::Mark,
    statements: usize,
    number: itoa::Buffer,
}

/// Result of a write command.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Inserted, matched and deleted documents, including upserts.
    pub n: u64,
    /// Refused statements (`writeErrors` of the reply); empty if all were done.
    pub errors: Vec<StatementError>,
}

/// The error of a refused statement.
#[derive(Clone, Debug)]
pub struct StatementError {
    /// Index of the statement in its command.
    pub index: usize,
    /// The server's code and text for the statement.
    pub error: ServerError,
}

/// Write concern of all writes: on a majority, journaled.
pub(in crate::mongo) fn majority() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

impl CollectionRef {
    /// Appends the UUID to a command.
    pub fn append_uuid(&self, command: &mut RawDocumentBuf) {
        if let Some(uuid) = self.uuid_value() {
            command.append(bson::cstr!("collectionUUID"), uuid);
        }
    }

    /// The UUID as a value of BSON.
    pub(in crate::mongo) fn uuid_value(&self) -> Option<Binary> {
        self.uuid.map(|uuid| Binary {
            subtype: BinarySubtype::Uuid,
            bytes: uuid.to_vec(),
        })
    }
}

impl Command {
    /// A command on `database`.
    pub fn new(database: &str, body: RawDocumentBuf) -> Self {
        Self {
            database: database.to_owned(),
            body,
        }
    }

    /// Bytes of the command.
    pub fn bytes(&self) -> usize {
        self.body.as_bytes().len()
    }

    /// The command with write concern majority, to be sent without a transaction.
    pub(in crate::mongo) fn majority(self, client: &Client) -> (Database, RawDocumentBuf) {
        let mut body = self.body;
        body.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        (client.database(&self.database), body)
    }
}

impl WriteCommand {
    /// An empty `insert` command that bypasses validators.
    pub fn insert(collection: &CollectionRef) -> Self {
        let name = collection.namespace.collection.as_str();
        Self::bypassing(collection, rawdoc! { "insert": name }, b"documents")
    }

    /// An empty `update` command that bypasses validators.
    pub fn update(collection: &CollectionRef) -> Self {
        let name = collection.namespace.collection.as_str();
        Self::bypassing(collection, rawdoc! { "update": name }, b"updates")
    }

    /// An empty `delete` command. The server takes no `bypassDocumentValidation` in deletes.
    pub fn delete(collection: &CollectionRef) -> Self {
        let name = collection.namespace.collection.as_str();
        Self::new(collection, rawdoc! { "delete": name }, b"deletes")
    }

    fn bypassing(collection: &CollectionRef, mut head: RawDocumentBuf, array: &[u8]) -> Self {
        head.append(bson::cstr!("bypassDocumentValidation"), true);
        Self::new(collection, head, array)
    }

    fn new(collection: &CollectionRef, mut head: RawDocumentBuf, array: &[u8]) -> Self {
        head.append(bson::cstr!("ordered"), false);
        collection.append_uuid(&mut head);
        let mut writer = Writer::continuing(head.into_bytes());
        let array = writer.begin(kind::ARRAY, array);
        Self {
            database: collection.namespace.database.clone(),
            writer,
            array,
            statements: 0,
            number: itoa::Buffer::new(),
        }
    }

    /// Reserves memory for about `bytes` of statements.
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.writer.reserve(bytes.min(MAX_COMMAND_BYTES));
        self
    }

    /// Appends a BSON document.
    pub fn push(&mut self, document: &[u8]) {
        self.writer.value(
            kind::DOCUMENT,
            self.number.format(self.statements).as_bytes(),
            document,
        );
        self.statements += 1;
    }

    /// Appends a statement that `write` fills in.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Writer)) {
        let mark = self.writer.begin(
            kind::DOCUMENT,
            self.number.format(self.statements).as_bytes(),
        );
        write(&mut self.writer);
        self.writer.end(mark);
        self.statements += 1;
    }

    /// Appends an update statement that replaces or inserts the document with this `_id`.
    pub fn push_replacement(&mut self, id_kind: u8, id: &[u8], document: &[u8]) {
        self.push_with(|writer| {
            write_query(writer, id_kind, id);
            if empty_timestamps::is_preserved(document) {
                writer.value(kind::DOCUMENT, b"u", document);
            } else {
                empty_timestamps::write_pipeline(writer, document);
            }
            writer.value(kind::BOOLEAN, b"upsert", &[1]);
        });
    }

    /// Appends an update statement that inserts a document with an empty timestamp, whose bytes an insert
    /// command would change (see [`empty_timestamps`]).
    pub fn push_insertion(&mut self, id_kind: u8, id: &[u8], document: &[u8]) {
        self.push_with(|writer| empty_timestamps::write_insertion(writer, id_kind, id, document));
    }

    /// Appends a delete statement for the document with this `_id`.
    pub fn push_delete(&mut self, id_kind: u8, id: &[u8]) {
        self.push_with(|writer| {
            write_query(writer, id_kind, id);
            writer.value(kind::INT32, b"limit", &1_i32.to_le_bytes());
        });
    }

    /// Appends a delete statement for all documents with these `_id`s.
    pub fn push_delete_of<'i>(&mut self, ids: impl Iterator<Item = (u8, &'i [u8])>) {
        self.push_with(|writer| {
            let query = writer.begin(kind::DOCUMENT, b"q");
            let id = writer.begin(kind::DOCUMENT, b"_id");
            let list = writer.begin(kind::ARRAY, b"$in");
            let mut number = itoa::Buffer::new();
            for (at, (id_kind, id)) in ids.enumerate() {
                writer.value(id_kind, number.format(at).as_bytes(), id);
            }
            for mark in [list, id, query] {
                writer.end(mark);
            }
            writer.value(kind::INT32, b"limit", &0_i32.to_le_bytes());
        });
    }

    /// Takes all documents of `array` (a BSON array of `count` documents) in one copy. Invariant: the command
    /// is empty.
    pub fn push_array(&mut self, array: &[u8], count: usize) {
        debug_assert_eq!(self.statements, 0, "the array's indexes begin at 0");
        self.writer.splice(array);
        self.statements += count;
    }

    /// Number of statements so far.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// True if a further statement of `bytes` fits. The first statement of a command always fits.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        // The frame of the statement, and the fields that the driver adds to a command.
        const FRAME: usize = 1024;
        self.statements == 0
            || (self.statements < MAX_STATEMENTS
                && self.writer.len() + bytes + FRAME < MAX_COMMAND_BYTES)
    }

    /// Bytes of the command so far.
    pub fn bytes(&self) -> usize {
        self.writer.len()
    }

    /// The finished command.
    pub fn into_command(self) -> Result<Command, Error> {
        let Self {
            database,
            mut writer,
            array,
            ..
        } = self;
        writer.end(array);
        Ok(Command {
            database,
            body: RawDocumentBuf::from_bytes(writer.finish())?,
        })
    }
}

/// The `q` of a statement for the document with this `_id`.
pub fn write_query(writer: &mut Writer, id_kind: u8, id: &[u8]) {
    let query = writer.begin(kind::DOCUMENT, b"q");
    writer.value(id_kind, b"_id", id);
    writer.end(query);
}

impl Outcome {
    /// Reads a reply. `writeErrors` are part of the outcome. A `writeConcernError` is a failure of the
    /// command, even beside `writeErrors`.
    pub(in crate::mongo) fn read(reply: &Document) -> Result<Self, Error> {
        let errors = match reply.get_array("writeErrors") {
            Err(_absent) => Vec::new(),
            Ok(errors) => errors
                .iter()
                .filter_map(|error| error.as_document())
                .map(|error| {
                    let index = number(error, "index")?;
                    Ok(StatementError {
                        index: usize::try_from(index).unwrap_or_default(),
                        error: server_error(error)?,
                    })
                })
                .collect::<Result<_, Error>>()?,
        };
        if let Ok(concern) = reply.get_document("writeConcernError") {
            return Err(Error::WriteConcern(server_error(concern)?));
        }
        // The reply of `create`, which may be part of a transaction, has no `n`.
        let n = bson_number(reply, "n").unwrap_or_default();
        Ok(Self {
            n: u64::try_from(n).unwrap_or_default(),
            errors,
        })
    }

    /// # Errors
    /// The first refused statement, with `namespace`.
    pub fn refuse_any(&self, namespace: &Namespace) -> Result<(), Error> {
        refuse(self.errors.first(), namespace)
    }

    /// # Errors
    /// The first refused statement that is no duplicate key, with `namespace`.
    pub fn refuse_but_duplicates(&self, namespace: &Namespace) -> Result<(), Error> {
        refuse(
            self.errors.iter().find(|error| !error.is_duplicate()),
            namespace,
        )
    }
}

impl StatementError {
    /// The server's error code.
    pub fn code(&self) -> i32 {
        self.error.code
    }

    /// True for a duplicate key (code 11000).
    pub fn is_duplicate(&self) -> bool {
        self.code() == code::DUPLICATE_KEY
    }

    /// True for a transient condition, which can also be in `writeErrors`.
    pub fn is_transient(&self) -> bool {
        is_transient(self.code())
    }

    /// The error for an operator: the destination refused the statement.
    pub fn refusal(self, namespace: &Namespace) -> Error {
        Error::Refused {
            what: "a write to".to_owned(),
            namespace: namespace.to_string(),
            error: self.error,
        }
    }

    /// The error of the statement, as the error of its command.
    pub fn into_error(self) -> Error {
        Error::Statement(self.error)
    }
}

fn refuse(error: Option<&StatementError>, namespace: &Namespace) -> Result<(), Error> {
    match error {
        None => Ok(()),
        Some(error) => Err(error.clone().refusal(namespace)),
    }
}

fn number(document: &Document, name: &'static str) -> Result<i64, Error> {
    bson_number(document, name).ok_or(Error::Reply(name))
}

/// Reads the error of a part of a reply.
fn server_error(part: &Document) -> Result<ServerError, Error> {
    let code = i32::try_from(number(part, "code")?).unwrap_or_default();
    let text = |name| part.get_str(name).unwrap_or_default();
    Ok(ServerError::new(code, text("codeName"), text("errmsg")))
}
