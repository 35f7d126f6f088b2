//! The protocol by which hosts write to the destination, as state machines that are checked
//! exhaustively. See `README.md`.

#![expect(
    clippy::indexing_slicing,
    reason = "a model's arrays are of fixed size, and a check that panics has failed"
)]

pub mod checker;
pub mod copy;
pub mod ddl;
pub mod equal_keys;
pub mod items;
pub mod partitions;
pub mod positions;
pub mod source;
pub mod writers;
