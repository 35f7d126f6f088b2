//! The match of a range of two clusters by keys, where the host does not know the order of the `_id`s: under a
//! collation, which only the server has.
//!
//! Memory: the keys and digests of at most [`AHEAD`] documents of each side that wait for their counterpart. Beyond it,
//! the oldest key is given up. So a key that is returned need not differ, and the caller looks at its documents again;
//! a key that is not returned does not differ.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use super::merge::Side;
use crate::model::{
    document_key::{DocumentKey, OwnedDocumentKey},
    raw::{Malformed, find},
};

/// Documents of one side that wait at most.
const AHEAD: usize = 50_000;

/// The type and the bytes of an `_id`.
pub(crate) type OwnedKey = (u8, Box<[u8]>);

/// The match of a range.
#[derive(Default)]
pub(crate) struct RangeMatch {
    source: WaitingDocuments,
    destination: WaitingDocuments,
    /// Keys that may differ.
    differing: Vec<OwnedKey>,
}

/// The documents of one side without a counterpart yet.
#[derive(Default)]
struct WaitingDocuments {
    documents: HashMap<OwnedDocumentKey, WaitingDocument>,
    /// In the order of arrival, with those that have found their counterpart.
    order: VecDeque<OwnedDocumentKey>,
}

struct WaitingDocument {
    key: OwnedKey,
    digest: [u8; 32],
}

impl RangeMatch {
    /// Adds a document of one side.
    ///
    /// # Errors
    /// `Malformed` for a document without an `_id`.
    pub(crate) fn push(&mut self, side: Side, document: &[u8]) -> Result<(), Malformed> {
        let id = find(document, "_id")?.ok_or(Malformed)?;
        let key = DocumentKey::new(id.kind, id.value).into_owned();
        let digest: [u8; 32] = Sha256::digest(document).into();
        let (own, other) = match side {
            Side::Source => (&mut self.source, &mut self.destination),
            Side::Destination => (&mut self.destination, &mut self.source),
        };
        match other.documents.remove(&key) {
            Some(found) if found.digest == digest => {}
            Some(found) => self.differing.push(found.key),
            None => {
                let raw = (id.kind, Box::from(id.value));
                let given_up = own.put(key, WaitingDocument { key: raw, digest });
                self.differing.extend(given_up.into_iter().flatten());
            }
        }
        Ok(())
    }

    /// The keys that may differ, of those that were added so far.
    pub(crate) fn take(&mut self) -> Vec<OwnedKey> {
        std::mem::take(&mut self.differing)
    }

    /// The side that is to be read next, so that neither waits for long.
    pub(crate) fn shorter(&self) -> Side {
        match self.source.documents.len() <= self.destination.documents.len() {
            true => Side::Source,
            false => Side::Destination,
        }
    }

    /// All other keys that may differ, at the end of both sides.
    pub(crate) fn finish(self) -> Vec<OwnedKey> {
        let waiting = self.source.documents.into_values();
        let waiting = waiting.chain(self.destination.documents.into_values());
        self.differing
            .into_iter()
            .chain(waiting.map(|waiting| waiting.key))
            .collect()
    }
}

impl WaitingDocuments {
    /// Adds a document. Returns its twin with an equal key, and the key that is given up for it.
    fn put(&mut self, key: OwnedDocumentKey, document: WaitingDocument) -> [Option<OwnedKey>; 2] {
        self.order.push_back(key.clone());
        let twin = self.documents.insert(key, document);
        let oldest = (self.order.len() > AHEAD)
            .then(|| self.order.pop_front())
            .flatten();
        // A document that has found its counterpart is gone from the map.
        let given_up = oldest.and_then(|oldest| self.documents.remove(&oldest));
        [twin, given_up].map(|document| document.map(|document| document.key))
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn document(id: &str, value: i32) -> Vec<u8> {
        doc! { "_id": id, "v": value }.to_vec().unwrap()
    }

    #[test]
    fn only_documents_that_differ_are_returned() {
        let mut range = RangeMatch::default();
        for (side, id, value) in [
            (Side::Source, "a", 1),
            (Side::Source, "b", 1),
            (Side::Destination, "b", 2),
            (Side::Destination, "a", 1),
            (Side::Destination, "c", 1),
        ] {
            range.push(side, &document(id, value)).unwrap();
        }
        assert_eq!((range.take().len(), range.shorter()), (1, Side::Source));
        range.push(Side::Source, &document("d", 1)).unwrap();
        assert_eq!(range.finish().len(), 2);
    }

    #[test]
    fn memory_is_bounded_and_keys_beyond_it_are_returned() {
        let mut range = RangeMatch::default();
        let ids: Vec<String> = (0..AHEAD + 10).map(|n| n.to_string()).collect();
        for id in &ids {
            range.push(Side::Source, &document(id, 1)).unwrap();
        }
        assert_eq!(range.take().len(), 10);
        for id in &ids {
            range.push(Side::Destination, &document(id, 1)).unwrap();
        }
        assert_eq!(range.finish().len(), 10);
    }
}
