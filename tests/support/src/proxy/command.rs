//! A command as a proxy sees it, and the label that names it in journals and rules.

use std::fmt;

use bson::{Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use super::wire::{Request, Sequence};

/// The metadata database, whose documents labels name.
use crate::metadata::DATABASE as METADATA;

/// Labels hold no ids that differ from run to run.
const SHORTEST_ID: usize = 12;

/// A command of a client.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its place among all commands that this proxy has seen, from 1.
    pub number: u64,
    /// The client's name of itself: hosts are `tidegate VERSION HOLDER`.
    pub client: String,
    /// The place of the client among the clients whose commands this proxy has seen, from 0.
    pub ordinal: usize,
    /// The phase of the scenario: see [`super::Proxy::enter`].
    pub phase: String,
    /// A label of the effect: `insert app.users`, `update lease term`, `renameCollection app.a to app.b`.
    pub label: String,
    /// Its place among the client's commands of this label in this phase, from 1.
    pub nth: u64,
    pub name: String,
    pub database: String,
    /// Empty for a command that concerns no collection.
    pub collection: String,
    pub transaction: Transaction,
    pub body: RawDocumentBuf,
    pub sequences: Vec<Sequence>,
}

/// The session and transaction of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub lsid: Vec<u8>,
    pub number: Option<i64>,
    /// Part of a transaction of many statements, and no single retryable write.
    pub is_open: bool,
}

impl Command {
    pub(super) fn new(client: &str, request: Request) -> Self {
        let Request {
            body, sequences, ..
        } = request;
        let name = first_key(&body);
        let database = body.get_str("$db").unwrap_or("admin").to_owned();
        let collection = collection(&name, &body);
        let mut command = Self {
            number: 0,
            ordinal: 0,
            client: client.to_owned(),
            phase: String::new(),
            label: String::new(),
            nth: 0,
            transaction: transaction(&body),
            name,
            database,
            collection,
            body,
            sequences,
        };
        command.label = without_ids(&command.describe());
        command
    }

    /// The id under which a host holds leases; `None` for other clients.
    pub fn holder(&self) -> Option<&str> {
        let rest = self.client.strip_prefix("tidegate ")?;
        rest.split_once(' ').map(|(_, holder)| holder)
    }

    /// `app.users`, or the database alone.
    pub fn namespace(&self) -> String {
        match self.collection.as_str() {
            "" => self.database.clone(),
            collection => format!("{}.{collection}", self.database),
        }
    }

    pub fn document(&self) -> anyhow::Result<Document> {
        Ok(Document::try_from(&*self.body)?)
    }

    /// The number of documents or statements of a write.
    pub fn statements(&self) -> usize {
        let of_sequences: usize = self.sequences.iter().map(|one| one.documents.len()).sum();
        let of_body = ["documents", "updates", "deletes"].map(|field| {
            let array = self.body.get_array(field);
            array.map_or(0, |array| array.into_iter().count())
        });
        of_sequences + of_body.iter().sum::<usize>()
    }

    /// Without the documents of a write, as the journal stores it.
    pub(super) fn brief(&self) -> Self {
        Self {
            body: RawDocumentBuf::new(),
            sequences: Vec::new(),
            ..self.clone()
        }
    }

    /// An abort of the transaction that this command commits.
    pub(super) fn as_abort(&self) -> anyhow::Result<Document> {
        let mut abort = doc! { "abortTransaction": 1 };
        let mut rest = self.document()?;
        rest.remove(&self.name);
        rest.remove("recoveryToken");
        abort.extend(rest);
        Ok(abort)
    }

    fn describe(&self) -> String {
        let name = &self.name;
        if name == "renameCollection" {
            let text = |field: &str| self.body.get_str(field).unwrap_or_default();
            return format!("{name} {} to {}", text(name), text("to"));
        }
        if self.is_change_stream() {
            return format!("changeStream {}", self.namespace());
        }
        if self.database == METADATA {
            let id = self.first_id().filter(|_| self.collection == "lease");
            // Appliers are alike: which of them takes a document is none of a label's.
            let id = id.map_or_else(String::new, |id| match id.split_once(':') {
                Some((writer, _)) => format!(" {writer}"),
                None => format!(" {id}"),
            });
            return format!("{name} metadata {}{id}", self.collection);
        }
        format!("{name} {}", self.namespace())
    }

    fn is_change_stream(&self) -> bool {
        let first = self.body.get_array("pipeline").ok().and_then(|pipeline| {
            let stage = pipeline.into_iter().next()?.ok()?;
            stage.as_document().map(first_key)
        });
        first.is_some_and(|stage| stage == "$changeStream")
    }

    /// The `_id` that the first statement asks for.
    fn first_id(&self) -> Option<String> {
        let in_body = ["updates", "deletes"].iter().find_map(|field| {
            let array = self.body.get_array(field).ok()?;
            let statement = array.into_iter().next()?.ok()?.as_document()?;
            id_of(statement.get_document("q").ok()?)
        });
        let of_document = |field: &&str| id_of(self.body.get_document(field).ok()?);
        let in_sequence = || {
            let statement = self.sequences.first()?.documents.first()?;
            id_of(statement.get_document("q").ok()?)
        };
        in_body
            .or_else(|| ["query", "filter"].iter().find_map(of_document))
            .or_else(in_sequence)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            phase,
            label,
            nth,
            ..
        } = self;
        write!(f, "command {number}, {phase}: {label} #{nth}")
    }
}

pub(super) fn first_key(document: &RawDocument) -> String {
    let first = document.into_iter().next();
    first
        .and_then(Result::ok)
        .map(|(key, _)| key.to_string())
        .unwrap_or_default()
}

fn id_of(filter: &RawDocument) -> Option<String> {
    match filter.get("_id").ok()?? {
        RawBsonRef::String(id) => Some(id.to_owned()),
        RawBsonRef::Document(operator) => operator.get_str("$eq").ok().map(str::to_owned),
        _ => None,
    }
}

fn collection(name: &str, body: &RawDocument) -> String {
    let field = match name {
        "getMore" => "collection",
        "renameCollection" => return String::new(),
        _ => name,
    };
    body.get_str(field).unwrap_or_default().to_owned()
}

fn transaction(body: &RawDocument) -> Transaction {
    let lsid = body
        .get_document("lsid")
        .and_then(|lsid| lsid.get_binary("id"));
    Transaction {
        lsid: lsid.map(|id| id.bytes.to_vec()).unwrap_or_default(),
        number: body.get_i64("txnNumber").ok(),
        is_open: body.get_bool("autocommit").is_ok_and(|is_on| !is_on),
    }
}

/// Replaces strings that look like ids.
fn without_ids(label: &str) -> String {
    let mut text = String::new();
    let mut run = String::new();
    for character in label.chars().chain([' ']) {
        if character.is_ascii_hexdigit() || character == '-' {
            run.push(character);
            continue;
        }
        let is_id = run.len() >= SHORTEST_ID && run.contains(|c: char| c.is_ascii_digit());
        text.push_str(if is_id { "*" } else { &run });
        run.clear();
        text.push(character);
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use bson::spec::BinarySubtype;

    use super::*;

    fn command(body: &Document) -> Command {
        let request = Request {
            body: RawDocumentBuf::try_from(body).expect("a document"),
            sequences: Vec::new(),
        };
        Command::new("tidegate 0.3.0 abc", request)
    }

    #[test]
    fn a_label_names_what_a_command_does() {
        let update =
            doc! { "update": "lease", "updates": [{ "q": { "_id": "term" } }], "$db": METADATA };
        let modify =
            doc! { "findAndModify": "lease", "query": { "_id": "applier:0" }, "$db": METADATA };
        let rename = doc! { "renameCollection": "app.a", "to": "app.b", "$db": "admin" };
        let stream = doc! { "aggregate": 1, "pipeline": [{ "$changeStream": {} }], "$db": "admin" };
        let temporary = doc! { "drop": "tmp-0a1b2c3d-4e5f-6071", "$db": "app" };
        for (body, label) in [
            (update, "update metadata lease term"),
            (modify, "findAndModify metadata lease applier"),
            (rename, "renameCollection app.a to app.b"),
            (stream, "changeStream admin"),
            (temporary, "drop app.tmp*"),
            (doc! { "insert": "users", "$db": "app" }, "insert app.users"),
            (
                doc! { "getMore": 1_i64, "collection": "c", "$db": "app" },
                "getMore app.c",
            ),
            (doc! { "ping": 1, "$db": "admin" }, "ping admin"),
        ] {
            assert_eq!(command(&body).label, label);
        }
    }

    #[test]
    fn session_and_transaction_are_read() {
        let id = bson::Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![7; 16],
        };
        let body = doc! { "insert": "c", "documents": [{}, {}], "lsid": { "id": id },
        "txnNumber": 3_i64, "autocommit": false, "$db": "app" };
        let command = command(&body);
        let expected = Transaction {
            lsid: vec![7; 16],
            number: Some(3),
            is_open: true,
        };
        assert_eq!(command.transaction, expected);
        assert_eq!((command.statements(), command.holder()), (2, Some("abc")));
    }
}
