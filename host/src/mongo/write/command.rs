//! Write commands built from raw documents, one command many statements.
//!
//! The driver does not look inside raw commands: the write concern, the reply's
//! write errors and retries are ours.

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

/// A command may hold 16 MiB of documents and 16 KiB around them
/// (server: `BSONObjMaxInternalSize`); the largest document goes alone.
pub const MAX_COMMAND_BYTES: usize = 16_793_600;

/// The server's `maxWriteBatchSize`.
pub const MAX_STATEMENTS: usize = 100_000;

/// A collection of the destination: the name that it has there, and which one it is. The server
/// refuses a command whose name stands for another collection by now, or for none (code 361).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRef {
    pub namespace: Namespace,
    /// `None` only where metadata of an early release does not say.
    pub uuid: Option<CollectionUuid>,
}

/// One command of a transaction, on one database.
#[derive(Clone, Debug)]
pub struct Command {
    pub(in crate::mongo) database: String,
    pub(in crate::mongo) body: RawDocumentBuf,
}

/// An `insert`, `update` or `delete` command that statements are appended to.
pub struct WriteCommand {
    database: String,
    writer: Writer,
    array: crate::model::raw::Mark,
    statements: usize,
    number: itoa::Buffer,
}

/// What a write command did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Documents inserted, matched or deleted (upserts included).
    pub n: u64,
    pub errors: Vec<StatementError>,
}

/// One statement that was refused.
#[derive(Clone, Debug)]
pub struct StatementError {
    /// The statement's place in its command.
    pub index: usize,
    pub error: ServerError,
}

/// The write concern of every write: durable on a majority, in its journals.
pub(in crate::mongo) fn majority() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

impl CollectionRef {
    /// Appends the UUID to a command.
    pub fn append_uuid(&self, command: &mut RawDocumentBuf) {
        if let Some(uuid) = self.uuid {
            let uuid = Binary {
                subtype: BinarySubtype::Uuid,
                bytes: uuid.to_vec(),
            };
            command.append(bson::cstr!("collectionUUID"), uuid);
        }
    }
}

impl Command {
    pub fn new(database: &str, body: RawDocumentBuf) -> Self {
        Self {
            database: database.to_owned(),
            body,
        }
    }

    /// The command without a transaction, durable on a majority.
    pub(in crate::mongo) fn majority(self, client: &Client) -> (Database, RawDocumentBuf) {
        let mut body = self.body;
        body.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        (client.database(&self.database), body)
    }
}

impl WriteCommand {
    pub fn insert(collection: &CollectionRef) -> Self {
        let name = collection.namespace.collection.as_str();
        Self::bypassing(collection, rawdoc! { "insert": name }, b"documents")
    }

    pub fn update(collection: &CollectionRef) -> Self {
        let name = collection.namespace.collection.as_str();
        Self::bypassing(collection, rawdoc! { "update": name }, b"updates")
    }

    /// Deletes do not know `bypassDocumentValidation`.
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

    /// Makes room for about `bytes` of statements at once.
    pub fn expecting(mut self, bytes: usize) -> Self {
        self.writer.reserve(bytes.min(MAX_COMMAND_BYTES));
        self
    }

    /// Appends a document that is already BSON.
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

    /// Appends an update statement that writes `document` whole, whether or not it is there.
    pub fn push_replacement(&mut self, id_kind: u8, id: &[u8], document: &[u8]) {
        self.push_with(|writer| {
            write_query(writer, id_kind, id);
            if empty_timestamps::is_kept(document) {
                writer.value(kind::DOCUMENT, b"u", document);
            } else {
                empty_timestamps::write_pipeline(writer, document);
            }
            writer.value(kind::BOOLEAN, b"upsert", &[1]);
        });
    }

    /// Appends an update statement that inserts a document of which an insert command would change
    /// bytes (see [`empty_timestamps`]).
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

    /// Appends one delete statement for all documents with these `_id`s.
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

    /// Takes all of `array` (a BSON array of `count` documents) in one copy; only as the first.
    pub fn push_array(&mut self, array: &[u8], count: usize) {
        debug_assert_eq!(self.statements, 0, "the array's indexes begin at 0");
        self.writer.splice(array);
        self.statements += count;
    }

    pub fn statements(&self) -> usize {
        self.statements
    }

    /// True if a statement of `bytes` more still fits; a command's first always does.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        // The statement's own frame, and what the driver adds to a command.
        const FRAME: usize = 1024;
        self.statements == 0
            || (self.statements < MAX_STATEMENTS
                && self.writer.len() + bytes + FRAME < MAX_COMMAND_BYTES)
    }

    /// Bytes of the command so far.
    pub fn bytes(&self) -> usize {
        self.writer.len()
    }

    /// The command for a transaction.
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
    /// Reads a reply whole: `writeErrors` come first, inside an `Ok` reply, then
    /// `writeConcernError`. The latter is a failure of the command, even beside the former.
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
        // `create`, which may be one of a transaction's commands, counts nothing.
        let n = bson_number(reply, "n").unwrap_or_default();
        Ok(Self {
            n: u64::try_from(n).unwrap_or_default(),
            errors,
        })
    }

    /// A refused statement is an error that names `namespace`.
    pub fn refuse_any(&self, namespace: &Namespace) -> Result<(), Error> {
        refuse(self.errors.first(), namespace)
    }

    /// A statement that was refused for any reason but a duplicate `_id` is an error.
    pub fn refuse_but_duplicates(&self, namespace: &Namespace) -> Result<(), Error> {
        refuse(
            self.errors.iter().find(|error| !error.is_duplicate()),
            namespace,
        )
    }
}

impl StatementError {
    pub fn code(&self) -> i32 {
        self.error.code
    }

    pub fn is_duplicate(&self) -> bool {
        self.code() == code::DUPLICATE_KEY
    }

    /// True for conditions that pass, which can also stand inside `writeErrors`.
    pub fn is_transient(&self) -> bool {
        is_transient(self.code())
    }

    /// What an operator is told: the destination does not take the statement.
    pub fn refusal(self, namespace: &Namespace) -> Error {
        Error::Refused {
            what: "a write to".to_owned(),
            namespace: namespace.to_string(),
            error: self.error,
        }
    }

    /// The statement's error as that of its command.
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

/// The error in a part of a reply.
fn server_error(part: &Document) -> Result<ServerError, Error> {
    let code = i32::try_from(number(part, "code")?).unwrap_or_default();
    let text = |name| part.get_str(name).unwrap_or_default();
    Ok(ServerError::new(code, text("codeName"), text("errmsg")))
}
