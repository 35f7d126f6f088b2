//! Indexes that refuse a document.
//!
//! A copied or looked-up document can be newer than the applied events. An index that a later event
//! drops may refuse it. An index that can be the cause is dropped, and built again when commit
//! restores the collection, from documents of a single time.

use bson::{RawBsonRef, RawDocument, rawdoc};

use crate::{
    mongo::{Destination, code, write::CollectionRef},
    sync::{
        Error,
        catalog::{destination, indexes},
    },
};

/// The index that can have caused a refusal, as its code tells. No message names the index
/// reliably.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// An index with a key of this type.
    KeyType(&'static str),
    /// An index on more than one field.
    Compound,
    /// An index on a path with a number in it.
    NumberInPath,
}

impl Cause {
    /// Codes of mongod 6.0.5, each observed with a document that an index refused.
    fn of(code: i32) -> Option<Self> {
        Some(match code {
            code::GEO_2DSPHERE_KEYS_NOT_EXTRACTED => Self::KeyType("2dsphere"),
            code::GEO_2D_NOT_A_POINT
            | code::GEO_2D_OUT_OF_BOUNDS
            | code::GEO_2D_SINGLE_COORDINATE
            | code::GEO_2D_MALFORMED => Self::KeyType("2d"),
            code::HASHED_ARRAY => Self::KeyType("hashed"),
            code::CANNOT_BUILD_INDEX_KEYS
            | code::TEXT_LANGUAGE_NOT_A_STRING
            | code::TEXT_LANGUAGE_NOT_SUPPORTED => Self::KeyType("text"),
            code::CANNOT_INDEX_PARALLEL_ARRAYS => Self::Compound,
            code::AMBIGUOUS_PATH => Self::NumberInPath,
            _ => return None,
        })
    }

    fn can_be(self, index: &RawDocument) -> bool {
        let Ok(key) = index.get_document("key") else {
            return false;
        };
        let mut fields = key.into_iter().flatten();
        match self {
            Self::KeyType(wanted) => {
                fields.any(|(_, value)| matches!(value, RawBsonRef::String(is) if is == wanted))
            }
            Self::Compound => fields.count() > 1,
            Self::NumberInPath => fields.any(|(name, _)| {
                let parts = name.as_str().split('.').skip(1);
                parts
                    .into_iter()
                    .any(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            }),
        }
    }
}

/// Whether the code stands for a refusal by an index.
pub(crate) fn is_index_refusal(code: i32) -> bool {
    Cause::of(code).is_some()
}

/// How often a refused statement is sent again if no index is found. Another applier may have
/// dropped the index.
const AGAIN: usize = 3;

/// Drops an index that can have refused a statement with this code. Returns whether to send the
/// statement again: not if the code is no refusal by an index, or if `attempts` attempts have found
/// no index.
pub(crate) async fn drop_refusing_index(
    destination: &Destination,
    collection: &CollectionRef,
    code: i32,
    attempts: usize,
) -> Result<bool, Error> {
    let Some(cause) = Cause::of(code) else {
        return Ok(false);
    };
    let name = &collection.namespace;
    let database = destination.database(&name.database);
    let existing = indexes::secondary_indexes(database.reads(), &name.collection).await?;
    let Some(index) = existing.iter().find(|index| cause.can_be(index)) else {
        return Ok(attempts < AGAIN);
    };
    let index = index.get_str("name").unwrap_or_default();
    tracing::info!(namespace = %name, index, code, "dropping an index that refuses a newer document; commit builds it again");
    let command = rawdoc! { "dropIndexes": name.collection.as_str(), "index": index };
    match destination::run_on(&database, collection, command).await {
        // Dropped by another applier.
        Err(Error::Mongo(error)) if error.has_code(code::INDEX_NOT_FOUND) => Ok(true),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use bson::RawDocumentBuf;

    use super::*;

    #[test]
    fn only_indexes_that_can_be_the_cause_give_way() {
        let index = |key: RawDocumentBuf| rawdoc! { "key": key, "name": "i" };
        let sphere = index(rawdoc! { "a": 1, "g": "2dsphere" });
        let plain = index(rawdoc! { "a.0": 1 });
        let by = |code, index| Cause::of(code).is_some_and(|cause| cause.can_be(index));
        assert!(
            by(16755, &sphere) && by(171, &sphere) && !by(16746, &sphere) && !by(16766, &sphere)
        );
        assert!(by(16746, &plain) && !by(171, &plain) && !by(11000, &plain));
    }
}
