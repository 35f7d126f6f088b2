//! The options of a collection: the options that are data, and their meaning for its documents.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::{
    mongo::{self, listing},
    sync::Error,
};

/// Whether a boolean option of a collection or an index is set to true.
pub(crate) fn is_on(options: &RawDocument, option: &str) -> bool {
    matches!(options.get(option), Ok(Some(RawBsonRef::Boolean(true))))
}

/// Whether a collection is capped. Its natural order is data.
pub(crate) fn is_capped(options: &RawDocument) -> bool {
    is_on(options, "capped")
}

/// Whether a collection is stored by its `_id`, without a separate index.
///
/// Server 6.0.5 answers a duplicate `_id` in such a collection with any of several errors when it
/// cannot print the key. No code tells a duplicate from another refusal, so the document is written
/// as a replacement.
pub(crate) fn is_clustered(options: &RawDocument) -> bool {
    matches!(options.get("clusteredIndex"), Ok(Some(_)))
}

/// Whether the server drops a collection at its next start. `$out` and `mapReduce` fill such a
/// collection and rename it afterwards.
pub(crate) fn is_temporary(options: &RawDocument) -> bool {
    is_on(options, "temp")
}

/// The collation of indexes that specify none; `None` for the simple collation.
pub(crate) fn collation(options: &RawDocument) -> Option<&RawDocument> {
    let collation = listing::subdocument(options, "collation")?;
    (collation.get_str("locale").ok() != Some("simple")).then_some(collation)
}

/// Whether strings in `_id`s are compared under a collation.
pub(crate) fn is_collated(options: &RawDocument) -> bool {
    collation(options).is_some()
}

/// The options that are data, from a `listCollections` entry or the description of a create event,
/// with the `_id` index if it has an old version.
pub(crate) fn of_listing(
    options: &RawDocument,
    id_index: Option<&RawDocument>,
) -> Result<RawDocumentBuf, Error> {
    let mut kept = RawDocumentBuf::new();
    for option in options {
        let (key, value) = option.map_err(mongo::Error::Bson)?;
        if key != "idIndex" {
            kept.append(key, value);
        }
    }
    if let Some(index) = id_index.filter(|index| index.get_i32("v").is_ok_and(|v| v < 2)) {
        kept.append(bson::cstr!("idIndex"), index);
    }
    Ok(kept)
}
