//! The result of a command that has run to its end.

/// Whether the subject of a command is in order. Maps to the exit codes 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandStatus {
    /// The subject is in order, or the task judges none. Exit code 0.
    Success,
    /// The subject has faults, which the command has printed. Exit code 1.
    Failure,
}
