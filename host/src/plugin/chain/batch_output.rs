//! What became of documents, in their order. Nothing is stored as long as all are
//! kept, and no document is ever copied on its own.

use std::ops::Range;

use super::super::batch::documents;
use super::fault::Fault;
use super::metrics::Tally;

/// What the chain made of the documents of one batch.
#[derive(Debug, Default)]
pub struct BatchOutput {
    count: usize,
    /// Empty as long as all are kept; one for each document from then on.
    verdicts: Vec<Verdict>,
    /// What the guests gave, as they gave it.
    buffers: Vec<Vec<u8>>,
}

/// What became of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Written as it came.
    Keep,
    /// Not on the destination.
    Drop,
    /// Written in this form.
    Replaced(&'a [u8]),
    /// Put aside.
    Quarantined(&'a Fault),
}

#[derive(Debug)]
pub(super) enum Verdict {
    Keep,
    Drop,
    Replaced(Span),
    Quarantined(Box<Fault>),
}

/// Where a replacement lies.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) buffer: usize,
    pub(super) range: Range<usize>,
}

impl BatchOutput {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if every document is kept: the batch can be written as it is.
    pub fn is_unchanged(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// One for each document, in their order.
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

    pub(super) fn kept(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// With an verdict for each document, in places of one buffer.
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

    /// Puts what became of the documents behind these.
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

    /// The documents that a later stage sees, in the form it sees them, and which
    /// of `before` they are.
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

    /// Takes over what a later stage made of the documents at `positions`.
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
