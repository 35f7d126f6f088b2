//! Settings that the destination does not have while the sync runs, and gets back at commit.

pub(super) mod index_refusal;
pub(super) mod relaxation;
