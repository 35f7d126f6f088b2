//! Version 3 to 4: ranges with inserts get the time from which they are read.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, find, kind};

use crate::field::{flag, missing, required_flag, wrong};

/// A partition. Hosts of version 3 read all ranges at or after the start time, and take `begun` back where they stop
/// cleanly or begin again: `lastId` or `suspect` then shows that the destination may have documents of the range.
pub(crate) fn partition(
    session: &[u8],
    document: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DocumentFailure> {
    let last = find(document, "lastId")?;
    let has_inserts = flag(document, "begun")? || flag(document, "suspect")? || last.is_some();
    let unseen = required_flag(document, "done")? || !has_inserts;
    if unseen || find(document, "begunAt")?.is_some() {
        out.extend_from_slice(document);
        return Ok(());
    }
    let start = find(session, "startTime")?.ok_or_else(|| missing("startTime"))?;
    if start.as_timestamp().is_none() {
        return Err(wrong(&start, "startTime", "timestamp"));
    }
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        if !element.is_named(b"begun") {
            writer.copy(&element);
        }
    }
    writer.boolean(b"begun", true);
    writer.value(kind::TIMESTAMP, b"begunAt", start.value);
    writer.finish();
    Ok(())
}
