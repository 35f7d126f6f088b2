//! Documents with empty timestamps, which the server would change. On an insert or a replacement, the server
//! sets a `Timestamp(0, 0)` in a top-level field to its time, except in `_id` (MongoDB manual, "BSON Types",
//! Timestamps). It keeps empty timestamps in the result of a pipeline.

use memchr::memmem;

use crate::model::raw::{Writer, elements, kind};

/// The zero at the end of a field's name, and the value of an empty timestamp.
const EMPTY: [u8; 9] = [0; 9];

/// True if the server stores `document` unchanged by an insert or a replacement.
pub fn is_preserved(document: &[u8]) -> bool {
    // The fast path for nearly all documents.
    memmem::find(document, &EMPTY).is_none() || !has_empty_timestamp(document)
}

fn has_empty_timestamp(document: &[u8]) -> bool {
    let is_empty_timestamp = |name: &[u8], kind: u8, value: &[u8]| {
        kind == kind::TIMESTAMP && name != b"_id" && value.iter().all(|byte| *byte == 0)
    };
    elements(document)
        .into_iter()
        .flatten()
        .flatten()
        .any(|element| is_empty_timestamp(element.name, element.kind, element.value))
}

/// Writes the `u` of an update statement whose result is `document`, byte for byte.
pub(super) fn write_pipeline(writer: &mut Writer, document: &[u8]) {
    let pipeline = writer.begin(kind::ARRAY, b"u");
    let stage = writer.begin(kind::DOCUMENT, b"0");
    let replacement = writer.begin(kind::DOCUMENT, b"$replaceWith");
    writer.value(kind::DOCUMENT, b"$literal", document);
    for mark in [replacement, stage, pipeline] {
        writer.end(mark);
    }
}

/// Writes an update statement that inserts `document`. The query matches no document, so an existing `_id`
/// is refused as a duplicate.
pub(super) fn write_insertion(writer: &mut Writer, id_kind: u8, id: &[u8], document: &[u8]) {
    let query = writer.begin(kind::DOCUMENT, b"q");
    writer.value(id_kind, b"_id", id);
    let nor = writer.begin(kind::ARRAY, b"$nor");
    let anything = writer.begin(kind::DOCUMENT, b"0");
    for mark in [anything, nor, query] {
        writer.end(mark);
    }
    write_pipeline(writer, document);
    writer.value(kind::BOOLEAN, b"upsert", &[1]);
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, doc};

    use super::*;

    const EMPTY: Timestamp = Timestamp {
        time: 0,
        increment: 0,
    };

    #[test]
    fn only_empty_timestamps_at_the_top_are_changed() {
        let kept = [
            doc! { "_id": EMPTY, "a": 0_i64, "b": 0.0 },
            doc! { "_id": 1, "a": { "b": EMPTY }, "c": [EMPTY] },
            doc! { "_id": 1, "a": Timestamp { time: 0, increment: 1 } },
        ];
        for document in kept {
            assert!(is_preserved(&document.to_vec().unwrap()), "{document}");
        }
        let changed = doc! { "_id": 1, "a": "x", "b": EMPTY, "c": 2 };
        assert!(!is_preserved(&changed.to_vec().unwrap()));
    }
}
