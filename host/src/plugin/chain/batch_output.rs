//! The outcomes of a batch, in the order of its documents. Nothing is stored while all documents are kept, and
//! replacements stay in the buffers of the guests.

use std::ops::Range;

use super::super::batch::documents;
use super::fault::Fault;
use super::metrics::Tally;

/// The output of the chain for a batch.
#[derive(Clone, Debug, Default)]
pub struct BatchOutput {
    count: usize,
    /// Empty while all documents are kept; otherwise a verdict for each document.
    verdicts: Vec<Verdict>,
    /// The replacements, as the guests returned them.
    buffers: Vec<Vec<u8>>,
}

/// The outcome of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Written unchanged.
    Keep,
    /// Not written; removed from the destination if it is there.
    Drop,
    /// Written as this document.
    Replaced(&'a [u8]),
    /// Not written, and recorded in the quarantine.
    Quarantined(&'a Fault),
}

/// An [`Outcome`] with the span of its replacement.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Keep,
    Drop,
    Replaced(Span),
    Quarantined(Box<Fault>),
}

/// The place of a replacement.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) buffer: usize,
    pub(super) range: Range<usize>,
}

impl BatchOutput {
    /// The number of documents.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the batch has no documents.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every document is kept, so that the batch can be written as it is.
    pub fn is_unchanged(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// The outcome of each document, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome<'_>> {
        let unchanged = if self.is_unchanged() { self.count } else { 0 };
        std::iter::repeat_n(Outcome::Keep, unchanged)
            .chain(self.verdicts.iter().map(|verdict| self.outcome(verdict)))
    }

    fn outcome<'a>(&'a self, verdict: &'a Verdict) -> Outcome<'a> {
        match verdict {
            Verdict::Keep => Outcome::Keep,
            Verdict::Drop => Outcome::Drop,
            Verdict::Replaced(place) => Outcome::Replaced(
                self.buffers
                    .get(place.buffer)
                    .and_then(|buffer| buffer.get(place.range.clone()))
                    .unwrap_or_default(),
            ),
            Verdict::Quarantined(fault) => Outcome::Quarantined(fault),
        }
    }

    /// Bytes of the replacements.
    pub(super) fn bytes(&self) -> usize {
        self.buffers.iter().map(Vec::len).sum()
    }

    pub(super) fn kept(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// An output with a verdict for each document, and replacements in one buffer.
    pub(super) fn of(verdicts: Vec<Verdict>, buffer: Vec<u8>) -> Self {
        Self {
            count: verdicts.len(),
            verdicts,
            buffers: vec![buffer],
        }
    }

    pub(super) fn push(&mut self, verdict: Verdict) {
        self.write_out();
        self.verdicts.push(verdict);
        self.count += 1;
    }

    /// Appends the output for the next documents.
    pub(super) fn append(&mut self, mut next: Self) {
        if self.count == 0 {
            *self = next;
        } else if next.is_unchanged() && self.is_unchanged() {
            self.count += next.count;
        } else {
            self.write_out();
            next.write_out();
            next.move_buffers(self.buffers.len());
            self.count += next.count;
            self.verdicts.append(&mut next.verdicts);
            self.buffers.append(&mut next.buffers);
        }
    }

    /// The input of the next stage, and the position of each of its documents in `before`.
    pub(super) fn live(&self, before: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::with_capacity(before.len());
        let mut positions = Vec::with_capacity(self.count);
        for (position, (document, outcome)) in documents(before).zip(self.outcomes()).enumerate() {
            match outcome {
                Outcome::Keep => bytes.extend_from_slice(document),
                Outcome::Replaced(replacement) => bytes.extend_from_slice(replacement),
                Outcome::Drop | Outcome::Quarantined(_) => continue,
            }
            positions.push(position);
        }
        (bytes, positions)
    }

    /// Overlays the output of the next stage, for the documents at `positions`.
    pub(super) fn overlay(&mut self, positions: &[usize], mut later: Self) {
        if later.is_unchanged() {
            return;
        }
        self.write_out();
        later.move_buffers(self.buffers.len());
        self.buffers.append(&mut later.buffers);
        for (position, verdict) in positions.iter().zip(later.verdicts) {
            match (verdict, self.verdicts.get_mut(*position)) {
                (Verdict::Keep, _) | (_, None) => {}
                (verdict, Some(earlier)) => *earlier = verdict,
            }
        }
    }

    pub(super) fn tally(&self, before: &[u8]) -> Tally {
        let mut tally = Tally {
            bytes_in: before.len(),
            ..Tally::default()
        };
        if self.is_unchanged() {
            tally.kept = self.count;
            tally.bytes_out = before.len();
            return tally;
        }
        for (document, outcome) in documents(before).zip(self.outcomes()) {
            match outcome {
                Outcome::Keep => {
                    tally.kept += 1;
                    tally.bytes_out += document.len();
                }
                Outcome::Replaced(replacement) => {
                    tally.replaced += 1;
                    tally.bytes_out += replacement.len();
                }
                Outcome::Drop => tally.dropped += 1,
                Outcome::Quarantined(_) => tally.quarantined += 1,
            }
        }
        tally
    }

    fn write_out(&mut self) {
        if self.is_unchanged() {
            self.verdicts.resize_with(self.count, || Verdict::Keep);
        }
    }

    fn move_buffers(&mut self, by: usize) {
        for verdict in &mut self.verdicts {
            if let Verdict::Replaced(place) = verdict {
                place.buffer += by;
            }
        }
    }
}
