//! The hosts of a sync: registration of this host, the list of all, and calls that a standby passes on to the leader.
//!
//! A registered host has said so within `leaseSeconds`, by the clock of the destination. Nothing of the sync depends on
//! a registration: who may write is decided by the lease alone.

pub(super) mod passed_calls;
pub(super) mod registration;
pub(super) mod worker;
