//! A live upgrade: a sync that one host has brought into a phase, and another host
//! goes on with.
//!
//! A [`Course`] has two clusters, a data set under a writer, and the old host. It is
//! brought into a [`Phase`], upgraded in a [`Manner`], and finished; what a live
//! upgrade promises is checked on the way.

mod course;
mod persisted;
mod phase;

pub use course::{Course, DOCUMENTS, documents};
pub use persisted::Persisted;
pub use phase::{PHASES, Phase};

/// How the old host is followed by the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// kill -9, then the new one is started.
    Kill,
    /// SIGTERM, then the new one is started.
    Terminate,
    /// Paused, SIGTERM, the new one is started, resumed.
    PauseFirst,
    /// The new one is started beside the old one, which then gets SIGTERM.
    Standby,
}

impl Manner {
    pub const ALL: [Self; 4] = [Self::Kill, Self::Terminate, Self::PauseFirst, Self::Standby];

    /// As a table shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9, start",
            Self::Terminate => "SIGTERM, start",
            Self::PauseFirst => "pause, SIGTERM, start, resume",
            Self::Standby => "standby, SIGTERM",
        }
    }
}
