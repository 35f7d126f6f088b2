//! The copy, suspect partitions and commit.
//!
//! A partition with two keys. Inserts of the copy have no guard and may arrive at any time. Writes of the stream,
//! and marks of the partition, are guarded transactions: single steps here.

mod host;

use std::fmt;

use crate::{
    checker::Model,
    source::{self, Event, KEYS, MISSING},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `begun` is not persisted before the first insert.
    BegunTooLate,
    /// A partition that is found begun is remembered to be suspect, and persisted so with `done` only.
    SuspectInMemory,
    /// A partition that is begun when work begins is suspect after a takeover only.
    OnlyTakeovers,
    /// An insert whose reply was lost does not make its partition suspect.
    LostReplyForgotten,
    /// `done` clears the mark.
    DoneClearsSuspect,
    /// `_id`s of suspect partitions are not compared at commit.
    SuspectNotCompared,
    /// The copy replaces documents that it finds.
    InsertReplaces,
    /// Work that begins again after the copy applies events as deltas at once.
    DeltasAfterTakeover,
    /// No fault but the limit: an insert arrives after commit has compared.
    LateAfterCommit,
}

#[derive(Clone, Debug)]
pub struct Copy {
    /// Events on the source, which has the first key at the beginning.
    pub log: Vec<Event>,
    pub hosts: usize,
    pub terms: u8,
    pub losses: u8,
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Insert {
    key: usize,
    version: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    live: bool,
    insert: Insert,
}

/// The persisted state of the partition, and of the sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Partition {
    begun: bool,
    done: bool,
    suspect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Standby,
    Taken,
    Raised,
    /// Copies the key of this number next.
    Copying(usize),
    Waiting(usize),
    Applying,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Host {
    stage: Stage,
    term: u8,
    begun: bool,
    /// A mark has been persisted in this term, or there was a suspect partition to be found.
    marked: bool,
    suspect: bool,
    applied: usize,
    exact_after: usize,
    /// Up to which event each key was looked up.
    looked_up: [usize; KEYS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How many events the source has.
    source: usize,
    lease_term: u8,
    guard: u8,
    partition: Partition,
    documents: [u8; KEYS],
    twice: bool,
    committed: bool,
    hosts: Vec<Host>,
    network: Vec<Message>,
    losses: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Happens(Event),
    Take(usize),
    Raise(usize),
    Load(usize),
    Mark(usize),
    Send(usize, Insert),
    Absent(usize, usize),
    Done(usize),
    Apply(usize, Event),
    Compare(usize),
    Commit(usize),
    Fenced(usize),
    Deliver(usize, Insert, bool),
    GiveUp(usize),
    Drop(usize),
    Crash(usize),
}

const STANDBY: Host = Host {
    stage: Stage::Standby,
    term: 0,
    begun: false,
    marked: false,
    suspect: false,
    applied: 0,
    exact_after: 0,
    looked_up: [0; KEYS],
};

impl Copy {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn documents(&self, events: usize) -> [u8; KEYS] {
        source::documents(&self.log, events)
    }
}

impl State {
    fn orphan(&mut self, host: usize) {
        for message in self
            .network
            .iter_mut()
            .filter(|message| message.host == host)
        {
            message.live = false;
        }
    }
}

impl Model for Copy {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            source: 0,
            lease_term: 0,
            guard: 0,
            partition: Partition::default(),
            documents: [MISSING; KEYS],
            twice: false,
            committed: false,
            hosts: vec![STANDBY; self.hosts],
            network: Vec::new(),
            losses: self.losses,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if !state.committed {
            if let Some(event) = self.log.get(state.source) {
                let mut next = state.clone();
                next.source += 1;
                to.push((Action::Happens(*event), next));
            }
            for at in 0..self.hosts {
                self.host_step(state, at, to);
                self.host_losses(state, at, to);
            }
        }
        if !state.committed || self.is(Fault::LateAfterCommit) {
            self.deliveries(state, to);
        }
        for (_, next) in to.iter_mut() {
            next.network.sort_unstable();
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        if state.twice {
            return Some("a delta is applied exactly once, on the document as it was before");
        }
        let differs = state.committed && state.documents != self.documents(self.log.len());
        differs.then_some("after commit the destination equals the source")
    }

    fn is_end(&self, state: &State) -> bool {
        state.committed
    }
}

impl Copy {
    fn deliveries(&self, state: &State, to: &mut Vec<(Action, State)>) {
        for (at, message) in state.network.iter().enumerate() {
            let mut next = state.clone();
            next.network.remove(at);
            let Insert { key, version } = message.insert;
            // A duplicate is refused, which is harmless.
            if next.documents[key] == MISSING || self.is(Fault::InsertReplaces) {
                next.documents[key] = version;
            }
            if message.live {
                next.hosts[message.host].stage = Stage::Copying(key + 1);
            }
            to.push((
                Action::Deliver(message.host, message.insert, message.live),
                next,
            ));
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Happens(event) => write!(f, "source: {event:?}"),
            Self::Take(host) => write!(f, "host {host}: takes the lease"),
            Self::Raise(host) => write!(f, "host {host}: raises the guards"),
            Self::Load(host) => write!(
                f,
                "host {host}: reads partition and position, and the source's time"
            ),
            Self::Mark(host) => write!(
                f,
                "host {host}: persists `begun`, or `suspect` if it was begun"
            ),
            Self::Send(host, insert) => write!(f, "host {host}: reads and sends {insert:?}"),
            Self::Absent(host, key) => write!(f, "host {host}: key {key} is missing on the source"),
            Self::Done(host) => write!(f, "host {host}: persists `done`, reads the source's time"),
            Self::Apply(host, event) => write!(f, "host {host}: applies {event:?}"),
            Self::Compare(host) => write!(
                f,
                "host {host}: finds a document that the source does not have, deletes it"
            ),
            Self::Commit(host) => write!(f, "host {host}: commits"),
            Self::Fenced(host) => write!(f, "host {host}: is fenced"),
            Self::Deliver(host, insert, live) => {
                let late = if live { "" } else { "late, " };
                write!(f, "destination: {late}of host {host}: {insert:?}")
            }
            Self::GiveUp(host) => write!(f, "host {host}: gives up waiting"),
            Self::Drop(host) => {
                write!(f, "host {host}: drops its work and begins again, same term")
            }
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
