//! What became of documents, in their order. Nothing is stored as long as all are
//! kept, and no document is ever copied on its own.

use std::ops::Range;

use super::super::batch::documents;
use super::fault::Fault;
use super::metrics::Tally;

/// What the chain made of the documents of one batch.
#[derive(Debug, Default)]
pub struct Transformed {
    count: usize,
    /// Empty as long as all are kept; one for each document from then on.
    answers: Vec<Answer>,
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
pub(super) enum Answer {
    Keep,
    Drop,
    Replaced(Place),
    Quarantined(Box<Fault>),
}

/// Where a replacement lies.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) range: Range<usize>,
}

impl Transformed {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if every document is kept: the batch can be written as it is.
    pub fn is_unchanged(&self) -> bool {
        self.answers.is_empty()
    }

    /// One for each document, in their order.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome<'_>> {
        let unchanged = if self.is_unchanged() { self.count } else { 0 };
        std::iter::repeat_n(Outcome::Keep, unchanged)
            .chain(self.answers.iter().map(|answer| self.outcome(answer)))
    }

    fn outcome<'a>(&'a self, answer: &'a Answer) -> Outcome<'a> {
        match answer {
            Answer::Keep => Outcome::Keep,
            Answer::Drop => Outcome::Drop,
            Answer::Replaced(place) => Outcome::Replaced(
                self.buffers
                    .get(place.buffer)
                    .and_then(|buffer| buffer.get(place.range.clone()))
                    .unwrap_or_default(),
            ),
            Answer::Quarantined(fault) => Outcome::Quarantined(fault),
        }
    }

    pub(super) fn kept(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// With an answer for each document, in places of one buffer.
    pub(super) fn of(answers: Vec<Answer>, buffer: Vec<u8>) -> Self {
        Self {
            count: answers.len(),
            answers,
            buffers: vec![buffer],
        }
    }

    pub(super) fn push(&mut self, answer: Answer) {
        self.write_out();
        self.answers.push(answer);
        self.count += 1;
    }

    /// Puts what became of the documents behind these.
    pub(super) fn append(&mut self, mut behind: Self) {
        if self.count == 0 {
            *self = behind;
        } else if behind.is_unchanged() && self.is_unchanged() {
            self.count += behind.count;
        } else {
            self.write_out();
            behind.write_out();
            behind.move_buffers(self.buffers.len());
            self.count += behind.count;
            self.answers.append(&mut behind.answers);
            self.buffers.append(&mut behind.buffers);
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
        for (position, answer) in positions.iter().zip(later.answers) {
            match (answer, self.answers.get_mut(*position)) {
                (Answer::Keep, _) | (_, None) => {}
                (answer, Some(earlier)) => *earlier = answer,
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
            self.answers.resize_with(self.count, || Answer::Keep);
        }
    }

    fn move_buffers(&mut self, by: usize) {
        for answer in &mut self.answers {
            if let Answer::Replaced(place) = answer {
                place.buffer += by;
            }
        }
    }
}
