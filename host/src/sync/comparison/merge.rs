//! The merge of a range of two clusters, whose documents come in batches in the order of their `_id`s.
//!
//! Memory: one batch of each side, as it was read where no plugin sees it. The order is the server's under the simple
//! collation ([`crate::model::key_order`]); a collection with another collation needs another comparison.

use std::{cmp::Ordering, ops::Range};

use crate::{
    model::{
        key_order,
        raw::{Malformed, find, range_in},
    },
    mongo::{self, RawReply},
};

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// A document, or two documents with an equal `_id`. The bytes of equal `_id`s can differ, as those of `5` and `5.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeStep<'a> {
    /// Both clusters have this document, byte for byte.
    Equal(&'a [u8]),
    /// Both clusters have a document with this `_id`, with other bytes: the source's, and the destination's.
    Different(&'a [u8], &'a [u8]),
    /// Only the source has the document.
    OnlySource(&'a [u8]),
    /// Only the destination has the document.
    OnlyDestination(&'a [u8]),
}

/// The merge of a range. It is fed with batches, and gives the steps that are certain.
#[derive(Default)]
pub(crate) struct RangeMerge {
    source: SortedDocuments,
    destination: SortedDocuments,
}

/// The documents of one side that are not compared yet.
#[derive(Default)]
struct SortedDocuments {
    bytes: Bytes,
    places: Vec<DocumentPlace>,
    /// Position in `places`.
    next: usize,
    has_ended: bool,
}

/// The memory of documents.
enum Bytes {
    Copied(Vec<u8>),
    Read(RawReply),
}

#[derive(Clone, Debug)]
struct DocumentPlace {
    document: Range<usize>,
    id_kind: u8,
    id: Range<usize>,
}

impl RangeMerge {
    /// Adds documents of one side, in order, after those that were added before.
    ///
    /// # Errors
    /// `Malformed` for a document without an `_id`.
    pub(crate) fn push<'a>(
        &mut self,
        side: Side,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), Malformed> {
        let documents = documents.into_iter();
        let to = self.side(side);
        to.forget_compared();
        for document in documents {
            to.push(document)?;
        }
        Ok(())
    }

    /// Adds a batch of one side as it was read, after those that were added before. It is not copied, unless documents of that
    /// side are left.
    ///
    /// # Errors
    /// The reply has no batch, or a document without an `_id`.
    pub(crate) fn push_reply(&mut self, side: Side, reply: RawReply) -> Result<(), mongo::Error> {
        if self.side(side).head().is_some() {
            let documents = reply.documents()?.collect::<Result<Vec<_>, _>>()?;
            return Ok(self.push(side, documents)?);
        }
        let mut places = Vec::new();
        for document in reply.documents()? {
            let document = document?;
            let at = range_in(reply.bytes(), document).start;
            places.push(DocumentPlace::of(document, at)?);
        }
        let side = self.side(side);
        (side.bytes, side.places, side.next) = (Bytes::Read(reply), places, 0);
        Ok(())
    }

    /// Notes that one side has no more documents.
    pub(crate) fn end(&mut self, side: Side) {
        self.side(side).has_ended = true;
    }

    /// The side whose next batch the merge needs; `None` at the end of both sides.
    pub(crate) fn wants(&self) -> Option<Side> {
        let needs = |side: &SortedDocuments| side.head().is_none() && !side.has_ended;
        if needs(&self.source) {
            Some(Side::Source)
        } else if needs(&self.destination) {
            Some(Side::Destination)
        } else {
            None
        }
    }

    /// The next step; `None` where a side needs its next batch ([`Self::wants`]), and at the end.
    ///
    /// # Errors
    /// `Malformed` for an `_id` that no server stores.
    pub(crate) fn next(&mut self) -> Result<Option<MergeStep<'_>>, Malformed> {
        if self.wants().is_some() {
            return Ok(None);
        }
        let order = match (self.source.head(), self.destination.head()) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => {
                let (one, other) = (self.source.id(one), self.destination.id(other));
                match one == other {
                    true => Ordering::Equal,
                    false => key_order::compare(one, other).ok_or(Malformed)?,
                }
            }
        };
        Ok(Some(match order {
            Ordering::Less => MergeStep::OnlySource(self.source.take()),
            Ordering::Greater => MergeStep::OnlyDestination(self.destination.take()),
            Ordering::Equal => {
                let (one, other) = (self.source.take(), self.destination.take());
                if one == other {
                    MergeStep::Equal(one)
                } else {
                    MergeStep::Different(one, other)
                }
            }
        }))
    }

    /// The greatest `_id` of the steps since the last call of [`Self::push`]; `None` if there was none.
    pub(crate) fn last_id(&self) -> Option<key_order::RawKey<'_>> {
        match (self.source.last_id(), self.destination.last_id()) {
            (Some(one), Some(other)) => match key_order::compare(one, other) {
                Some(Ordering::Less) => Some(other),
                _ => Some(one),
            },
            (one, other) => one.or(other),
        }
    }

    fn side(&mut self, side: Side) -> &mut SortedDocuments {
        match side {
            Side::Source => &mut self.source,
            Side::Destination => &mut self.destination,
        }
    }
}

impl DocumentPlace {
    /// The place of `document`, which begins at `at`.
    fn of(document: &[u8], at: usize) -> Result<Self, Malformed> {
        let id = find(document, "_id")?.ok_or(Malformed)?;
        let within = range_in(document, id.value);
        Ok(Self {
            document: at..at + document.len(),
            id_kind: id.kind,
            id: at + within.start..at + within.end,
        })
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Copied(Vec::new())
    }
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Read(reply) => reply.bytes(),
        }
    }
}

impl SortedDocuments {
    fn push(&mut self, document: &[u8]) -> Result<(), Malformed> {
        if let Bytes::Read(reply) = &self.bytes {
            self.bytes = Bytes::Copied(reply.bytes().to_vec());
        }
        if let Bytes::Copied(bytes) = &mut self.bytes {
            self.places.push(DocumentPlace::of(document, bytes.len())?);
            bytes.extend_from_slice(document);
        }
        Ok(())
    }

    /// Gives the memory of compared documents back.
    fn forget_compared(&mut self) {
        if self.next == 0 {
            return;
        }
        let left = self.places.get(self.next).map(|place| place.document.start);
        match (&mut self.bytes, left) {
            (bytes, None) => {
                *bytes = Bytes::default();
                self.places.clear();
            }
            // Kept until its last document is compared.
            (Bytes::Read(_), Some(_)) => return,
            (Bytes::Copied(bytes), Some(from)) => {
                bytes.drain(..from);
                self.places.drain(..self.next);
                for place in &mut self.places {
                    for range in [&mut place.document, &mut place.id] {
                        *range = range.start - from..range.end - from;
                    }
                }
            }
        }
        self.next = 0;
    }

    fn head(&self) -> Option<&DocumentPlace> {
        self.places.get(self.next)
    }

    fn id(&self, place: &DocumentPlace) -> key_order::RawKey<'_> {
        let id = self.bytes.all().get(place.id.clone());
        (place.id_kind, id.unwrap_or_default())
    }

    /// The last document that was taken, unless its memory was given back.
    fn last_id(&self) -> Option<key_order::RawKey<'_>> {
        let last = self.places.get(self.next.checked_sub(1)?)?;
        Some(self.id(last))
    }

    /// The next document, which is compared now.
    fn take(&mut self) -> &[u8] {
        let place = self.places.get(self.next);
        let document = place.and_then(|place| self.bytes.all().get(place.document.clone()));
        self.next += 1;
        document.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::*;

    fn document(id: impl Into<Bson>, value: i32) -> Vec<u8> {
        doc! { "_id": id, "v": value }.to_vec().unwrap()
    }

    /// The steps of two sides that arrive in batches of these sizes, as "=", "!", "<" and ">".
    fn merged(source: &[Vec<u8>], destination: &[Vec<u8>], sizes: (usize, usize)) -> String {
        let mut merge = RangeMerge::default();
        let (mut ours, mut theirs) = (source.chunks(sizes.0), destination.chunks(sizes.1));
        let mut found = String::new();
        loop {
            while let Some(step) = merge.next().unwrap() {
                found.push(match step {
                    MergeStep::Equal(_) => '=',
                    MergeStep::Different(..) => '!',
                    MergeStep::OnlySource(_) => '<',
                    MergeStep::OnlyDestination(_) => '>',
                });
            }
            let Some(side) = merge.wants() else {
                return found;
            };
            let batch = match side {
                Side::Source => ours.next(),
                Side::Destination => theirs.next(),
            };
            match batch {
                Some(batch) => merge.push(side, batch.iter().map(Vec::as_slice)).unwrap(),
                None => merge.end(side),
            }
        }
    }

    #[test]
    fn steps_do_not_depend_on_batches() {
        let source = [
            document(1, 1),
            document(2, 1),
            document(4, 1),
            document("a", 1),
        ];
        let destination = [
            document(1, 1),
            document(2, 2),
            document(3, 1),
            document(4.0, 1),
        ];
        for sizes in [(1, 1), (1, 3), (3, 1), (9, 9)] {
            assert_eq!(merged(&source, &destination, sizes), "=!>!<");
        }
        assert_eq!(merged(&source, &[], (2, 2)), "<<<<");
        assert_eq!(merged(&[], &destination, (2, 2)), ">>>>");
        assert_eq!(merged(&[], &[], (1, 1)), "");
    }

    #[test]
    fn a_document_without_an_id_is_refused() {
        let mut merge = RangeMerge::default();
        let nameless = doc! { "a": 1 }.to_vec().unwrap();
        assert_eq!(
            merge.push(Side::Source, [nameless.as_slice()]),
            Err(Malformed)
        );
    }
}
