//! Mismatches: the differences between two clusters that a verification lists.
//!
//! Invariant: a mismatch holds names, an `_id` and a path, and no other content of a document.

use std::fmt;

use bson::{Bson, Document, RawDocumentBuf};
use serde_json::{Map, Value, json};

use super::Namespace;

/// The side on which the subject of a mismatch is missing, or its difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MismatchKind {
    /// The destination does not have the subject.
    Missing,
    /// Only the destination has the subject.
    Extra,
    /// Both clusters have the subject, and it differs.
    Differs,
}

/// The part of a namespace that a mismatch is about.
#[derive(Clone, Debug, PartialEq)]
pub enum MismatchSubject {
    /// A document, as `{_id: value}`.
    Document(RawDocumentBuf),
    /// A collection as a whole.
    Collection,
    /// The natural order of a capped collection.
    NaturalOrder,
    /// A view as a whole.
    View,
    /// An option of a collection or view, by its name.
    Option(String),
    /// An index, by its name.
    Index(String),
}

/// A difference between two clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The name on the source, or that it would have there.
    pub source: Namespace,
    /// The name on the destination.
    pub destination: Namespace,
    /// The differing part.
    pub subject: MismatchSubject,
    /// The difference.
    pub kind: MismatchKind,
    /// The first path at which two documents differ, with dots between field names and array positions; `None` for
    /// other mismatches.
    pub path: Option<String>,
}

/// A mismatch in the list of a sync, with what has become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedMismatch {
    /// Id of the entry, by which lists are ordered.
    pub id: String,
    /// `open`, `repairing`, `repaired` or `gone`.
    pub state: &'static str,
    /// The difference.
    pub mismatch: Mismatch,
}

impl ListedMismatch {
    /// The fields of [`Mismatch::to_json`] after the id and the state.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), json!(self.id));
        fields.insert("state".to_owned(), json!(self.state));
        fields.extend(self.mismatch.to_json());
        fields
    }
}

impl MismatchKind {
    /// The name in lists of mismatches.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Differs => "differs",
        }
    }
}

impl MismatchSubject {
    /// The name in lists of mismatches.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Document(_) => "document",
            Self::Collection => "collection",
            Self::NaturalOrder => "naturalOrder",
            Self::View => "view",
            Self::Option(_) => "option",
            Self::Index(_) => "index",
        }
    }
}

impl Mismatch {
    /// The mismatch as one JSON object, for lists of one object a line. `_id`s are canonical Extended JSON.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        set("namespace", json!(self.source.to_string()));
        if self.destination != self.source {
            set("destination", json!(self.destination.to_string()));
        }
        set("subject", json!(self.subject.as_str()));
        match &self.subject {
            MismatchSubject::Document(id) => {
                set("_id", id_json(id));
            }
            MismatchSubject::Option(name) | MismatchSubject::Index(name) => {
                set("name", json!(name));
            }
            MismatchSubject::Collection | MismatchSubject::NaturalOrder | MismatchSubject::View => {
            }
        }
        set("kind", json!(self.kind.as_str()));
        if let Some(path) = &self.path {
            set("path", json!(path));
        }
        fields
    }
}

/// Names the mismatch without the `_id`.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.subject.as_str(), self.source)?;
        if let MismatchSubject::Option(name) | MismatchSubject::Index(name) = &self.subject {
            write!(f, " ({name})")?;
        }
        write!(f, " {}", self.kind.as_str())
    }
}

/// The value of `_id` as canonical Extended JSON. A value that the `bson` library cannot read is shown as hex.
pub fn id_json(id: &RawDocumentBuf) -> Value {
    let value = Document::try_from(id.clone()).map(|mut document| document.remove("_id"));
    match value {
        Ok(value) => value.unwrap_or(Bson::Null).into_canonical_extjson(),
        Err(_unreadable) => {
            let hex: String = id
                .as_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            json!({ "$bytes": hex })
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn a_line_names_document_and_path_and_no_content() {
        let mut mismatch = Mismatch {
            source: Namespace::new("shop", "orders"),
            destination: Namespace::new("shop", "orders"),
            subject: MismatchSubject::Document(rawdoc! { "_id": 5_i64 }),
            kind: MismatchKind::Differs,
            path: Some("lines.2.price".to_owned()),
        };
        assert_eq!(
            Value::from(mismatch.to_json()),
            json!({ "namespace": "shop.orders", "subject": "document", "_id": { "$numberLong": "5" },
                "kind": "differs", "path": "lines.2.price" })
        );
        assert_eq!(mismatch.to_string(), "document of shop.orders differs");
        mismatch.destination = Namespace::new("store", "orders");
        mismatch.subject = MismatchSubject::Index("a_1".to_owned());
        mismatch.kind = MismatchKind::Missing;
        mismatch.path = None;
        assert_eq!(
            Value::from(mismatch.to_json()),
            json!({ "namespace": "shop.orders", "destination": "store.orders", "subject": "index", "name": "a_1",
                "kind": "missing" })
        );
    }
}
