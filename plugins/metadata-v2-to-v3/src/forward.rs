//! Version 2 to 3: only adds fields.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, find, kind};

use crate::field::flag;

/// A partition. Version 2 does not persist whether a partition is in progress, so each partition that is not
/// done counts as begun.
pub(crate) fn partition(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let done = flag(document, "done")?.ok_or_else(|| {
        DocumentFailure::Document("it has no done, which every host writes".to_owned())
    })?;
    let mut writer = DocumentWriter::append_to(out);
    writer.splice(document);
    if !done && find(document, "begun")?.is_none() {
        writer.value(kind::BOOLEAN, b"begun", &[1]);
    }
    writer.finish();
    Ok(())
}
