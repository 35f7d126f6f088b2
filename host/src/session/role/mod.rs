//! The role of a host: idle, active, or a standby that takes the sync over when it becomes free.

pub(super) mod connection;
mod eligibility;
pub(super) mod host;
pub(super) mod open;
pub(super) mod persisted_sync;
mod rollback;
pub(super) mod standby;
mod takeover;
pub(super) mod view;
mod watch;

pub use rollback::{Rollback, rollback};
