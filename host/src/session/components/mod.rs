//! The components of a sync: pinned at the start, adopted at a takeover, swapped by an operator.

pub(super) mod adoption;
pub(super) mod pins;
pub(super) mod swap;
pub(super) mod uploads;
