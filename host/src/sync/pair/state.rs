//! The progress of a verification that a later run goes on from.
//!
//! Invariant: a partition is done only when every difference that was seen in it is settled, and its lines are in the
//! report. A partition that is not done is compared again, and has no lines.

use bson::RawDocumentBuf;
use serde::{Deserialize, Serialize};

/// The progress of a verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairState {
    /// The collections that were begun.
    pub collections: Vec<CollectionState>,
}

/// The progress of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionState {
    /// The UUIDs on source and destination, in hex.
    pub id: String,
    /// The bounds between its partitions: each the bytes of `{_id: value}` in hex.
    pub bounds: Vec<String>,
    /// Positions of the partitions that are done.
    pub done: Vec<usize>,
    /// Documents of these partitions.
    pub documents: u64,
    /// Bytes of these documents.
    pub bytes: u64,
    /// Settled differences in these partitions.
    pub mismatches: u64,
    /// Documents in these partitions that a plugin cannot handle.
    pub quarantined: u64,
}

impl PairState {
    /// Whether a later run can go on from it: every bound is one, and every partition exists.
    pub fn is_valid(&self) -> bool {
        self.collections.iter().all(|collection| {
            let bounds = &collection.bounds;
            bounds.iter().all(|bound| bound_of(bound).is_some())
                && collection.done.iter().all(|number| *number <= bounds.len())
        })
    }
}

/// A bound as text.
pub(super) fn bound_text(bound: &RawDocumentBuf) -> String {
    bound
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bound of a text; `None` for a text that is none.
pub(super) fn bound_of(text: &str) -> Option<RawDocumentBuf> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    RawDocumentBuf::from_bytes(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn a_bound_survives_its_text() {
        let bound = rawdoc! { "_id": { "a": [1, "x", bson::RawBson::MinKey] } };
        assert_eq!(bound_of(&bound_text(&bound)), Some(bound));
        assert_eq!((bound_of("zz"), bound_of("0500")), (None, None));
        let state = |bound: &str, number| PairState {
            collections: vec![CollectionState {
                id: "a:b".to_owned(),
                bounds: vec![bound.to_owned()],
                done: vec![number],
                documents: 0,
                bytes: 0,
                mismatches: 0,
                quarantined: 0,
            }],
        };
        let text = bound_text(&rawdoc! { "_id": 1 });
        assert!(state(&text, 1).is_valid() && !state(&text, 2).is_valid());
        assert!(!state("zz", 0).is_valid());
    }
}
