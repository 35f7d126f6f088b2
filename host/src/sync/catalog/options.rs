//! The options of a collection: which of them are data, and what they say of its documents.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::{
    mongo::{self, listing},
    sync::Error,
};

/// True if an option of a collection or an index is there and true.
pub(crate) fn is_on(options: &RawDocument, option: &str) -> bool {
    matches!(options.get(option), Ok(Some(RawBsonRef::Boolean(true))))
}

/// True if a collection's options make it a capped one: its natural order is data.
pub(crate) fn is_capped(options: &RawDocument) -> bool {
    is_on(options, "capped")
}

/// True for a collection that is stored by its `_id`, without an index of it. Server 6.0.5 answers
/// a duplicate `_id` there with any of several errors when it fails to print the key, so no code
/// tells a duplicate from another refusal: writing the document as a replacement does.
pub(crate) fn is_clustered(options: &RawDocument) -> bool {
    matches!(options.get("clusteredIndex"), Ok(Some(_)))
}

/// True for a collection that the server drops when it starts, and that `$out` and its like rename when it is full.
pub(crate) fn is_temporary(options: &RawDocument) -> bool {
    is_on(options, "temp")
}

/// The collation that an index has which names none; `None` for the simple one.
fn collation(options: &RawDocument) -> Option<&RawDocument> {
    let collation = listing::subdocument(options, "collation")?;
    (collation.get_str("locale").ok() != Some("simple")).then_some(collation)
}

/// True if strings in `_id`s are compared under a collation.
pub(crate) fn is_collated(options: &RawDocument) -> bool {
    collation(options).is_some()
}

/// The options in a `listCollections` entry, or in a create event's description, that are data; among them
/// the index of `_id` where it is of an old version.
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
