//! Rounds, positions and takeover: two appliers, each with its guard, and the position with a third.
//!
//! A guarded transaction is a single message here, which lands if its guard has the term and the counter
//! that it names: `writers` shows that it may be. Each applier has the events of a single document. Rounds
//! are single events; they are read in order, applied by each applier at its own pace, and the
//! position moves when everything up to it is applied.

mod host;

use std::fmt;

use crate::{
    checker::Model,
    source::{self, Event, KEYS},
};

/// The guard of the metadata; those before it are the appliers'.
const TERM: usize = KEYS;
const GUARDS: usize = KEYS + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The position moves when events are read, not when they are applied.
    PositionBeforeRound,
    /// The position is that of the fastest applier.
    PositionOfTheFastest,
    /// Only the first applier's guard is raised.
    OneGuardRaised,
    /// The position is read before the guards are raised.
    PositionBeforeRaise,
    /// After a crash, events are applied as deltas at once.
    DeltasAfterCrash,
    /// The clean mark is not taken back before the first write.
    CleanNotTakenBack,
    /// A clean stop does not persist up to when documents were looked up.
    LookUpsForgotten,
    /// The guard's filter of the position has the term alone.
    CounterNotInFilter,
    /// Look-ups are not remembered: the events up to their time are applied once more.
    LookUpNotPassedOver,
}

#[derive(Clone, Debug)]
pub struct Positions {
    pub log: Vec<Event>,
    pub hosts: usize,
    pub terms: u8,
    /// Crashes, works dropped in their term, and clean stops.
    pub losses: u8,
    pub fault: Option<Fault>,
}

/// The persisted position: how many events are before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    safe: usize,
    clean: bool,
    exact_after: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Write {
    /// Brings the document to the version after the event.
    Event(usize),
    /// The document as the source has it at a time.
    LookUp {
        key: usize,
        time: usize,
    },
    Position(Position),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Guard {
    term: u8,
    writes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    live: bool,
    guard: usize,
    shown: Guard,
    write: Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Standby,
    /// Raises the guard of this number next.
    Raising(usize),
    Loading,
    /// About to read the source's time.
    Marking,
    /// Takes the clean mark back.
    Beginning,
    Working,
    Stopping,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Host {
    stage: Stage,
    term: u8,
    writes: [u8; GUARDS],
    waits: [bool; GUARDS],
    position: Position,
    read: usize,
    /// Up to which event each applier is done.
    applied: [usize; KEYS],
    looked_up: [usize; KEYS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    source: usize,
    lease_term: u8,
    guards: [Guard; GUARDS],
    documents: [u8; KEYS],
    /// Up to which event each document is.
    reached: [usize; KEYS],
    position: Position,
    twice: bool,
    outdated: bool,
    newest: [u8; KEYS],
    committed: bool,
    hosts: Vec<Host>,
    network: Vec<Message>,
    losses: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Happens(Event),
    Take(usize),
    Raise(usize, usize),
    Load(usize),
    Mark(usize),
    Begin(usize),
    Read(usize),
    Send(usize, Write),
    Stop(usize),
    Resume(usize),
    Release(usize),
    Commit(usize),
    Fenced(usize),
    Deliver(usize, Write, bool),
    Drop(usize),
    Crash(usize),
}

impl Positions {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn documents(&self, events: usize) -> [u8; KEYS] {
        source::documents(&self.log, events)
    }
}

impl Model for Positions {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            source: 0,
            lease_term: 0,
            guards: [Guard::default(); GUARDS],
            documents: self.documents(0),
            reached: [0; KEYS],
            position: Position {
                safe: 0,
                clean: true,
                exact_after: 0,
            },
            twice: false,
            outdated: false,
            newest: [0; KEYS],
            committed: false,
            hosts: vec![Host::STANDBY; self.hosts],
            network: Vec::new(),
            losses: self.losses,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if let Some(event) = self.log.get(state.source) {
            let mut next = state.clone();
            next.source += 1;
            to.push((Action::Happens(*event), next));
        }
        if !state.committed {
            for at in 0..self.hosts {
                self.host_steps(state, at, to);
                self.host_losses(state, at, to);
            }
        }
        self.deliveries(state, to);
        for (_, next) in to.iter_mut() {
            self.normalize(next);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        let before = self.log.iter().take(state.position.safe).enumerate();
        let mut unapplied = before.filter(|(event, what)| state.reached[what.key()] <= *event);
        if unapplied.next().is_some() {
            return Some("the persisted position never passes an unapplied event");
        }
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

impl Positions {
    /// A message that can never match a guard again has no effect, unless a fault lets it match.
    fn normalize(&self, state: &mut State) {
        let guards = state.guards;
        state.network.retain(|message| {
            let spared = match self.fault {
                Some(Fault::CounterNotInFilter) => message.guard == TERM,
                Some(Fault::OneGuardRaised) => message.guard == 1,
                _ => false,
            };
            message.live || spared || message.shown >= guards[message.guard]
        });
        state.network.sort_unstable();
    }

    fn deliveries(&self, state: &State, to: &mut Vec<(Action, State)>) {
        for (at, message) in state.network.iter().enumerate() {
            let mut next = state.clone();
            next.network.remove(at);
            let guard = &mut next.guards[message.guard];
            let counted = guard.writes == message.shown.writes
                || message.guard == TERM && self.is(Fault::CounterNotInFilter);
            let unraised = self.is(Fault::OneGuardRaised) && guard.term <= message.shown.term;
            let lands = (guard.term == message.shown.term || unraised) && counted;
            if lands {
                guard.writes += 1;
                self.land(&mut next, message);
            }
            if message.live {
                self.answered(&mut next, message, lands);
            }
            to.push((
                Action::Deliver(message.host, message.write, message.live),
                next,
            ));
        }
    }

    fn land(&self, next: &mut State, message: &Message) {
        let (key, reached) = match message.write {
            Write::Position(position) => {
                next.position = position;
                return;
            }
            Write::LookUp { key, time } => {
                next.documents[key] = self.documents(time)[key];
                (key, time)
            }
            Write::Event(number) => {
                let event = self.log[number];
                let key = event.key();
                let before = self.documents(number)[key];
                // Inserts become replacements and deletes find nothing: updates alone are deltas.
                next.twice |= matches!(event, Event::Update(_)) && next.documents[key] != before;
                next.documents[key] = self.documents(number + 1)[key];
                (key, number + 1)
            }
        };
        next.reached[key] = next.reached[key].max(reached);
        next.outdated |= message.shown.term < next.newest[key];
        next.newest[key] = next.newest[key].max(message.shown.term);
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Happens(event) => write!(f, "source: {event:?}"),
            Self::Take(host) => write!(f, "host {host}: takes the lease"),
            Self::Raise(host, TERM) => write!(f, "host {host}: raises the guard of the metadata"),
            Self::Raise(host, guard) => {
                write!(f, "host {host}: raises the guard of applier {guard}")
            }
            Self::Load(host) => write!(f, "host {host}: bumps all guards, reads the position"),
            Self::Mark(host) => write!(f, "host {host}: reads the source's time"),
            Self::Begin(host) => write!(f, "host {host}: takes the clean mark back"),
            Self::Read(host) => write!(f, "host {host}: reads an event"),
            Self::Send(host, write) => write!(f, "host {host}: sends {write:?}"),
            Self::Stop(host) => write!(f, "host {host}: stops, persists the position as clean"),
            Self::Resume(host) => write!(f, "host {host}: resumes in its term"),
            Self::Release(host) => write!(f, "host {host}: gives the lease back"),
            Self::Commit(host) => write!(f, "host {host}: commits"),
            Self::Fenced(host) => write!(f, "host {host}: is fenced"),
            Self::Deliver(host, write, live) => {
                let late = if live { "" } else { "late, " };
                write!(f, "destination: {late}of host {host}: {write:?}")
            }
            Self::Drop(host) => {
                write!(f, "host {host}: drops its work and begins again, same term")
            }
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
