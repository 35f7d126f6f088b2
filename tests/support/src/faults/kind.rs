//! The kinds of faults, and to which commands each is put.

use crate::proxy::{Command, Failure, RETRYABLE_WRITE, WriteConcernError};

/// Kind of a fault at a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection is closed before the server has the command.
    CutBefore,
    /// The server has done the command; its answer is lost.
    CutAfter,
    /// The command reaches the server after its host has died and the next host has written.
    HeldPastTakeover,
    /// As before, but the host has handed the sync over and has aborted its open work.
    HeldPastHandover,
    /// The command comes when the host has paused, gone on and written.
    HeldPastPause,
    /// The host sees a closed connection; the command comes when it has gone on.
    HeldAcrossCut,
    /// An answer in the place of the server's.
    Answered(Failure),
    /// The server's answer with a write concern error in it; or, where it is not done, an answer
    /// as if it had been.
    NotDurable(WriteConcernError),
    /// kill -9 before the server has the command.
    KilledBefore,
    /// kill -9 when the server has done it.
    KilledAfter,
    /// kill -9 after the server has executed the command. The next host is killed too, at one of its first writes.
    KilledTwice,
    /// SIGSTOP with the command sent; SIGCONT when the next host has written.
    Stopped,
    /// The host lives and cannot be heard on this cluster; the command and all that followed
    /// come when the next host has written.
    CutOff,
    /// The primary steps down before it gets the command.
    StepDownBefore,
    /// The primary steps down when it has done the command, before it answers.
    StepDownAfter,
    /// The command is done by a primary that no member follows, and rolled back.
    RolledBack,
}

impl Kind {
    /// Every kind, in the order in which they are tried.
    pub fn all() -> Vec<Self> {
        let mut kinds = vec![
            Self::CutBefore,
            Self::CutAfter,
            Self::HeldPastTakeover,
            Self::HeldPastHandover,
            Self::HeldPastPause,
            Self::HeldAcrossCut,
        ];
        kinds.extend(FAILURES.map(Self::Answered));
        for error in [
            WriteConcernError::TIMED_OUT,
            WriteConcernError::SHUTDOWN.with_label(RETRYABLE_WRITE),
        ] {
            kinds.extend([Self::NotDurable(error), Self::NotDurable(error.not_done())]);
        }
        kinds.extend([
            Self::KilledBefore,
            Self::KilledAfter,
            Self::KilledTwice,
            Self::Stopped,
            Self::CutOff,
            Self::StepDownBefore,
            Self::StepDownAfter,
            Self::RolledBack,
        ]);
        kinds
    }

    pub fn name(&self) -> String {
        let name = match self {
            Self::CutBefore => "cut before",
            Self::CutAfter => "cut after",
            Self::HeldPastTakeover => "held past a takeover",
            Self::HeldPastHandover => "held past a handover",
            Self::HeldPastPause => "held past a pause",
            Self::HeldAcrossCut => "held across a cut",
            Self::Answered(failure) => return format!("answered {}", failure.code),
            Self::NotDurable(error) if error.is_done => {
                return format!("not durable {}", error.code);
            }
            Self::NotDurable(error) => return format!("not durable {} and not done", error.code),
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::KilledTwice => "killed twice",
            Self::Stopped => "stopped past its lease",
            Self::CutOff => "cut off past its lease",
            Self::StepDownBefore => "step-down before",
            Self::StepDownAfter => "step-down after",
            Self::RolledBack => "rolled back",
        };
        name.to_owned()
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.name() == name)
    }

    /// True if it needs a destination of three members.
    pub fn needs_three(&self) -> bool {
        matches!(self, Self::RolledBack)
    }

    /// The kinds for a command of a host: all kinds that fit. The three refusals with the same meaning are used in
    /// turn.
    pub fn of(side: Side, command: &Command) -> Vec<Self> {
        const ALIKE: [Failure; 3] = [
            Failure::SHUTDOWN_IN_PROGRESS,
            Failure::PRIMARY_STEPPED_DOWN,
            Failure::INTERRUPTED_AT_SHUTDOWN,
        ];
        let turn: usize = command.label.bytes().map(usize::from).sum();
        let turn = (turn + usize::try_from(command.nth).unwrap_or(0)) % ALIKE.len();
        let is_next = |kind: &Self| match kind {
            Self::Answered(failure) => {
                let place = ALIKE.iter().position(|one| one == failure);
                place.is_none_or(|place| place == turn)
            }
            _ => true,
        };
        let kinds = Self::all().into_iter();
        kinds
            .filter(|kind| kind.fits(side, command) && is_next(kind))
            .collect()
    }

    /// True if this can be put to a command of a host.
    fn fits(&self, side: Side, command: &Command) -> bool {
        let (writes, in_transaction) = (is_write(command), command.transaction.is_open);
        let on_destination = side == Side::Destination;
        // A statement of a transaction is durable with its commit alone.
        let is_durable = writes && (!in_transaction || command.name == "commitTransaction");
        // Hosts that have not started cannot be stopped or followed.
        let is_up = command.phase != super::STARTS;
        match self {
            Self::CutBefore | Self::CutAfter | Self::StepDownBefore => true,
            Self::StepDownAfter => writes,
            Self::HeldPastTakeover | Self::HeldPastHandover | Self::CutOff | Self::KilledTwice => {
                writes && on_destination && is_up
            }
            Self::HeldPastPause => {
                let may_pause = ![super::START, super::COMMIT].contains(&command.phase.as_str());
                writes && on_destination && is_up && may_pause
            }
            Self::HeldAcrossCut => writes && on_destination,
            Self::Answered(failure) => *failure != Failure::WRITE_CONFLICT || in_transaction,
            Self::NotDurable(_) => is_durable && on_destination,
            Self::KilledBefore => is_up,
            Self::KilledAfter => is_up && writes,
            Self::Stopped => is_up && (writes || !on_destination),
            Self::RolledBack => is_durable && on_destination && is_up,
        }
    }
}

const FAILURES: [Failure; 6] = [
    Failure::SHUTDOWN_IN_PROGRESS,
    Failure::PRIMARY_STEPPED_DOWN,
    Failure::INTERRUPTED_AT_SHUTDOWN,
    Failure::WRITE_CONFLICT,
    Failure::MAX_TIME_EXPIRED,
    Failure::NOT_WRITABLE_PRIMARY,
];

/// A cluster of the sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Source, Self::Destination];

    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

pub(super) fn is_write(command: &Command) -> bool {
    const READS: [&str; 16] = [
        "find",
        "aggregate",
        "getMore",
        "ping",
        "listCollections",
        "listDatabases",
        "listIndexes",
        "count",
        "distinct",
        "buildInfo",
        "connectionStatus",
        "getParameter",
        "collStats",
        "dbStats",
        "killCursors",
        "serverStatus",
    ];
    let asks = command.name.starts_with("replSetGet") || command.name.starts_with("getCmdLine");
    !asks && !READS.contains(&command.name.as_str())
}
