//! Guarded transactions on the destination, and the documents of the metadata that they write.

mod change;
mod documents;
mod guarded_writer;
mod guards;

pub use change::Change;
pub use documents::{Documents, Transaction};
pub use guarded_writer::{GuardedWriter, TransactionOutcome};
pub use guards::{Guard, GuardCounts, raise_term};
