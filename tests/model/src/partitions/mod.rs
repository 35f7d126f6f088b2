//! The state machine of documents: changes are applied while partitions are copied or compared.
//!
//! Times are numbers of events on the source. Reads of the source may be of any time that their bound allows, so a
//! lagging secondary is covered. Inserts of the copy have no guard and may arrive at any time. Every other write is a
//! guarded transaction, which is a single step here: `writers` and `positions` show that it may be. Taking the lease,
//! raising the guards, reading the metadata and marking what was found in work are one step for the same reason:
//! nothing is sent between them. Effects of DDL are single steps, too: `ddl` has them late.

mod action;
mod boundary;
mod fault;
mod host;
mod source;
mod surroundings;
mod worker;

pub use action::Action;
pub use fault::Fault;

use crate::checker::Model;

/// Documents, by key.
pub const KEYS: usize = 3;

const MISSING: u8 = 0;

/// An event on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Insert(usize),
    Update(usize),
    Delete(usize),
    /// Of the first collection.
    Rename,
    /// Of the first collection.
    Drop,
    /// Of the second collection, with the first collection's first name.
    Create,
    /// The second collection comes into scope.
    Enter,
}

/// A sync, its source, and what may happen to it.
#[derive(Clone, Debug)]
pub struct Partitions {
    pub log: Vec<Event>,
    /// The number of events that are one transaction, at the begin of the log.
    pub together: usize,
    /// Documents at the beginning.
    pub documents: Vec<usize>,
    /// Upper bounds of the first collection's partitions, at most two. Later keys are of the second collection.
    pub bounds: Vec<usize>,
    /// Whether the last partition is split at its greatest document.
    pub split: bool,
    pub hosts: usize,
    pub terms: u8,
    /// Terms of hosts of metadata version 3, which copy only.
    pub old_terms: u8,
    pub losses: u8,
    /// How often an operator may ask for a recopy.
    pub marks: u8,
    /// How often the source's oplog may lose all events.
    pub rollovers: u8,
    /// Whether lost events may come back, with another member of the source.
    pub regains: bool,
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Unseen,
    /// Read at or after T0.
    InWork(usize),
    /// Read at or before F.
    Done(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Partition {
    lower: usize,
    upper: usize,
    /// The next document to read.
    next: usize,
    phase: Phase,
    compare: bool,
    suspect: bool,
}

/// A set of keys.
type Keys = u8;

/// Partitions of both collections. An unused place has no keys.
type Places = [Partition; 2];

/// The persisted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Meta {
    position: usize,
    clean: bool,
    exact_after: usize,
    places: Places,
    parked: Keys,
    intent: bool,
    resync: bool,
    /// Of version 3.
    old: bool,
}

/// A write of an applier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pending {
    key: usize,
    /// Its number; `None` for a parked key.
    event: Option<usize>,
    look_up: bool,
}

/// The copy worker of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    /// T0 is chosen, and the state has not changed (a fault).
    Beginning(usize, usize),
    /// The partition at this place has begun, but is not persisted as such.
    Begun(usize),
    /// Reads on.
    Reads(Job),
    /// Waits for the answer to an insert.
    Waits(Job),
    /// Has read the greatest document at a time.
    Greatest(Job, Option<usize>, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Job {
    place: usize,
    /// The partition is begun for the first time, and nothing was inserted.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Standby,
    Works,
    /// The intent of a DDL event is persisted.
    Effect,
    Record,
    /// The catalog is of this time.
    Resync(usize),
    /// The position is persisted, the marks are not (a fault).
    Marks,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    stage: Stage,
    term: u8,
    /// Events that have been decided.
    decided: usize,
    exact_after: usize,
    looked_up: [usize; KEYS],
    places: Places,
    /// Until they are looked up.
    parked: Keys,
    queue: Vec<Pending>,
    worker: Worker,
}

/// An insert of the copy on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    live: bool,
    key: usize,
    version: u8,
    /// The name that the collection has for the sender.
    name: u8,
    /// Replaces or deletes (a fault).
    replaces: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How many events the source has, and how many of them its oplog has lost.
    source: usize,
    lost: usize,
    lease_term: u8,
    meta: Meta,
    /// The destination's documents, and which collections exist.
    documents: [u8; KEYS],
    /// The documents before the last write of an applier, where a comparison may read them (a fault).
    earlier: [u8; KEYS],
    exists: [bool; 2],
    /// Renames of the first collection that are done.
    name: u8,
    inexact: bool,
    committed: bool,
    hosts: Vec<Host>,
    network: Vec<Message>,
    losses: u8,
    marks: u8,
    rollovers: u8,
    regains: bool,
}

/// An unused place.
const NONE: Partition = Partition {
    lower: KEYS,
    upper: KEYS,
    next: KEYS,
    phase: Phase::Done(0),
    compare: false,
    suspect: false,
};

impl Partition {
    fn unseen(lower: usize, upper: usize) -> Self {
        Self {
            lower,
            upper,
            next: lower,
            phase: Phase::Unseen,
            ..NONE
        }
    }

    fn holds(&self, key: usize) -> bool {
        (self.lower..self.upper).contains(&key)
    }

    /// Its keys.
    fn keys(&self) -> Keys {
        (self.lower..self.upper).fold(0, |keys, key| keys | 1 << key)
    }

    fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }
}

impl Host {
    const STANDBY: Self = Self {
        stage: Stage::Standby,
        term: 0,
        decided: 0,
        exact_after: 0,
        looked_up: [0; KEYS],
        places: [NONE; 2],
        parked: 0,
        queue: Vec::new(),
        worker: Worker::Idle,
    };
}

impl Host {
    /// Of a host that is fenced only inserts of the copy are left.
    fn fence(&mut self) {
        let is_copying = match self.worker {
            Worker::Reads(job) | Worker::Waits(job) => !self.places[job.place].compare,
            _ => false,
        };
        *self = match is_copying {
            false => Self::STANDBY,
            true => Self {
                stage: Stage::Works,
                term: self.term,
                decided: self.decided,
                places: self.places,
                worker: self.worker,
                ..Self::STANDBY
            },
        };
    }
}

impl State {
    fn orphan(&mut self, host: usize) {
        for message in self.network.iter_mut().filter(|it| it.host == host) {
            message.live = false;
        }
    }
}

impl Partitions {
    /// Makes states equal that no later step distinguishes.
    fn normalize(&self, state: &mut State) {
        if state.committed {
            *state = State {
                documents: state.documents,
                exists: state.exists,
                name: state.name,
                committed: true,
                ..self.initial()
            };
            return;
        }
        // Events before the position never come again.
        let passed = state.meta.position;
        let forget = |time: &mut usize| {
            if *time <= passed {
                *time = 0;
            }
        };
        let forget_until = |partition: &mut Partition| {
            if let Phase::Done(until) = &mut partition.phase {
                forget(until);
            }
        };
        forget(&mut state.meta.exact_after);
        state.meta.places.iter_mut().for_each(forget_until);
        for host in &mut state.hosts {
            forget(&mut host.exact_after);
            host.looked_up.iter_mut().for_each(forget);
            host.places.iter_mut().for_each(forget_until);
        }
        for message in state.network.iter_mut().filter(|it| !it.live) {
            message.host = 0;
        }
        state.network.sort_unstable();
    }
}

impl Model for Partitions {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        let mut places = [NONE; 2];
        let mut lower = 0;
        for (place, upper) in places.iter_mut().zip(&self.bounds) {
            *place = Partition::unseen(lower, *upper);
            lower = *upper;
        }
        State {
            source: 0,
            lost: 0,
            lease_term: 0,
            meta: Meta {
                position: 0,
                clean: true,
                exact_after: 0,
                places,
                parked: 0,
                intent: false,
                resync: false,
                old: self.old_terms > 0,
            },
            documents: [MISSING; KEYS],
            earlier: [MISSING; KEYS],
            exists: [true, false],
            name: 0,
            inexact: false,
            committed: false,
            hosts: vec![Host::STANDBY; self.hosts],
            network: Vec::new(),
            losses: self.losses,
            marks: self.marks,
            rollovers: self.rollovers,
            regains: self.regains,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if state.committed {
            return;
        }
        self.surroundings(state, to);
        for at in 0..self.hosts {
            self.host_steps(state, at, to);
            self.host_losses(state, at, to);
        }
        for (_, next) in to.iter_mut() {
            self.normalize(next);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        if state.inexact {
            return Some("a delta is applied exactly once, on the document as it was before");
        }
        let differs = state.committed && !self.is_equal(state);
        differs.then_some("after commit the destination equals the source")
    }

    fn is_end(&self, state: &State) -> bool {
        state.committed
    }
}
