//! Why a document has no outcome, and how it is named: by its `_id`, never by what
//! else is in it.

use std::fmt;

use bson::RawDocument;

use crate::model::{Namespace, raw};

use super::super::error::{Call, Error};
use super::super::trap::TrapKind;

/// The longest name of a document, in characters.
const ID_CHARS: usize = 200;

/// The longest sentence of a guest that is passed on, in characters.
const REASON_CHARS: usize = 500;

/// Why a document is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub component: String,
    pub digest: String,
    /// The function that was called.
    pub export: &'static str,
    pub kind: FaultKind,
    /// A sentence for the operator.
    pub reason: String,
}

/// Who says that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The plugin: it cannot handle the document.
    Document,
    /// The host: what the plugin gave for the document cannot be written.
    Output,
    /// Nobody: the call ended.
    Trap(TrapKind),
}

impl Fault {
    /// What the operator is told of `error`, which is about one document.
    pub(super) fn new(kind: FaultKind, error: &Error) -> Self {
        let (call, reason) = match error {
            Error::Failed { call, reason } => (Some(call), reason.clone()),
            Error::Trapped { call, trap } => (Some(call), format!("the call ended with {trap}")),
            error => (None, error.to_string()),
        };
        Self {
            component: call.map(|call| call.component.clone()).unwrap_or_default(),
            digest: call.map(|call| call.digest.clone()).unwrap_or_default(),
            export: call.map_or("", |call| call.export),
            kind,
            reason,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A guest's sentence, cut: it goes into logs and answers.
pub(in super::super) fn failed(call: Call, reason: &str) -> Error {
    Error::Failed {
        call,
        reason: cut(reason, REASON_CHARS),
    }
}

/// How a document is named to an operator.
pub(in super::super) fn name_of(document: &[u8], namespace: &Namespace) -> String {
    let id = id_of(document).unwrap_or_else(|| "none".to_owned());
    format!(
        "the document of {namespace} with the _id {}",
        cut(&id, ID_CHARS)
    )
}

/// The `_id` as relaxed extended JSON.
fn id_of(document: &[u8]) -> Option<String> {
    let length = raw::length_of(document).ok()?;
    let document = RawDocument::from_bytes(document.get(..length)?).ok()?;
    let id = bson::Bson::try_from(document.get("_id").ok()??).ok()?;
    Some(id.into_relaxed_extjson().to_string())
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
