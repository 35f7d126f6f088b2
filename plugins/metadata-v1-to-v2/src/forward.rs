//! Version 1 to 2: only ever adds.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, find, kind};

use crate::field::{array, check_version, long, optional, required, text};
use crate::pinned;

/// What a sync has more, and none of version 1 had.
const LISTS: [&str; 3] = ["features", "upgrades", "swaps"];

/// Any document but the session: gets a term.
pub(crate) fn other(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let mut writer = DocumentWriter::append_to(out);
    writer.splice(document);
    term(document, &mut writer)?;
    writer.finish();
    Ok(())
}

/// The session: all that it lacks goes behind what it has, in one order.
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
    // Behind the lists: by this the way back knows a list of its own making.
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

/// The lease's first term is 1, so 0 says that no holder of a lease wrote this.
fn term(document: &[u8], writer: &mut DocumentWriter<'_>) -> Result<(), DocumentFailure> {
    match find(document, "term")? {
        Some(term) => long().of(&term, "term").map(|_| ()),
        None => {
            writer.value(kind::INT64, b"term", &0_i64.to_le_bytes());
            Ok(())
        }
    }
}
