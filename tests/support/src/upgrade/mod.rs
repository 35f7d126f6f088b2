//! A live upgrade: a host brings a sync into a phase, and another host continues it.
//!
//! A [`Course`] has two clusters, a data set under a writer, and the old host. It is brought into a [`Phase`],
//! upgraded in a [`Manner`], and finished. The promises of a live upgrade are checked on the way.

mod course;
mod persisted;
mod phase;

pub use course::{Course, DOCUMENTS, documents};
pub use persisted::Persisted;
pub use phase::{PHASES, Phase};

/// Order of the old host's end and the new host's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// kill -9, then the new host is started.
    Kill,
    /// SIGTERM, then the new host is started.
    Terminate,
    /// The sync is paused; SIGTERM; the new host is started; resume.
    PauseFirst,
    /// The new host is started as a standby, then the old host gets SIGTERM.
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
