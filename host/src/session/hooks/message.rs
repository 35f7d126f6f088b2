//! The body of an occurrence, as receivers get it.

use serde_json::{Value, json};

use crate::{
    metadata::{HookDocument, SessionDocument},
    observe,
};

/// The JSON of an occurrence. Invariant: no contents of documents, and no secrets.
pub(super) fn body(document: &HookDocument, session: &SessionDocument, instance: &str) -> Vec<u8> {
    let at = document
        .at
        .and_then(|time| time.try_to_rfc3339_string().ok());
    let details = bson::Bson::Document(document.details.clone()).into_relaxed_extjson();
    let body: Value = json!({
        "id": document.id,
        "event": document.event,
        "at": at,
        "syncId": session.sync_id(),
        "source": session.options.source,
        "destination": session.options.destination,
        "instance": instance,
        "release": observe::VERSION,
        "message": document.message,
        "details": details,
        // Chats show this field.
        "text": format!("tidegate {instance}: {}", document.message),
    });
    body.to_string().into_bytes()
}
