//! Two keys that are one `_id` on the server: strings under a collation, a decimal and a double with one value.
//!
//! The host takes them for two documents, and knows only that their events have to stay in order. One partition, and
//! the applier of both keys: a copy, look-ups of parked keys, later events. A delete of either key deletes the
//! document, whichever form its `_id` has.

use std::fmt;

use crate::{
    checker::Model,
    source::{Event, KEYS},
};

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Parked keys are looked up once, in any order.
    OnePass,
    /// The first pass writes documents, the second deletes.
    PutsFirst,
    /// The first key takes a single pass, before the passes of the second: it is not ambiguous by itself.
    UniqueFirst,
    /// Look-ups are remembered: events of a key up to its time are passed over.
    Remembered,
}

/// A document with two possible keys. The first event finds it under key 0.
#[derive(Clone, Debug)]
pub struct EqualKeys {
    pub log: Vec<Event>,
    /// Updates are never deltas, and look-ups have no known time.
    pub strict: bool,
    pub fault: Option<Fault>,
}

/// The key that the document has, and its version.
type Document = Option<(usize, u8)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Unread,
    InWork,
    /// A pass of look-ups, and whether each key is left.
    Pass(u8, [bool; KEYS]),
    Applies,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    source: usize,
    destination: Document,
    stage: Stage,
    decided: usize,
    parked: [bool; KEYS],
    looked_up: [usize; KEYS],
    exact_after: usize,
    inexact: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Happens(Event),
    Copy(usize),
    Park(Event),
    Done,
    LookUp(u8, usize, usize),
    Apply(Event),
    PassOver(Event),
}

impl EqualKeys {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The document after the first events.
    fn document(&self, events: usize) -> Document {
        let mut document = Some((0, 1));
        for (version, event) in (2..).zip(self.log.iter().take(events)) {
            document = match *event {
                Event::Insert(key) | Event::Update(key) => Some((key, version)),
                Event::Delete(_) => None,
            };
        }
        document
    }

    /// Looks a key up at a time, and writes the answer where the pass has it.
    fn look_up(&self, next: &mut State, key: usize, time: usize, (puts, deletes): (bool, bool)) {
        let found = self.document(time).filter(|(form, _)| *form == key);
        let writes = if found.is_some() { puts } else { deletes };
        if writes {
            next.destination = found;
        }
        if self.strict {
            return;
        }
        // Also where the other pass writes: the document is not as it was before any event up to then.
        next.exact_after = next.exact_after.max(time);
        if writes && self.is(Fault::Remembered) {
            next.looked_up[key] = time;
        }
    }

    fn passes(&self, state: &State, pass: u8, left: [bool; KEYS], to: &mut Vec<(Action, State)>) {
        let second = match self.is(Fault::UniqueFirst) {
            true => [false, state.parked[1]],
            false => state.parked,
        };
        let writes = match pass {
            0 => (true, true),
            _ if self.is(Fault::OnePass) => (true, true),
            1 => (self.is(Fault::PutsFirst), !self.is(Fault::PutsFirst)),
            _ => (!self.is(Fault::PutsFirst), self.is(Fault::PutsFirst)),
        };
        for key in (0..KEYS).filter(|key| left[*key]) {
            for time in state.decided..=state.source {
                let mut next = state.clone();
                let mut left = left;
                left[key] = false;
                self.look_up(&mut next, key, time, writes);
                next.stage = match left.contains(&true) {
                    true => Stage::Pass(pass, left),
                    false if pass == 0 && second[1] => Stage::Pass(1, second),
                    false if pass == 1 && !self.is(Fault::OnePass) => Stage::Pass(2, second),
                    false => Stage::Applies,
                };
                to.push((Action::LookUp(pass, key, time), next));
            }
        }
    }

    fn apply(&self, state: &State, event: Event, to: &mut Vec<(Action, State)>) {
        let (number, key) = (state.decided, event.key());
        let mut next = state.clone();
        next.decided += 1;
        if state.looked_up[key] > number {
            to.push((Action::PassOver(event), next));
            return;
        }
        let is_update = matches!(event, Event::Update(_));
        if is_update && (self.strict || number < state.exact_after) {
            for time in number + 1..=state.source {
                let mut next = next.clone();
                self.look_up(&mut next, key, time, (true, true));
                to.push((Action::LookUp(0, key, time), next));
            }
            return;
        }
        next.inexact |= is_update && state.destination != self.document(number);
        next.destination = self.document(number + 1);
        to.push((Action::Apply(event), next));
    }
}

impl Model for EqualKeys {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            source: 0,
            destination: None,
            stage: Stage::Unread,
            decided: 0,
            parked: [false; KEYS],
            looked_up: [0; KEYS],
            exact_after: 0,
            inexact: false,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if let Some(event) = self.log.get(state.source) {
            let mut next = state.clone();
            next.source += 1;
            to.push((Action::Happens(*event), next));
        }
        let event = self.log.get(state.decided).copied();
        let event = event.filter(|_| state.decided < state.source);
        if let (Stage::Unread | Stage::InWork, Some(event)) = (state.stage, event) {
            let mut next = state.clone();
            next.decided += 1;
            next.parked[event.key()] = true;
            to.push((Action::Park(event), next));
        }
        match state.stage {
            Stage::Unread => {
                for time in 0..=state.source {
                    let mut next = state.clone();
                    next.destination = self.document(time);
                    next.stage = Stage::InWork;
                    to.push((Action::Copy(time), next));
                }
            }
            Stage::InWork => {
                let mut next = state.clone();
                next.exact_after = state.source;
                next.stage = match state.parked.contains(&true) {
                    true if self.is(Fault::UniqueFirst) && state.parked[0] => {
                        Stage::Pass(0, [true, false])
                    }
                    true => Stage::Pass(1, state.parked),
                    false => Stage::Applies,
                };
                to.push((Action::Done, next));
            }
            Stage::Pass(pass, left) => self.passes(state, pass, left, to),
            Stage::Applies => {
                if let Some(event) = event {
                    self.apply(state, event, to);
                }
            }
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        if state.inexact {
            return Some("a delta is applied on the document as it was before");
        }
        let differs = self.is_end(state) && state.destination != self.document(self.log.len());
        differs.then_some("in the end the destination has the document with the source's key")
    }

    fn is_end(&self, state: &State) -> bool {
        state.stage == Stage::Applies && state.decided == self.log.len()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Happens(event) => write!(f, "source: {event:?}"),
            Self::Copy(time) => write!(f, "the copy reads at {time}"),
            Self::Park(event) => write!(f, "the key of {event:?} is parked"),
            Self::Done => write!(f, "the partition is done"),
            Self::LookUp(0, key, time) => write!(f, "an update: key {key} is looked up at {time}"),
            Self::LookUp(pass, key, time) => {
                write!(f, "pass {pass}: key {key} is looked up at {time}")
            }
            Self::Apply(event) => write!(f, "{event:?} is applied"),
            Self::PassOver(event) => write!(f, "{event:?} is passed over"),
        }
    }
}
