//! Steps, and how a counterexample shows them.

use std::fmt;

use super::Event;

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Happens(usize),
    RollsOver,
    Regains,
    Take(usize),
    Decide(usize, Event),
    Apply(usize, usize, Option<usize>),
    LookUp(usize, usize, usize),
    Position(usize, usize),
    Choose(usize, usize),
    Begin(usize, usize),
    PersistBegun(usize),
    Absent(usize, usize, usize),
    Send(usize, usize, u8, usize),
    Compare(usize, usize, usize, bool),
    Progress(usize),
    Finish(usize, usize, usize),
    PersistDone(usize, usize),
    ReadGreatest(usize, Option<usize>, usize),
    Split(usize),
    Mark(usize),
    DropParked(usize),
    Intend(usize, Event),
    Effect(usize, Event),
    Record(usize, Event),
    BeginResync(usize, usize),
    EndResync(usize),
    ResyncPosition(usize),
    Stop(usize, bool),
    CompareSuspect(usize),
    Commit(usize),
    Fenced(usize),
    Deliver(usize, usize, u8, bool),
    GiveUp(usize),
    DropWork(usize),
    Crash(usize),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Happens(source) => write!(f, "source: has {source} events"),
            Self::RollsOver => write!(f, "source: the oplog loses all events"),
            Self::Regains => write!(f, "source: another member has the events"),
            Self::Take(host) => write!(
                f,
                "host {host}: takes the lease, raises the guards, reads the metadata"
            ),
            Self::Decide(host, event) => write!(f, "host {host}: decides {event:?}"),
            Self::Apply(host, key, Some(event)) => {
                write!(f, "host {host}: applies event {event} of key {key}")
            }
            Self::Apply(host, key, None) => write!(f, "host {host}: passes over key {key}"),
            Self::LookUp(host, key, time) => {
                write!(f, "host {host}: looks key {key} up at {time}, writes it")
            }
            Self::Position(host, position) => {
                write!(f, "host {host}: persists position {position}")
            }
            Self::Choose(host, since) => write!(f, "host {host}: chooses T0 = {since}"),
            Self::Begin(host, place) => write!(f, "host {host}: begins partition {place}"),
            Self::PersistBegun(host) => write!(f, "host {host}: persists that it is in work"),
            Self::Absent(host, key, time) => {
                write!(f, "host {host}: key {key} is missing at {time}")
            }
            Self::Send(host, key, version, time) => write!(
                f,
                "host {host}: reads key {key} at {time}, sends version {version}"
            ),
            Self::Compare(host, key, time, differs) => write!(
                f,
                "host {host}: compares key {key} at {time}, differs: {differs}"
            ),
            Self::Progress(host) => write!(f, "host {host}: persists its progress"),
            Self::Finish(host, place, until) => {
                write!(f, "host {host}: partition {place} is done at F = {until}")
            }
            Self::PersistDone(host, place) => write!(f, "host {host}: persists `done` of {place}"),
            Self::ReadGreatest(host, key, time) => {
                write!(f, "host {host}: greatest document at {time}: {key:?}")
            }
            Self::Split(host) => write!(f, "host {host}: splits the partition"),
            Self::Mark(host) => write!(f, "host {host}: marks all partitions to be compared"),
            Self::DropParked(host) => write!(f, "host {host}: drops the parked keys"),
            Self::Intend(host, event) => write!(f, "host {host}: persists the intent of {event:?}"),
            Self::Effect(host, event) => write!(f, "host {host}: {event:?} on the destination"),
            Self::Record(host, event) => write!(f, "host {host}: records {event:?}"),
            Self::BeginResync(host, time) => write!(f, "host {host}: begins a resync at {time}"),
            Self::EndResync(host) => write!(f, "host {host}: persists position and marks"),
            Self::ResyncPosition(host) => write!(f, "host {host}: persists the new position"),
            Self::Stop(host, releases) => {
                write!(f, "host {host}: stops cleanly, releases: {releases}")
            }
            Self::CompareSuspect(host) => write!(
                f,
                "host {host}: finds a document that the source does not have, deletes it"
            ),
            Self::Commit(host) => write!(f, "host {host}: commits"),
            Self::Fenced(host) => write!(f, "host {host}: is fenced"),
            Self::Deliver(host, key, version, live) => write!(
                f,
                "destination: of host {host}, waited for: {live}: key {key}, version {version}"
            ),
            Self::GiveUp(host) => write!(f, "host {host}: gives up waiting"),
            Self::DropWork(host) => {
                write!(f, "host {host}: drops its work and begins again, same term")
            }
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
