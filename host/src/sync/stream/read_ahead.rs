//! Batches that are read before they can be applied.

use std::collections::VecDeque;

use super::reader::StreamBatch;

/// The batches after those that are being applied. They are read although they have to wait, since a cursor that stands
/// still may lose its place in a small oplog.
#[derive(Default)]
pub(super) struct ReadAhead {
    batches: VecDeque<StreamBatch>,
    bytes: usize,
}

impl ReadAhead {
    /// Above this, the stream is read no further. A reply has up to 16 MiB more.
    const BYTES: usize = 16 << 20;

    /// Whether a further batch may be read.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < Self::BYTES
    }

    /// Adds the newest batch.
    pub(super) fn push(&mut self, batch: StreamBatch) {
        self.bytes += batch.bytes().len();
        self.batches.push_back(batch);
    }

    /// Takes the oldest batch.
    pub(super) fn pop(&mut self) -> Option<StreamBatch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.bytes().len();
        Some(batch)
    }
}
