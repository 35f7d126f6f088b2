//! Names of runs: a command of the scripted sync, and the fault at it.
//!
//! A command is named by cluster, phase, host, label and its place among commands with that label: its number
//! differs in every run.

use std::fmt;

use anyhow::{Context, Result};

use super::{
    crew::letter,
    kind::{Kind, Side},
};
use crate::proxy::{Command, Pattern, labelled};

/// A command of the scripted sync.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub side: &'static str,
    pub phase: String,
    /// `a` is the host that begins the sync, `b` the host that takes it over.
    pub host: char,
    pub label: String,
    pub nth: u64,
}

/// A run: a command and a fault.
#[derive(Clone, Debug)]
pub struct Name {
    pub place: Place,
    pub kind: Kind,
}

impl Place {
    pub(super) fn of(side: Side, command: &Command) -> Self {
        Self {
            side: side.name(),
            phase: command.phase.clone(),
            host: letter(command.ordinal),
            label: command.label.clone(),
            nth: command.nth,
        }
    }

    /// The place of its host among the hosts of a run, where `worker` works on the sync when the phase begins. The
    /// worker differs from that of a sync without a fault if an earlier fault has ended that host.
    pub(super) fn ordinal(&self, worker: usize) -> usize {
        let first = if self.phase == super::COMMIT {
            'b'
        } else {
            'a'
        };
        worker + usize::from(self.host != first)
    }

    pub(super) fn pattern(&self, ordinal: usize) -> Pattern {
        labelled(self.label.clone())
            .in_phase(self.phase.clone())
            .when(move |command| command.ordinal == ordinal)
            .nth(self.nth)
    }

    pub(super) fn side(&self) -> Side {
        match self.side == Side::Source.name() {
            true => Side::Source,
            false => Side::Destination,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            side,
            phase,
            host,
            label,
            nth,
        } = self;
        write!(f, "{side}, {phase}, host {host}, {label} #{nth}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.place, self.kind.name())
    }
}

impl std::str::FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let read = || {
            let (side, rest) = name.split_once(", ")?;
            let (phase, rest) = rest.split_once(", host ")?;
            let (host, rest) = rest.split_once(", ")?;
            let (command, kind) = rest.rsplit_once(", ")?;
            let (label, nth) = command.rsplit_once(" #")?;
            let side = Side::BOTH.into_iter().find(|one| one.name() == side)?;
            Some(Self {
                place: Place {
                    side: side.name(),
                    phase: phase.to_owned(),
                    host: host.chars().next()?,
                    label: label.to_owned(),
                    nth: nth.parse().ok()?,
                },
                kind: Kind::named(kind)?,
            })
        };
        read().with_context(|| format!("no run has the name `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for kind in Kind::all() {
            let text = format!(
                "destination, DDL, host a, renameCollection app.a to app.b #1, {}",
                kind.name()
            );
            let name: Name = text.parse().expect("a name");
            assert_eq!((name.to_string(), name.kind), (text, kind));
        }
        assert!(
            "destination, DDL, host a, drop app.a #1, vexed"
                .parse::<Name>()
                .is_err()
        );
    }
}
