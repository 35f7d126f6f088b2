//! Version 3 to 2: removes the fields of version 3, and refuses where a host of version 2 would
//! lose data.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements};

use crate::field::{flag, namespace, text};

const ADDED: [&[u8]; 2] = [b"begun", b"suspect"];

pub(crate) fn partition(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    if flag(document, "suspect")? == Some(true) {
        return Err(refused(&format!(
            "partition {} was copied by a host that lost its lease or a reply, so its documents \
             have to be compared before commit, which version 2 cannot do",
            text(document, "_id")
        )));
    }
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        if !ADDED.contains(&element.name) {
            writer.copy(&element);
        }
    }
    writer.finish();
    Ok(())
}

/// The refusal for an intent, whether pending or in flight.
pub(crate) fn intent(document: &[u8]) -> DocumentFailure {
    let what = text(document, "what");
    let source = namespace(document, "source");
    let state = match text(document, "state") {
        "pending" => "was begun and is not recorded as done",
        _ => "was begun by an earlier host and may still take effect on the destination",
    };
    refused(&format!(
        "{what} of {source} {state}, which version 2 cannot find out"
    ))
}

fn refused(reason: &str) -> DocumentFailure {
    DocumentFailure::Fatal(format!(
        "the sync cannot go back to metadata version 2: {reason}; go on with the release that \
         worked on it last, or a later one"
    ))
}
