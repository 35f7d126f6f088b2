//! The role of a host: idle, working on the sync, or a standby that takes it over.

pub(super) mod connection;
mod eligibility;
pub(super) mod host;
pub(super) mod open;
mod persisted_sync;
mod rollback;
mod standby;
mod takeover;
pub(super) mod view;
mod watch;

pub use rollback::{Rollback, rollback};
