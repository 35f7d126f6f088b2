//! The copy, suspect partitions and commit.
//!
//! One partition with two keys. Inserts of the copy have no guard and may arrive at any time; what the
//! stream writes, and marks of the partition, are guarded transactions: single steps here.

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
    /// The copy replaces what it finds.
    InsertReplaces,
    /// Work that begins again after the copy applies events as deltas at once.
    DeltasAfterTakeover,
    /// No fault but the limit: an insert arrives after commit has compared.
    LateAfterCommit,
}

#[derive(Clone, Debug)]
pub struct Copy {
    /// What happens on the source, which has the first key at the beginning.
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
    fn host_step(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = state.hosts[at];
        let mut next = state.clone();
        let action = match host.stage {
            Stage::Standby if state.lease_term < self.terms => {
                if at > 0 && state.lease_term == 0 {
                    return;
                }
                next.lease_term += 1;
                next.hosts[at].term = next.lease_term;
                next.hosts[at].stage = Stage::Taken;
                Action::Take(at)
            }
            Stage::Taken if state.guard <= host.term => {
                next.guard = host.term;
                next.hosts[at].stage = Stage::Raised;
                Action::Raise(at)
            }
            Stage::Raised => {
                self.load(&mut next, at, true);
                Action::Load(at)
            }
            // No guard is looked at before an insert of the copy.
            Stage::Copying(key) if key < KEYS && self.has_begun(&host) => {
                insert(self, &mut next, at, key)
            }
            Stage::Copying(_) | Stage::Applying if state.guard == host.term => {
                match self.guarded(&mut next, at) {
                    Some(action) => action,
                    None => return,
                }
            }
            Stage::Taken | Stage::Copying(_) | Stage::Applying => {
                next.hosts[at] = STANDBY;
                Action::Fenced(at)
            }
            _ => return,
        };
        to.push((action, next));
    }

    /// Whether the marks are persisted that the partition's first insert needs. What a host has only
    /// read may be of a newer term than its own: a partition that it finds begun it marks as suspect,
    /// guarded, before it inserts.
    fn has_begun(&self, host: &Host) -> bool {
        host.begun && (host.marked || self.is(Fault::SuspectInMemory))
            || self.is(Fault::BegunTooLate)
    }

    /// Work begins with what is persisted. A partition that is begun then is suspect.
    fn load(&self, next: &mut State, at: usize, takeover: bool) {
        let partition = next.partition;
        let host = &mut next.hosts[at];
        let unclean = takeover || !self.is(Fault::OnlyTakeovers);
        host.begun = partition.begun;
        host.marked = partition.suspect;
        host.suspect = partition.suspect || partition.begun && !partition.done && unclean;
        host.applied = 0;
        host.looked_up = [0; KEYS];
        host.stage = if partition.done {
            Stage::Applying
        } else {
            Stage::Copying(0)
        };
        let read = partition.done && !self.is(Fault::DeltasAfterTakeover);
        host.exact_after = if read { next.source } else { 0 };
    }

    fn guarded(&self, next: &mut State, at: usize) -> Option<Action> {
        let source = next.source;
        let host = &mut next.hosts[at];
        if let Stage::Copying(key) = host.stage {
            if key < KEYS {
                next.partition.begun = true;
                next.partition.suspect |= host.begun && host.suspect;
                host.begun = true;
                host.marked = true;
                return Some(Action::Mark(at));
            }
            next.partition = Partition {
                begun: true,
                done: true,
                suspect: host.suspect && !self.is(Fault::DoneClearsSuspect),
            };
            host.exact_after = source;
            host.stage = Stage::Applying;
            return Some(Action::Done(at));
        }
        if host.applied < source {
            return Some(self.apply(next, at));
        }
        (source == self.log.len()).then(|| self.commit(next, at))
    }

    fn apply(&self, next: &mut State, at: usize) -> Action {
        let now = self.documents(next.source);
        let host = &mut next.hosts[at];
        let event = self.log[host.applied];
        host.applied += 1;
        let key = event.key();
        if host.looked_up[key] >= host.applied {
            return Action::Apply(at, event);
        }
        let (before, after) = (
            self.documents(host.applied - 1)[key],
            self.documents(host.applied)[key],
        );
        if host.applied <= host.exact_after {
            host.looked_up[key] = next.source;
            next.documents[key] = now[key];
        } else {
            // An insert that meets a document is a replacement; an update is a delta.
            next.twice |= matches!(event, Event::Update(_)) && next.documents[key] != before;
            next.documents[key] = after;
        }
        Action::Apply(at, event)
    }

    /// The comparison of suspect partitions and the end are one step: nothing arrives after it.
    fn commit(&self, next: &mut State, at: usize) -> Action {
        let source = self.documents(next.source);
        if next.partition.suspect && !self.is(Fault::SuspectNotCompared) {
            let extra = |key: &usize| next.documents[*key] != MISSING && source[*key] == MISSING;
            if let Some(key) = (0..KEYS).find(extra) {
                next.documents[key] = MISSING;
                return Action::Compare(at);
            }
        }
        next.committed = true;
        Action::Commit(at)
    }

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

    fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = state.hosts[at];
        if state.losses == 0 || host.stage == Stage::Standby {
            return;
        }
        let mut lost = state.clone();
        lost.losses -= 1;
        lost.orphan(at);
        if let Stage::Waiting(key) = host.stage {
            let mut next = lost.clone();
            next.hosts[at].stage = Stage::Copying(key);
            next.hosts[at].suspect |= !self.is(Fault::LostReplyForgotten);
            to.push((Action::GiveUp(at), next));
        }
        if !matches!(host.stage, Stage::Taken | Stage::Raised) && state.guard == host.term {
            let mut next = lost.clone();
            self.load(&mut next, at, false);
            to.push((Action::Drop(at), next));
        }
        if host.term == state.lease_term && state.lease_term < self.terms {
            lost.hosts[at] = STANDBY;
            to.push((Action::Crash(at), lost));
        }
    }
}

/// The copy reads the source's document as it is now.
fn insert(model: &Copy, next: &mut State, at: usize, key: usize) -> Action {
    let version = model.documents(next.source)[key];
    if version == MISSING {
        next.hosts[at].stage = Stage::Copying(key + 1);
        return Action::Absent(at, key);
    }
    let insert = Insert { key, version };
    next.hosts[at].stage = Stage::Waiting(key);
    next.network.push(Message {
        host: at,
        live: true,
        insert,
    });
    Action::Send(at, insert)
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
