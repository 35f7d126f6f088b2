//! Write commands built from raw documents, one command many statements.
//!
//! The driver does not look inside raw commands: the write concern, the reply's
//! write errors and retries are ours. Every command here can be sent again.

use bson::{Document, RawDocumentBuf, rawdoc};

use super::{DestinationDatabase, Error, code};
use crate::model::{
    Namespace,
    raw::{Writer, kind},
};

/// A command may hold 16 MiB of documents and 16 KiB around them
/// (server: `BSONObjMaxInternalSize`); the largest document goes alone.
pub const MAX_COMMAND_BYTES: usize = 16_793_600;

/// The server's `maxWriteBatchSize`.
pub const MAX_STATEMENTS: usize = 100_000;

/// An `insert`, `update` or `delete` command that statements are appended to.
pub struct WriteCommand {
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
#[derive(Debug)]
pub struct StatementError {
    /// The statement's place in its command.
    pub index: usize,
    pub code: i32,
    pub message: String,
}

impl WriteCommand {
    pub fn insert(collection: &str) -> Self {
        Self::new(head("insert", collection), b"documents")
    }

    pub fn update(collection: &str) -> Self {
        Self::new(head("update", collection), b"updates")
    }

    /// Deletes do not know `bypassDocumentValidation`.
    pub fn delete(collection: &str) -> Self {
        let head =
            rawdoc! { "delete": collection, "ordered": false, "writeConcern": { "w": "majority" } };
        Self::new(head, b"deletes")
    }

    fn new(head: RawDocumentBuf, array: &[u8]) -> Self {
        let mut writer = Writer::continuing(head.into_bytes());
        let array = writer.begin(kind::ARRAY, array);
        Self {
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
            writer.value(kind::DOCUMENT, b"u", document);
            writer.value(kind::BOOLEAN, b"upsert", &[1]);
        });
    }

    /// Takes all of `array` (a BSON array of `count` documents) in one copy; only as the first.
    pub fn push_array(&mut self, array: &[u8], count: usize) {
        self.writer.splice(array);
        self.statements += count;
    }

    pub fn statements(&self) -> usize {
        self.statements
    }

    /// True if a statement of `bytes` more still fits; a command's first always does.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        const FRAME: usize = 64;
        self.statements == 0
            || (self.statements < MAX_STATEMENTS
                && self.writer.len() + bytes + FRAME < MAX_COMMAND_BYTES)
    }

    /// Sends the command once: for statements that must not be repeated.
    pub async fn send_once(self, database: &DestinationDatabase) -> Result<Outcome, Error> {
        if self.statements == 0 {
            return Ok(Outcome::default());
        }
        outcome(&database.send(self.into_command()?).await?)
    }

    /// Sends the command, again after transient failures: only for
    /// statements that can be repeated. Refused statements are in the outcome.
    pub async fn send(self, database: &DestinationDatabase) -> Result<Outcome, Error> {
        if self.statements == 0 {
            return Ok(Outcome::default());
        }
        let command = self.into_command()?;
        super::retry("write", || async {
            outcome(&database.send(command.clone()).await?)
        })
        .await
    }

    fn into_command(self) -> Result<RawDocumentBuf, Error> {
        let Self {
            mut writer, array, ..
        } = self;
        writer.end(array);
        Ok(RawDocumentBuf::from_bytes(writer.finish())?)
    }
}

/// The `q` of a statement for the document with this `_id`.
pub fn write_query(writer: &mut Writer, id_kind: u8, id: &[u8]) {
    let query = writer.begin(kind::DOCUMENT, b"q");
    writer.value(id_kind, b"_id", id);
    writer.end(query);
}

fn head(command: &str, collection: &str) -> RawDocumentBuf {
    let mut head = RawDocumentBuf::new();
    let name = if command == "insert" {
        bson::cstr!("insert")
    } else {
        bson::cstr!("update")
    };
    head.append(name, collection);
    head.append(bson::cstr!("ordered"), false);
    head.append(bson::cstr!("bypassDocumentValidation"), true);
    head.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
    head
}

/// Reads a write command's reply: `writeErrors` come back inside an `Ok` reply.
fn outcome(reply: &Document) -> Result<Outcome, Error> {
    let number = |document: &Document, name| bson_number(document, name).ok_or(Error::Reply(name));
    let errors = match reply.get_array("writeErrors") {
        Err(_absent) => Vec::new(),
        Ok(errors) => errors
            .iter()
            .filter_map(|error| error.as_document())
            .map(|error| {
                Ok(StatementError {
                    index: usize::try_from(number(error, "index")?).unwrap_or_default(),
                    code: i32::try_from(number(error, "code")?).unwrap_or_default(),
                    message: error.get_str("errmsg").unwrap_or_default().to_owned(),
                })
            })
            .collect::<Result<_, Error>>()?,
    };
    if let Ok(concern) = reply.get_document("writeConcernError") {
        return Err(Error::WriteConcern {
            code: i32::try_from(number(concern, "code")?).unwrap_or_default(),
            message: concern.get_str("errmsg").unwrap_or_default().to_owned(),
        });
    }
    Ok(Outcome {
        n: u64::try_from(number(reply, "n")?).unwrap_or_default(),
        errors,
    })
}

/// A number of any BSON type, as the server mixes them in replies.
pub fn bson_number(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        bson::Bson::Int32(n) => Some(i64::from(*n)),
        bson::Bson::Int64(n) => Some(*n),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "server counters are whole numbers below 2^53"
        )]
        bson::Bson::Double(n) => Some(*n as i64),
        _ => None,
    }
}

impl Outcome {
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
    fn is_duplicate(&self) -> bool {
        self.code == code::DUPLICATE_KEY
    }
}

fn refuse(error: Option<&StatementError>, namespace: &Namespace) -> Result<(), Error> {
    match error {
        None => Ok(()),
        Some(error) => Err(Error::Refused {
            namespace: namespace.to_string(),
            code: error.code,
            message: error.message.clone(),
        }),
    }
}
