//! The name of a document in messages: its namespace and `_id`, never its content.

use bson::RawDocument;

use crate::model::{Namespace, raw};

/// The longest `_id` in a name, in characters.
const ID_CHARS: usize = 200;

/// The name of a document for an operator. `document` may be followed by other documents.
pub(super) fn name_of(document: &[u8], namespace: &Namespace) -> String {
    let id = id_of(document).unwrap_or_else(|| "none".to_owned());
    format!(
        "the document of {namespace} with the _id {}",
        truncate(&id, ID_CHARS)
    )
}

/// The `_id` as relaxed Extended JSON.
fn id_of(document: &[u8]) -> Option<String> {
    let length = raw::length_of(document).ok()?;
    let document = RawDocument::from_bytes(document.get(..length)?).ok()?;
    let id = bson::Bson::try_from(document.get("_id").ok()??).ok()?;
    Some(id.into_relaxed_extjson().to_string())
}

/// The first `chars` characters of a text, with an ellipsis if the text is longer.
pub(super) fn truncate(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
