//! A writer's end by the server's block of user writes.

use std::time::Instant;

use mongodb::error::{Error, ErrorKind, WriteFailure};

use super::Counts;

/// The server's code of a write that a block refuses.
const USER_WRITES_BLOCKED: i32 = 371;

/// The server's code of an index build that was aborted: setting a block ends the builds under way.
const INDEX_BUILD_ABORTED: i32 = 276;

/// A writer whose tasks have all been refused by a block.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The accepted operations.
    pub counts: Counts,
    /// When the first refused write was answered.
    pub first: Instant,
    /// The number of connections' tasks that were refused with the code 371.
    pub refused: u64,
}

/// Whether the server's block of user writes has refused this write.
pub fn is_refused_by_block(error: &Error) -> bool {
    code(error) == Some(USER_WRITES_BLOCKED)
}

/// Whether a block has ended this index build.
pub(super) fn is_ended_by_block(error: &Error) -> bool {
    code(error) == Some(INDEX_BUILD_ABORTED)
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}
