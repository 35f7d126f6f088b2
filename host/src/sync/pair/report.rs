//! The lines of a report.

use serde_json::{Map, Value, json};

use crate::model::mismatch::Mismatch;

/// The reason for which a difference is in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The difference has stayed as it was for the time to settle.
    Settled,
    /// The difference kept changing, so nothing is proven about it.
    Unsettled,
    /// A plugin cannot handle the source's document, so the destination's is not known.
    Quarantined,
}

/// The documents of source and destination; `None` for no document.
type DocumentPair = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A difference of the report.
#[derive(Clone, Debug)]
pub struct ReportEntry {
    /// The subject and the difference that was seen last.
    pub mismatch: Mismatch,
    /// The certainty of the difference.
    pub certainty: Certainty,
    /// The document of the source after the plugins, and that of the destination, where the operator has asked for
    /// documents.
    pub documents: Option<Box<DocumentPair>>,
}

impl ReportEntry {
    /// A difference without documents.
    pub(super) fn new(mismatch: Mismatch, certainty: Certainty) -> Self {
        Self {
            mismatch,
            certainty,
            documents: None,
        }
    }

    /// The finding as a JSON object: the mismatch, with the certainty in place of its kind where it is no settled one.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut line = self.mismatch.to_json();
        let kind = match self.certainty {
            Certainty::Settled => None,
            Certainty::Unsettled => Some("unsettled"),
            Certainty::Quarantined => Some("quarantined"),
        };
        if let Some(kind) = kind {
            line.insert("kind".to_owned(), json!(kind));
        }
        if let Some(documents) = &self.documents {
            let (source, destination) = &**documents;
            line.insert("sourceDocument".to_owned(), shown(source.as_deref()));
            line.insert(
                "destinationDocument".to_owned(),
                shown(destination.as_deref()),
            );
        }
        line
    }

    /// Bytes of the documents.
    pub(super) fn document_bytes(&self) -> usize {
        let bytes = |document: &Option<Vec<u8>>| document.as_ref().map_or(0, Vec::len);
        let documents = self.documents.as_deref();
        documents.map_or(0, |(source, destination)| {
            bytes(source) + bytes(destination)
        })
    }
}

/// A document as canonical Extended JSON.
fn shown(document: Option<&[u8]>) -> Value {
    let Some(document) = document else {
        return Value::Null;
    };
    match bson::deserialize_from_slice::<bson::Document>(document) {
        Ok(document) => bson::Bson::Document(document).into_canonical_extjson(),
        Err(_unreadable) => json!("not readable as BSON"),
    }
}
