//! The input documents of commands: from a file, or the first documents of a collection, which is only read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use bson::{Document, RawDocumentBuf};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::config::ConnectionString;
use crate::model::Namespace;
use crate::mongo;

use super::usage_error::usage_error;

/// The largest document of a server: 16 MiB, and 16 KiB for internal documents.
const DOCUMENT_BYTES: u32 = (16 << 20) + (16 << 10);

/// Documents, and the namespace that the plugin is told.
#[derive(Clone, Debug)]
pub(super) struct InputDocuments {
    pub(super) namespace: Namespace,
    pub(super) documents: Vec<RawDocumentBuf>,
}

/// Reads at most `limit` documents.
pub(super) fn read(input: &str, limit: usize) -> Result<InputDocuments> {
    let read = if is_connection_string(input) {
        from_collection(input, limit)?
    } else {
        from_file(Path::new(input), limit)?
    };
    if read.documents.is_empty() {
        return Err(none(input));
    }
    Ok(read)
}

/// The error for an input without a document.
pub(super) fn none(input: &str) -> anyhow::Error {
    let place = ConnectionString::new(input);
    usage_error(format!("{place} has no documents."))
}

pub(super) fn is_connection_string(input: &str) -> bool {
    input.starts_with("mongodb://") || input.starts_with("mongodb+srv://")
}

/// Reads `db.coll`; the collection may hold dots.
pub(super) fn namespace(text: &str) -> Result<Namespace> {
    match text.split_once('.') {
        Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
            Ok(Namespace::new(database, collection))
        }
        _ => Err(usage_error(format!(
            "'{text}' is not a namespace; the form is DATABASE.COLLECTION."
        ))),
    }
}

/// Opens a file of documents.
pub(super) fn open_file(path: &Path) -> Result<BufReader<File>> {
    let place = path.display();
    let file = File::open(path).map_err(|error| {
        usage_error(format!(
            "{place} cannot be read: {error}. --in takes a file, or mongodb://…"
        ))
    })?;
    Ok(BufReader::new(file))
}

fn from_file(path: &Path, limit: usize) -> Result<InputDocuments> {
    let reader = open_file(path)?;
    let documents = if is_bson(path) {
        from_bson(reader, 0, limit)
    } else {
        from_json(reader, limit)
    };
    Ok(InputDocuments {
        namespace: namespace_of_files(),
        documents: documents.map_err(|error| unreadable(path, &error))?,
    })
}

/// The namespace that a plugin is told for the documents of a file.
pub(super) fn namespace_of_files() -> Namespace {
    Namespace::new("test", "documents")
}

/// Whether a file holds BSON; JSON otherwise.
pub(super) fn is_bson(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "bson")
}

/// An error about the contents of a file.
pub(super) fn unreadable(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    usage_error(format!("{}: {error:#}.", path.display()))
}

/// Reads consecutive raw documents, as written by mongodump. The first has the position `from` in the file.
pub(super) fn from_bson(
    mut reader: impl Read,
    from: usize,
    limit: usize,
) -> Result<Vec<RawDocumentBuf>> {
    let mut documents = Vec::new();
    while documents.len() < limit {
        let position = from + documents.len();
        let Some(bytes) = next_bson(&mut reader)
            .with_context(|| format!("document {position} (from 0) is not BSON"))?
        else {
            break;
        };
        let document = RawDocumentBuf::from_bytes(bytes)
            .with_context(|| format!("document {position} (from 0) is not BSON"))?;
        documents.push(document);
    }
    Ok(documents)
}

fn next_bson(reader: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let length = bytes
        .first_chunk()
        .map_or(0, |length| u32::from_le_bytes(*length));
    anyhow::ensure!(
        (5..=DOCUMENT_BYTES).contains(&length),
        "its length cannot be {length}"
    );
    reader
        .by_ref()
        .take(u64::from(length) - 4)
        .read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 == u64::from(length),
        "the file ends within it"
    );
    Ok(Some(bytes))
}

/// Reads a sequence of arrays and objects: an array of documents, or a document per line.
pub(super) fn from_json(reader: impl Read, limit: usize) -> Result<Vec<RawDocumentBuf>> {
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_reader(reader).into_iter::<Value>() {
        match value.context("it is not JSON")? {
            Value::Array(values) => documents.extend(values),
            value => documents.push(value),
        }
        if documents.len() >= limit {
            break;
        }
    }
    documents.truncate(limit);
    let document = |(position, value)| {
        document(value).with_context(|| {
            format!("document {position} (from 0) is not a document in Extended JSON")
        })
    };
    documents.into_iter().enumerate().map(document).collect()
}

fn document(value: Value) -> Result<RawDocumentBuf> {
    let Value::Object(fields) = value else {
        anyhow::bail!("it is no object");
    };
    let document = Document::try_from(fields)?;
    Ok(RawDocumentBuf::try_from(&document)?)
}

/// The connection string and the collection of `--in`.
pub(super) fn collection(uri: &str) -> Result<(String, Namespace)> {
    let Some((uri, path)) = split_path(uri) else {
        return Err(usage_error(
            "The connection string of --in names no collection; \
             the form is mongodb://HOST:PORT/DATABASE.COLLECTION?replicaSet=NAME.",
        ));
    };
    Ok((uri, namespace(path)?))
}

/// A runtime for the calls of one command.
pub(super) fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("start a runtime")
}

fn from_collection(uri: &str, limit: usize) -> Result<InputDocuments> {
    let (uri, namespace) = collection(uri)?;
    let documents = runtime()?.block_on(mongo::sample::first(&uri, &namespace, limit))?;
    Ok(InputDocuments {
        namespace,
        documents,
    })
}

/// A connection string without its path, and the path.
pub(super) fn split_path(uri: &str) -> Option<(String, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let (authority, rest) = rest.split_once('/')?;
    let (path, mark, options) = match rest.split_once('?') {
        Some((path, options)) => (path, "?", options),
        None => (rest, "", ""),
    };
    let uri = format!("{scheme}://{authority}/{mark}{options}");
    (!path.is_empty()).then_some((uri, path))
}

/// Consecutive documents, in the form of a batch.
pub(super) fn joined(documents: &[RawDocumentBuf]) -> Vec<u8> {
    documents
        .iter()
        .flat_map(|document| document.as_bytes())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc};

    use super::*;

    fn json(text: &str) -> Result<Vec<Document>> {
        let documents = from_json(text.as_bytes(), 3)?;
        Ok(documents
            .iter()
            .map(|d| Document::try_from(&**d))
            .collect::<Result<_, _>>()?)
    }

    #[test]
    fn json_is_an_array_or_one_document_after_the_other() -> Result<()> {
        let two = [
            doc! { "_id": 1 },
            doc! { "_id": 2_i64, "b": bson::oid::ObjectId::from_bytes([1; 12]) },
        ];
        let oid = r#"{"$oid": "010101010101010101010101"}"#;
        let second = format!(r#"{{"_id": {{"$numberLong": "2"}}, "b": {oid}}}"#);
        assert_eq!(json(&format!(r#"[{{"_id": 1}}, {second}]"#))?, two);
        assert_eq!(json(&format!("{{\"_id\": 1}}\n{second}\n"))?, two);
        assert_eq!(
            json(r#"[{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}]"#)?.len(),
            3
        );
        assert_eq!(json("")?.len(), 0);
        for (text, says) in [
            ("[1]", "document 0"),
            ("{\"a\": 1} x", "not JSON"),
            (r#"[{}, {"a": {"$oid": 1}}]"#, "document 1"),
        ] {
            let error = json(text).expect_err(text);
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
        Ok(())
    }

    #[test]
    fn a_dump_is_read_up_to_the_limit_and_to_its_end() -> Result<()> {
        let documents: Vec<RawDocumentBuf> =
            (0..3).map(|n| rawdoc! { "_id": n, "s": "x" }).collect();
        let mut dump: Vec<u8> = documents
            .iter()
            .flat_map(|d| d.as_bytes().to_vec())
            .collect();
        assert_eq!(from_bson(&dump[..], 0, 9)?, documents);
        assert_eq!(from_bson(&dump[..], 0, 2)?, documents[..2]);
        dump.pop();
        let cut = from_bson(&dump[..], 5, 9).expect_err("cut short");
        assert!(format!("{cut:#}").contains("document 7"), "{cut:#}");
        assert!(from_bson(&b"\x02\0\0\0"[..], 0, 9).is_err());
        assert!(from_bson(&b"\xff\xff\xff\x7f"[..], 0, 9).is_err());
        Ok(())
    }

    #[test]
    fn the_collection_stands_where_the_database_would() {
        for (uri, connection, path) in [
            (
                "mongodb://a:1,b:2/db.coll.x?replicaSet=r",
                "mongodb://a:1,b:2/?replicaSet=r",
                "db.coll.x",
            ),
            (
                "mongodb+srv://u:p%2F@h/db.c",
                "mongodb+srv://u:p%2F@h/",
                "db.c",
            ),
        ] {
            assert_eq!(split_path(uri), Some((connection.to_owned(), path)));
        }
        for uri in ["mongodb://a", "mongodb://a/", "mongodb://a/?x=y"] {
            assert_eq!(split_path(uri), None, "{uri}");
        }
        assert!(namespace("db").is_err() && namespace(".c").is_err() && namespace("db.").is_err());
    }
}
