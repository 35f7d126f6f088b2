//! The components of a sync: pinned when it begins, adopted at a takeover, swapped by an operator.

pub(super) mod adoption;
pub(super) mod pins;
pub(super) mod swap;
pub(super) mod uploads;
