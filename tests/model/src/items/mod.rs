//! Items: the leader assigns the copy of a partition to hosts that it does not control.
//!
//! A partition with two keys, and events beside its copy. The leader's writes are guarded transactions: single steps
//! here. A worker inserts without a guard, and its report is one conditional update of the item. A worker that has lost
//! its item does not know it: it goes on, and everything that it has sent arrives at any time. One of the hosts can be of
//! an earlier release, which knows no items: as leader it passes over them, and copies alone.

mod host;
mod worker;

use std::fmt;

use crate::{
    checker::Model,
    source::{self, Event, KEYS, MISSING},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The report's filter lacks the token of the assignment.
    ReportUnconditional,
    /// A leader counts its tokens from 1 again.
    TokenUsedTwice,
    /// T0 is persisted with the end of the item, not with its assignment.
    BegunTooLate,
    /// A partition that is taken away from a worker is not suspect.
    TakenAwayNotSuspect,
    /// A partition that a new leader finds in work is not suspect.
    TakeoverNotSuspect,
    /// A partition that is taken away is unseen again, and its parked keys are dropped.
    TakenAwayIsUnseen,
    /// A worker reads at any time, not at or after T0.
    ReadsBeforeBegin,
    /// F is T0, not the source's time after the last read.
    EndBeforeReads,
    /// A worker that has lost an answer does not report the partition as suspect.
    LostReplyForgotten,
    /// The leader's transactions have no guard.
    LeaderUnguarded,
    /// A host that has started again takes up the item of its earlier process, under the same token.
    BegunTwice,
    /// An item whose worker is silent is never taken away.
    NeverTakenAway,
}

#[derive(Clone, Debug)]
pub struct Items {
    /// Events on the source, which has the first key at the beginning.
    pub log: Vec<Event>,
    pub hosts: usize,
    pub terms: u8,
    /// Assignments that can be made. Without one left, the leader copies by itself.
    pub assignments: u8,
    /// Times that the collection is dropped, and copied from the beginning beside a new position.
    pub copies_again: u8,
    /// Answers that are lost, and hosts that crash, together.
    pub losses: u8,
    /// The number of a host of an earlier release.
    pub earlier_release: Option<usize>,
    pub fault: Option<Fault>,
}

/// The persisted partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Partition {
    /// T0; `None` while it is unseen.
    begun_at: Option<usize>,
    /// F; `None` before it is done.
    done_at: Option<usize>,
    suspect: bool,
}

/// The document of an item. It is its own guard: the token is new for each assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Item {
    token: u8,
    /// The process that has the item. `None` after its end: a host that starts again is another process.
    holder: Option<usize>,
    begun_at: usize,
    end: Option<Report>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Report {
    done_at: usize,
    suspect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Names the UUID of the destination's collection.
    Insert {
        uuid: u8,
        key: usize,
        version: u8,
    },
    Report {
        token: u8,
        report: Report,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    live: bool,
    request: Request,
}

/// A host as leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Standby,
    /// Has taken the lease in this term.
    Taken(u8),
    Raised(u8),
    Leads(Leader),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Leader {
    term: u8,
    partition: Partition,
    /// The assignment that it waits for.
    token: Option<u8>,
    /// Up to which event documents may be newer than the replayed events.
    exact_after: usize,
    /// Up to which event each key was looked up.
    looked_up: [usize; KEYS],
}

/// A host as worker. Token 0 is the leader's own copy, which has no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Worker {
    token: u8,
    uuid: u8,
    begun_at: usize,
    /// The key to copy next; `KEYS` when all are.
    key: usize,
    waits: bool,
    suspect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Host {
    role: Role,
    worker: Option<Worker>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How many events the source has.
    source: usize,
    lease_term: u8,
    guard: u8,
    partition: Partition,
    item: Option<Item>,
    /// Persisted with each event: the position, and the parked keys.
    position: usize,
    parked: [bool; KEYS],
    documents: [u8; KEYS],
    /// The UUID of the destination's collection.
    uuid: u8,
    copies_again: u8,
    tokens: u8,
    assignments: u8,
    twice: bool,
    outdated: bool,
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
    Begin(usize),
    Assign(usize, usize),
    CopyAlone(usize),
    TakeAway(usize),
    CopyAgain(usize),
    Accept(usize),
    Decide(usize, Event),
    LookUp(usize, usize),
    Compare(usize),
    Commit(usize),
    Fenced(usize),
    Poll(usize),
    Send(usize, Request),
    Absent(usize, usize),
    Deliver(usize, Request, bool),
    GiveUp(usize),
    Crash(usize),
}

const IDLE: Host = Host {
    role: Role::Standby,
    worker: None,
};

impl Items {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn documents(&self, events: usize) -> [u8; KEYS] {
        source::documents(&self.log, events)
    }

    fn knows_items(&self, host: usize) -> bool {
        self.earlier_release != Some(host)
    }
}

impl Role {
    fn term(self) -> u8 {
        match self {
            Self::Standby => 0,
            Self::Taken(term) | Self::Raised(term) => term,
            Self::Leads(leader) => leader.term,
        }
    }
}

impl State {
    fn orphan(&mut self, host: usize) {
        for message in self.network.iter_mut().filter(|one| one.host == host) {
            message.live = false;
        }
    }

    /// Messages that can no longer have an effect are dropped.
    fn normalize(&mut self, model: &Items) {
        let deleted = |key: usize| {
            let log = model.log.iter();
            log.into_iter().any(|event| *event == Event::Delete(key))
        };
        let (documents, item, known) = (self.documents, self.item, self.uuid);
        self.network.retain(|message| match message.request {
            Request::Insert { uuid, key, .. } => {
                let can_insert = documents[key] == MISSING || deleted(key);
                message.live || uuid == known && can_insert
            }
            // A token that no item has, none will have.
            Request::Report { token, .. } => {
                let is_held = item.is_some_and(|item| item.token == token);
                message.live || is_held || model.fault.is_some()
            }
        });
        self.network.sort_unstable();
    }
}

impl Model for Items {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            source: 0,
            lease_term: 0,
            guard: 0,
            partition: Partition::default(),
            item: None,
            position: 0,
            parked: [false; KEYS],
            documents: [MISSING; KEYS],
            uuid: 0,
            copies_again: self.copies_again,
            tokens: 0,
            assignments: self.assignments,
            twice: false,
            outdated: false,
            committed: false,
            hosts: vec![IDLE; self.hosts],
            network: Vec::new(),
            losses: self.losses,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if state.committed {
            return;
        }
        if let Some(event) = self.log.get(state.source) {
            let mut next = state.clone();
            next.source += 1;
            to.push((Action::Happens(*event), next));
        }
        for at in 0..self.hosts {
            self.lease_step(state, at, to);
            self.leader_steps(state, at, to);
            self.worker_steps(state, at, to);
            self.losses(state, at, to);
        }
        self.deliveries(state, to);
        for (_, next) in to.iter_mut() {
            next.normalize(self);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        if state.twice {
            return Some("a delta is applied exactly once, on the document as it was before");
        }
        if state.outdated {
            return Some("no write of an older term after a newer term's first");
        }
        let differs = state.committed && state.documents != self.documents(self.log.len());
        differs.then_some("after commit the destination equals the source")
    }

    fn is_end(&self, state: &State) -> bool {
        state.committed
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Happens(event) => write!(f, "source: {event:?}"),
            Self::Take(host) => write!(f, "host {host}: takes the lease"),
            Self::Raise(host) => write!(f, "host {host}: raises the guards"),
            Self::Begin(host) => write!(
                f,
                "host {host}: begins: marks a partition in work as suspect, removes the item"
            ),
            Self::Assign(host, to) => write!(f, "host {host}: assigns the item to host {to}"),
            Self::CopyAlone(host) => write!(f, "host {host}: copies by itself"),
            Self::TakeAway(host) => write!(f, "host {host}: takes the item away"),
            Self::CopyAgain(host) => write!(
                f,
                "host {host}: takes a new position, drops the collection, and copies it again"
            ),
            Self::Accept(host) => write!(f, "host {host}: accepts the end of the copy"),
            Self::Decide(host, event) => write!(f, "host {host}: decides {event:?}"),
            Self::LookUp(host, key) => write!(f, "host {host}: looks up the parked key {key}"),
            Self::Compare(host) => write!(
                f,
                "host {host}: finds a document that the source does not have, deletes it"
            ),
            Self::Commit(host) => write!(f, "host {host}: commits"),
            Self::Fenced(host) => write!(f, "host {host}: is fenced"),
            Self::Poll(host) => write!(f, "host {host}: finds an item of its own"),
            Self::Send(host, request) => write!(f, "host {host}: sends {request:?}"),
            Self::Absent(host, key) => write!(f, "host {host}: key {key} is missing on the source"),
            Self::Deliver(host, request, live) => {
                let late = if live { "" } else { "late, " };
                write!(f, "destination: {late}of host {host}: {request:?}")
            }
            Self::GiveUp(host) => write!(f, "host {host}: gives up waiting"),
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
