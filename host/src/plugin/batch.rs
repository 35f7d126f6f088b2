//! Batches: consecutive raw documents, split into the portions of single calls.

use crate::model::raw;

use super::error::{Error, Result};

/// Most bytes of one call, unless a single document is larger. Fits the second-level cache, and stays below the sizes
/// for which copying gets slow.
const CALL_BYTES: usize = 120 << 10;

/// Consecutive documents as raw BSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
}

impl<'a> Batch<'a> {
    /// A batch of one document.
    pub(super) fn alone(document: &'a [u8]) -> Self {
        Self {
            bytes: document,
            count: 1,
        }
    }

    pub(super) fn documents(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        documents(self.bytes)
    }

    /// The first `count` documents, and the others.
    pub(super) fn split(self, count: usize) -> (Self, Self) {
        let none = Self {
            bytes: &[],
            count: 0,
        };
        if count >= self.count {
            return (self, none);
        }
        let bytes = self.documents().take(count).map(<[u8]>::len).sum();
        let (first, rest) = self
            .bytes
            .split_at_checked(bytes)
            .unwrap_or((self.bytes, &[]));
        let batch = |bytes, count| Batch { bytes, count };
        (batch(first, count), batch(rest, self.count - count))
    }

    /// Splits at a document: the documents before `index`, the document itself, and the documents after it.
    pub(super) fn around(&self, index: usize) -> (Self, &'a [u8], Self) {
        let before = self.documents().take(index).map(<[u8]>::len).sum();
        let (before, rest) = self
            .bytes
            .split_at_checked(before)
            .unwrap_or((self.bytes, &[]));
        let length = raw::length_of(rest).unwrap_or_default();
        let (document, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let batch = |bytes, count| Batch { bytes, count };
        (
            batch(before, index),
            document,
            batch(after, self.count.saturating_sub(index + 1)),
        )
    }
}

/// The documents of a batch. The bytes were validated by [`cut`].
pub(super) fn documents(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (document, rest) = bytes.split_at_checked(raw::length_of(bytes).ok()?)?;
        bytes = rest;
        Some(document)
    })
}

/// Splits bytes into batches, between documents.
pub(super) fn cut(mut bytes: &[u8]) -> impl Iterator<Item = Result<Batch<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (mut end, mut count) = (0, 0);
        while let Some(rest) = bytes.get(end..).filter(|rest| !rest.is_empty()) {
            let Ok(length) = raw::length_of(rest) else {
                bytes = &[];
                let reason = "a batch for the plugins is not BSON".to_owned();
                return Some(Err(Error::Internal(reason)));
            };
            if count > 0 && end + length > CALL_BYTES {
                break;
            }
            end += length;
            count += 1;
        }
        let (batch, rest) = bytes.split_at_checked(end)?;
        bytes = rest;
        Some(Ok(Batch {
            bytes: batch,
            count,
        }))
    })
}
