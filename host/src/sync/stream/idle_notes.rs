//! Notes in the source's oplog. A boundary of the verification needs a position that is later than the last event, and an
//! idle source moves on by itself only every ten seconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;

use crate::{
    model::ErrorKind,
    mongo::{Client, Delivery, Moment, append_oplog_note},
};

/// Shortest time between two notes.
const EVERY: Duration = Duration::from_millis(500);

/// Time for the answer. A lost note is written again.
const ANSWER: Duration = Duration::from_secs(3);

/// Writes notes where the stream waits for a later position.
#[derive(Default)]
pub(super) struct IdleNotes {
    last: Option<(Moment, AbortOnDropHandle<()>)>,
    /// The user of the source may not write notes: the source's own entries have to do.
    refused: Arc<AtomicBool>,
}

impl IdleNotes {
    /// Writes a note, unless one was written a moment ago. Does not wait for it.
    pub(super) fn write(&mut self, source: &Client) {
        let is_recent = self
            .last
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < EVERY);
        if is_recent || self.refused.load(Relaxed) {
            return;
        }
        let (source, refused) = (source.clone(), self.refused.clone());
        let note = tokio::spawn(async move {
            let data = bson::doc! { "tidegate": "verification" };
            match append_oplog_note(&source, data, ANSWER).await {
                Ok(Delivery::Done(())) => {}
                Ok(Delivery::Unknown(error)) | Err(error) => {
                    refused.store(error.kind() != ErrorKind::Transient, Relaxed);
                    tracing::info!(error = %error, "oplog note failed; an idle source moves on within ten seconds");
                }
            }
        });
        self.last = Some((Moment::now(), AbortOnDropHandle::new(note)));
    }
}
