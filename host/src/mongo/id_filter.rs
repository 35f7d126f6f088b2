//! The filter of a `find` for given `_id`s, built from their bytes.

use bson::RawDocumentBuf;

use super::Error;
use crate::model::raw::{Writer, kind};

/// The fields of a `find` with a filter for the documents with these `_id`s (type and bytes), added to `head`.
///
/// # Errors
/// The bytes are no document.
pub fn with_id_filter<'a>(
    head: RawDocumentBuf,
    ids: impl IntoIterator<Item = (u8, &'a [u8])>,
) -> Result<RawDocumentBuf, Error> {
    let mut writer = Writer::continuing(head.into_bytes());
    let filter = writer.begin(kind::DOCUMENT, b"filter");
    let id = writer.begin(kind::DOCUMENT, b"_id");
    let array = writer.begin(kind::ARRAY, b"$in");
    let mut number = itoa::Buffer::new();
    for (at, (id_kind, id)) in ids.into_iter().enumerate() {
        writer.value(id_kind, number.format(at).as_bytes(), id);
    }
    writer.end(array);
    writer.end(id);
    writer.end(filter);
    Ok(RawDocumentBuf::from_bytes(writer.finish())?)
}
