//! Settings that are relaxed while the sync runs, and restored at commit.

pub(super) mod difference;
pub(super) mod index_refusal;
pub(super) mod relaxation;
