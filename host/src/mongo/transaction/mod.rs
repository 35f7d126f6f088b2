//! Transactions on the destination that the server guards, and the small documents that are written by them.

mod change;
mod documents;
mod guarded_writer;
mod guards;

pub use change::Change;
pub use documents::{Documents, Transaction};
pub use guarded_writer::{GuardedWriter, TransactionOutcome};
pub use guards::{Guard, GuardCounts, raise_term};
