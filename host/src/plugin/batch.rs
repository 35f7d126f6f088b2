//! Documents one behind the other, cut into what one call is given.

use crate::model::raw;

use super::error::{Error, Result};

/// What one call is given at most, unless one document alone is larger. Within
/// the second-level cache, and below the sizes that are copied slowly.
const CALL_BYTES: usize = 120 << 10;

/// Some documents as raw BSON, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) count: usize,
}

impl<'a> Batch<'a> {
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

    /// The documents before and behind the one at `index`, and this one.
    pub(super) fn around(&self, index: usize) -> (Self, &'a [u8], Self) {
        let before = self.documents().take(index).map(<[u8]>::len).sum();
        let (before, rest) = self
            .bytes
            .split_at_checked(before)
            .unwrap_or((self.bytes, &[]));
        let length = raw::length_of(rest).unwrap_or_default();
        let (document, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let batch = |bytes, count| Batch { bytes, count };
        (
            batch(before, index),
            document,
            batch(behind, self.count.saturating_sub(index + 1)),
        )
    }
}

/// The documents of bytes that have been cut before.
pub(super) fn documents(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (document, rest) = bytes.split_at_checked(raw::length_of(bytes).ok()?)?;
        bytes = rest;
        Some(document)
    })
}

/// Cuts between documents.
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
