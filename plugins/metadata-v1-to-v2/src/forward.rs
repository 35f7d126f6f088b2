//! Version 1 to 2: only adds fields.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, find, kind};

use crate::field::{array, check_version, long, optional, required, text};
use crate::pinned;

/// Lists that version 2 adds to the session.
const LISTS: [&str; 3] = ["features", "upgrades", "swaps"];

/// Adds a term to a document other than the session.
pub(crate) fn other(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let mut writer = DocumentWriter::append_to(out);
    writer.splice(document);
    term(document, &mut writer)?;
    writer.finish();
    Ok(())
}

/// Converts the session: missing fields are appended, in a fixed order.
pub(crate) fn session(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    check_version(document)?;
    let written_by = required(document, "writtenBy", &text())?;
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        if element.is_named(b"pinned") {
            pinned::forward(array().of(&element, "pinned")?, &mut writer)?;
        } else {
            writer.copy(&element);
        }
    }
    if optional(document, "begunBy", &text())?.is_none() {
        writer.string(b"begunBy", written_by);
    }
    // After the lists, so that the step back recognizes a list added here.
    for name in LISTS.iter().chain(&["pinned"]) {
        if optional(document, name, &array())?.is_none() {
            let mark = writer.begin(kind::ARRAY, name.as_bytes());
            writer.end(mark);
        }
    }
    term(document, &mut writer)?;
    writer.finish();
    Ok(())
}

/// The first term of a lease is 1, so 0 marks a writer without a lease.
fn term(document: &[u8], writer: &mut DocumentWriter<'_>) -> Result<(), DocumentFailure> {
    match find(document, "term")? {
        Some(term) => long().of(&term, "term").map(|_| ()),
        None => {
            writer.value(kind::INT64, b"term", &0_i64.to_le_bytes());
            Ok(())
        }
    }
}
