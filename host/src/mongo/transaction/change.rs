//! Changes of documents with string `_id`s.

use bson::{Document, RawArrayBuf, RawDocumentBuf, rawdoc};

use super::super::{
    Error,
    write::{Command, MAX_COMMAND_BYTES, MAX_STATEMENTS},
};

/// A change in a transaction. All are idempotent.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes the document with this id, in place of an existing document.
    Put {
        /// A collection of the metadata database.
        collection: &'static str,
        /// The `_id`.
        id: String,
        /// The whole document, `_id` included.
        document: RawDocumentBuf,
    },
    /// Writes documents in place of existing documents, thousands with a command.
    PutMany {
        /// A collection of the metadata database.
        collection: &'static str,
        /// `_id`s and whole documents, `_id` included. An empty list changes nothing.
        documents: Vec<(String, RawDocumentBuf)>,
    },
    /// Inserts documents.
    Insert {
        /// A collection of the metadata database.
        collection: String,
        /// New documents, with their `_id`s. An empty list changes nothing.
        documents: Vec<RawDocumentBuf>,
    },
    /// Deletes all documents that match.
    Remove {
        /// A collection of the metadata database.
        collection: String,
        /// A query filter (manual: `delete`, field `q`).
        filter: Document,
    },
    /// Runs a command in the transaction, possibly on another database, such as `create`.
    Command {
        /// Name of the database that runs the command.
        database: String,
        /// The command, without the fields of a transaction: the driver adds them.
        body: RawDocumentBuf,
    },
}

impl Change {
    /// Adds the commands of the change. `database` is the database of the metadata.
    pub(super) fn append_commands(
        &self,
        database: &str,
        commands: &mut Vec<Command>,
    ) -> Result<(), Error> {
        let mut push = |body| commands.push(Command::new(database, body));
        match self {
            Self::Put {
                collection,
                id,
                document,
            } => push(update(collection, [upsert(id, document)])),
            Self::PutMany {
                collection,
                documents,
            } => {
                let bytes = |(id, document): &(String, RawDocumentBuf)| {
                    id.len() + document.as_bytes().len()
                };
                for portion in portions(documents, bytes) {
                    let statements = portion.iter().map(|(id, document)| upsert(id, document));
                    push(update(collection, statements));
                }
            }
            Self::Insert {
                collection,
                documents,
            } => {
                for portion in portions(documents, |document| document.as_bytes().len()) {
                    let mut array = RawArrayBuf::new();
                    for document in portion {
                        array.push(document.clone());
                    }
                    push(rawdoc! { "insert": collection.as_str(), "documents": array });
                }
            }
            Self::Remove { collection, filter } => {
                let mut statements = RawArrayBuf::new();
                let query = RawDocumentBuf::try_from(filter)?;
                statements.push(rawdoc! { "q": query, "limit": 0 });
                push(rawdoc! { "delete": collection.as_str(), "deletes": statements });
            }
            Self::Command { database, body } => {
                commands.push(Command::new(database, body.clone()));
            }
        }
        Ok(())
    }
}

fn upsert(id: &str, document: &RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! { "q": { "_id": id }, "u": document.clone(), "upsert": true }
}

fn update(
    collection: &str,
    statements: impl IntoIterator<Item = RawDocumentBuf>,
) -> RawDocumentBuf {
    let statements: RawArrayBuf = statements.into_iter().collect();
    rawdoc! { "update": collection, "updates": statements }
}

/// Splits the documents of a write into portions that fit into a command.
fn portions<T>(documents: &[T], bytes_of: impl Fn(&T) -> usize) -> Vec<&[T]> {
    /// A statement's index, names and types of fields, and an `_id` that the document repeats.
    const FRAME: usize = 64;
    let (mut portions, mut rest) = (Vec::new(), documents);
    while !rest.is_empty() {
        let mut bytes = 1_024;
        let fitting = rest.iter().take(MAX_STATEMENTS).take_while(|document| {
            bytes += bytes_of(document) + FRAME;
            bytes < MAX_COMMAND_BYTES
        });
        let (portion, after) = rest.split_at(fitting.count().max(1));
        portions.push(portion);
        rest = after;
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_documents_become_few_commands() {
        let documents = |number: usize, bytes: usize| {
            let document = rawdoc! { "bytes": "x".repeat(bytes) };
            (0..number)
                .map(|at| (at.to_string(), document.clone()))
                .collect()
        };
        for (number, bytes, expected) in [
            (0, 0, 0),
            (30_000, 100, 1),
            (100_001, 10, 2),
            (5, 6 << 20, 3),
        ] {
            let change = Change::PutMany {
                collection: "any",
                documents: documents(number, bytes),
            };
            let mut commands = Vec::new();
            change.append_commands("metadata", &mut commands).unwrap();
            assert_eq!(
                commands.len(),
                expected,
                "{number} documents of {bytes} bytes"
            );
            let statements = commands.iter().map(|command| {
                assert!(command.body.as_bytes().len() < MAX_COMMAND_BYTES);
                command
                    .body
                    .get_array("updates")
                    .unwrap()
                    .into_iter()
                    .count()
            });
            assert_eq!(statements.sum::<usize>(), number);
        }
    }
}
