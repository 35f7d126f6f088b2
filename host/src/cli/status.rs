//! The result of a command that has run to its end.

/// Whether the subject of a command is in order. Maps to the exit codes 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandStatus {
    Success,
    Failure,
}
