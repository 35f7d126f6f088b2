//! The way in which the change stream is opened after replies that the source could not send.
//!
//! A server's document and its reply have at most 16 MiB and 16 KiB. Seen with 6.0.5:
//!
//! - A larger event is refused (10334). A document near 16 MiB makes it: its `_id` is in the event a second time,
//!   and twice as long in the token.
//! - A larger reply is not refused: the server closes the connection. An event just below the limit makes it, and
//!   so does a batch of 16 MiB, since the stream's position comes on top.
//!
//! So each failure of these kinds makes the next opening more cautious: first without large documents, which are
//! then looked up, later in smaller batches too. Tokens are the same with and without documents. Every failure
//! starts at the position of the last reply, and each step reads on from there, so a step costs one opening.
//!
//! No stream delivers an event whose `_id` has more than 3.2 MiB: it is in a reply five times. The stream's position
//! counts as lost then, so that all collections are compared at a position after the event.

use bson::{RawArrayBuf, RawDocumentBuf, cstr, raw::CStr, rawdoc};

use super::Error;
use crate::{
    model::{event::ChangeEvent, raw::Malformed},
    mongo::{self, code},
};

/// The most events in a reply: enough for large commands of the appliers.
const BATCH_EVENTS: u32 = 8_000;

/// Each step from the second on divides the events of a batch by 8; the last leaves one.
const STEP_BITS: u32 = 3;
const LAST_STEP: u32 = 6;

/// Replies after which the stream is opened one step less cautiously. An opening that fails costs little against
/// that many replies.
const CALM_REPLIES: u32 = 64;

/// The most bytes of a document that stays in its event. Invariant: with the `_id` five times (the token twice as
/// long in the event and in the position, and the key) it fits into a reply.
const MAX_DOCUMENT: i64 = 15 << 20;
const IDS_IN_A_REPLY: i32 = 5;

/// The most bytes of these five. A reply has 16 KiB more, for everything else.
const MAX_IDS: i64 = 16 << 20;

/// The fields of an event that hold a document, and their paths.
const DOCUMENTS: [(&CStr, &str); 3] = [
    (cstr!("fullDocument"), "$fullDocument"),
    (cstr!("rawUpdateDescription"), "$rawUpdateDescription"),
    (cstr!("updateDescription"), "$updateDescription"),
];

/// The caution of the next opening of the stream.
#[derive(Debug, Default)]
pub(super) struct Caution {
    /// 0: events are read whole.
    step: u32,
    /// Good replies since the last change of the step.
    replies: u32,
}

impl Caution {
    /// The most events in a reply.
    pub(super) fn batch_size(&self) -> u32 {
        let smaller = self.step.saturating_sub(1);
        (BATCH_EVENTS >> (STEP_BITS * smaller)).max(1)
    }

    /// Whether events come without large documents.
    pub(super) fn leaves_out_documents(&self) -> bool {
        self.step > 0
    }

    /// Adds the stage that leaves large documents out of events.
    pub(super) fn append_stage(&self, pipeline: &mut RawArrayBuf) {
        if self.leaves_out_documents() {
            pipeline.push(without_large_documents());
        }
    }

    /// Takes the next step after `error`, if the reply may have been too large. Returns `false` for other errors
    /// and after the last step.
    pub(super) fn rise_after(&mut self, error: &mongo::Error) -> bool {
        let has_risen = (is_too_large(error) || error.is_cut_connection()) && self.rise();
        if has_risen {
            tracing::info!(
                error = %error, batch_events = self.batch_size(),
                "reading the change stream without large documents"
            );
        }
        has_risen
    }

    fn rise(&mut self) -> bool {
        if self.step == LAST_STEP {
            return false;
        }
        self.step += 1;
        self.replies = 0;
        true
    }

    /// Notes a good reply with `oversize` events whose documents were left out. Returns whether to open the stream
    /// again, one step less cautiously.
    pub(super) fn relax(&mut self, oversize: u64) -> bool {
        self.replies = match (self.step, oversize) {
            (0, _) | (1, 1..) => 0,
            _ => self.replies + 1,
        };
        if self.replies < CALM_REPLIES {
            return false;
        }
        self.step -= 1;
        self.replies = 0;
        if !self.leaves_out_documents() {
            tracing::info!("reading the change stream with all documents again");
        }
        true
    }
}

/// Whether the source has refused an event for its size: the event, its token (an `_id` of 8 MiB), or, in the stage
/// that leaves documents out, its `_id`.
pub(super) fn is_too_large(error: &mongo::Error) -> bool {
    [
        code::BSON_OBJECT_TOO_LARGE,
        code::STRING_TOO_LARGE,
        code::CONVERSION_FAILURE,
    ]
    .iter()
    .any(|code| error.has_code(*code))
}

/// The number of `events` whose documents were left out.
pub(super) fn count_oversize<'e>(
    events: impl Iterator<Item = Result<ChangeEvent<'e>, Malformed>>,
) -> Result<u64, Error> {
    let mut oversize = 0;
    for event in events {
        oversize += u64::from(event?.is_oversize());
    }
    Ok(oversize)
}

/// A stage that removes the documents of events that are too large for a reply. It fails (241) at an event whose
/// `_id` alone is too large. All other events keep their bytes.
fn without_large_documents() -> RawDocumentBuf {
    let size = |field: &str| rawdoc! { "$ifNull": [{ "$bsonSize": field }, 0] };
    let ids = || rawdoc! { "$multiply": [size("$documentKey"), IDS_IN_A_REPLY] };
    let mut fields = RawDocumentBuf::new();
    for (field, path) in DOCUMENTS {
        let all = rawdoc! { "$add": [size(path), ids()] };
        let branches = [
            // A constant in place of the field would fail when the stream is opened.
            rawdoc! { "case": { "$gt": [ids(), MAX_IDS] }, "then": { "$toInt": "$operationType" } },
            rawdoc! { "case": { "$gt": [all, MAX_DOCUMENT] }, "then": "$$REMOVE" },
        ];
        let branches = RawArrayBuf::from_iter(branches);
        fields.append(
            field,
            rawdoc! { "$switch": { "branches": branches, "default": path } },
        );
    }
    rawdoc! { "$set": fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_to_one_event_and_other_errors_change_nothing() {
        let mut caution = Caution::default();
        assert!(!caution.rise_after(&mongo::Error::CursorEnded));
        let mut sizes = vec![caution.batch_size()];
        while caution.rise() {
            assert!(caution.leaves_out_documents());
            sizes.push(caution.batch_size());
        }
        assert_eq!(sizes, [8_000, 8_000, 1_000, 125, 15, 1, 1]);
    }

    #[test]
    fn good_replies_lead_back_and_oversize_events_keep_the_first_step() {
        let mut caution = Caution::default();
        assert!(!(0..1_000).any(|_| caution.relax(0)));
        assert!(caution.rise() && caution.rise());
        assert_eq!((0..64).filter(|_| caution.relax(1)).count(), 1);
        assert!(!(0..1_000).any(|_| caution.relax(1)));
        assert_eq!((0..64).filter(|_| caution.relax(0)).count(), 1);
        assert!(!caution.leaves_out_documents());
    }
}
