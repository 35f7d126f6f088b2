//! Records of calls: made by a middleware for each changing or refused call, and listed by `GET /audit`.

pub(super) mod list;
mod moderation;
mod record;

pub(super) use record::{Recorder, announce, record_call};
