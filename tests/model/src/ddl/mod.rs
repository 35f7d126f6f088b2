//! DDL and takeover: intents, effects that no guard protects, records.
//!
//! Guarded transactions are single steps here: `writers` shows that they may be. A command without a guard (rename,
//! drop) is a message that may arrive at any time, also after its sender is forgotten.

mod host;

use std::fmt;

use crate::checker::Model;

/// Collections, by UUID.
const COLLECTIONS: usize = 2;

/// A collection that is missing.
const NONE: u8 = 0;
pub const A: u8 = 1;
pub const B: u8 = 2;
pub const C: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No intent is persisted: only the effect, then the record.
    NoIntent,
    /// The intent is persisted without the exact position before it.
    IntentWithoutPosition,
    /// Record and position are persisted before the effect.
    RecordBeforeEffect,
    /// Record and position are written outside a guarded transaction.
    RecordUnguarded,
    /// Renames name no UUID.
    ByName,
    /// An intent that was pending at a takeover is forgotten when it ends.
    InFlightForgotten,
    /// An effect whose outcome was unknown within a term is forgotten when its intent ends.
    UnknownForgotten,
    /// A pending intent counts as possibly in flight after a takeover only, not after a work that was dropped.
    OnlyTakeovers,
    /// A pending intent that is found is redone without a guarded write of this term before the effect.
    RedoneUnguarded,
    /// Names are not compared at commit.
    NotComparedAtCommit,
    /// No fault but the limit: a command arrives after commit has compared.
    LateAfterCommit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Write(usize),
    Create(usize, u8),
    Rename(usize, u8),
    Drop(usize),
}

#[derive(Clone, Debug)]
pub struct Ddl {
    /// Events on the source, where the first collection is called `A` at the beginning.
    pub log: Vec<Event>,
    pub hosts: usize,
    pub terms: u8,
    pub losses: u8,
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    Rename { uuid: usize, from: u8, to: u8 },
    Drop { uuid: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    live: bool,
    effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Standby,
    Taken,
    Raised,
    Idle,
    /// The intent is persisted; the effect is looked for by UUID.
    Effect,
    Waiting,
    Record,
    Finished,
}

/// The persisted metadata, and a host's copy of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    position: usize,
    names: [u8; COLLECTIONS],
    /// Collections with an effect that is possibly in flight.
    in_flight: [bool; COLLECTIONS],
    intent: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Host {
    stage: Stage,
    term: u8,
    memory: Record,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    lease_term: u8,
    guard: u8,
    /// The names that the destination's collections have.
    names: [u8; COLLECTIONS],
    /// How many writes of the log each has.
    versions: [usize; COLLECTIONS],
    record: Record,
    committed: bool,
    hosts: Vec<Host>,
    network: Vec<Message>,
    losses: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Take(usize),
    Raise(usize),
    Load(usize),
    Apply(usize, Event),
    Intend(usize, Event),
    Send(usize, Effect),
    Found(usize),
    Record(usize, Event),
    SetRight(usize, Effect),
    Commit(usize),
    Fenced(usize),
    Deliver(usize, Effect, bool),
    GiveUp(usize),
    Drop(usize),
    Crash(usize),
}

impl Host {
    const STANDBY: Self = Self {
        stage: Stage::Standby,
        term: 0,
        memory: Record {
            position: 0,
            names: [NONE; COLLECTIONS],
            in_flight: [false; COLLECTIONS],
            intent: None,
        },
    };
}

impl Event {
    fn collection(self) -> usize {
        match self {
            Self::Write(uuid)
            | Self::Create(uuid, _)
            | Self::Rename(uuid, _)
            | Self::Drop(uuid) => uuid,
        }
    }

    /// The collection's name after the event.
    fn name(self) -> Option<u8> {
        match self {
            Self::Write(_) => None,
            Self::Create(_, name) | Self::Rename(_, name) => Some(name),
            Self::Drop(_) => Some(NONE),
        }
    }
}

impl Ddl {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Names and versions as the source's are after the first events.
    fn source(&self, events: usize) -> ([u8; COLLECTIONS], [usize; COLLECTIONS]) {
        let (mut names, mut versions) = ([NONE; COLLECTIONS], [0; COLLECTIONS]);
        names[0] = A;
        for event in self.log.iter().take(events) {
            match event.name() {
                Some(name) => names[event.collection()] = name,
                None => versions[event.collection()] += 1,
            }
        }
        (names, versions)
    }

    fn next_event(&self, host: &Host) -> Option<Event> {
        self.log.get(host.memory.position).copied()
    }
}

impl State {
    fn send(&mut self, host: usize, effect: Effect) {
        self.hosts[host].stage = Stage::Waiting;
        self.network.push(Message {
            host,
            live: true,
            effect,
        });
    }

    fn orphan(&mut self, host: usize) {
        for message in self
            .network
            .iter_mut()
            .filter(|message| message.host == host)
        {
            message.live = false;
        }
    }

    /// Effect on the destination, by UUID: the name has to be the collection's, and the target's free.
    fn take_effect(&mut self, effect: Effect, by_name: bool) {
        match effect {
            Effect::Drop { uuid } => self.names[uuid] = NONE,
            Effect::Rename { uuid, from, to } => {
                let named = self.names.iter().position(|name| *name == from);
                let uuid = if by_name { named } else { Some(uuid) };
                if let Some(uuid) = uuid.filter(|uuid| self.names[*uuid] == from)
                    && !self.names.contains(&to)
                {
                    self.names[uuid] = to;
                }
            }
        }
    }

    /// The effect that restores the recorded name of a collection whose effects are possibly in flight.
    fn wrong_name(&self, memory: &Record) -> Option<Effect> {
        let wrong = |uuid: &usize| {
            memory.in_flight[*uuid]
                && self.names[*uuid] != NONE
                && self.names[*uuid] != memory.names[*uuid]
        };
        let uuid = (0..COLLECTIONS).find(wrong)?;
        Some(match memory.names[uuid] {
            NONE => Effect::Drop { uuid },
            to => Effect::Rename {
                uuid,
                from: self.names[uuid],
                to,
            },
        })
    }
}

impl Model for Ddl {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        let (names, versions) = self.source(0);
        State {
            lease_term: 0,
            guard: 0,
            names,
            versions,
            record: Record {
                names,
                ..Record::default()
            },
            committed: false,
            hosts: vec![Host::STANDBY; self.hosts],
            network: Vec::new(),
            losses: self.losses,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if !state.committed {
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
            next.network.dedup_by(|a, b| !a.live && !b.live && a == b);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        let (_, applied) = self.source(state.record.position);
        if (0..COLLECTIONS).any(|uuid| state.versions[uuid] < applied[uuid]) {
            return Some("the persisted position never passes an unapplied event");
        }
        let end = self.source(self.log.len());
        let differs = state.committed && (state.names, state.versions) != end;
        differs.then_some("after commit the destination equals the source")
    }

    fn is_end(&self, state: &State) -> bool {
        state.committed
    }
}

impl Ddl {
    fn deliveries(&self, state: &State, to: &mut Vec<(Action, State)>) {
        for (at, message) in state.network.iter().enumerate() {
            let mut next = state.clone();
            next.network.remove(at);
            next.take_effect(message.effect, self.is(Fault::ByName));
            if message.live {
                let host = &mut next.hosts[message.host];
                // The state that a host finds by UUID counts, not the answer.
                let in_intent =
                    host.memory.intent.is_some() || self.is(Fault::NoIntent) && self.at_ddl(host);
                host.stage = if in_intent {
                    Stage::Effect
                } else {
                    Stage::Idle
                };
            }
            to.push((
                Action::Deliver(message.host, message.effect, message.live),
                next,
            ));
        }
    }

    fn at_ddl(&self, host: &Host) -> bool {
        matches!(
            self.next_event(host),
            Some(Event::Rename(..) | Event::Drop(_))
        )
    }
}

impl Effect {
    fn collection(self) -> usize {
        match self {
            Self::Rename { uuid, .. } | Self::Drop { uuid } => uuid,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Take(host) => write!(f, "host {host}: takes the lease"),
            Self::Raise(host) => write!(f, "host {host}: raises the guards"),
            Self::Load(host) => write!(f, "host {host}: reads position, records and intents"),
            Self::Apply(host, event) => write!(f, "host {host}: applies {event:?}"),
            Self::Intend(host, event) => write!(f, "host {host}: persists the intent of {event:?}"),
            Self::Send(host, effect) => write!(f, "host {host}: sends {effect:?}"),
            Self::Found(host) => write!(f, "host {host}: finds the effect by UUID"),
            Self::Record(host, event) => write!(f, "host {host}: records {event:?}"),
            Self::SetRight(host, effect) => {
                write!(f, "host {host}: finds a wrong name, sends {effect:?}")
            }
            Self::Commit(host) => write!(f, "host {host}: compares names, commits"),
            Self::Fenced(host) => write!(f, "host {host}: is fenced"),
            Self::Deliver(host, effect, live) => {
                let late = if live { "" } else { "late, " };
                write!(f, "destination: {late}of host {host}: {effect:?}")
            }
            Self::GiveUp(host) => write!(f, "host {host}: gives up waiting"),
            Self::Drop(host) => {
                write!(f, "host {host}: drops its work and begins again, same term")
            }
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
