//! The partitions of the collections that are being copied, while the change stream is applied.

pub(crate) mod server_order;

pub use server_order::places;
