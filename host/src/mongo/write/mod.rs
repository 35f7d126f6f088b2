//! Write commands made of raw documents.

mod command;
pub mod empty_timestamps;

pub(super) use command::majority;
pub use command::{
    CollectionRef, Command, MAX_COMMAND_BYTES, MAX_STATEMENTS, Outcome, StatementError,
    WriteCommand, write_query,
};
