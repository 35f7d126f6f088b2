//! A host: takeover, rounds, and the position.

use super::{Action, Fault, Guard, Host, Message, Position, Positions, Stage, State, TERM, Write};
use crate::source::{Event, KEYS};

impl Host {
    pub(super) const STANDBY: Self = Self {
        stage: Stage::Standby,
        term: 0,
        writes: [0; super::GUARDS],
        waits: [false; super::GUARDS],
        position: Position {
            safe: 0,
            clean: false,
            exact_after: 0,
        },
        read: 0,
        applied: [0; KEYS],
        looked_up: [0; KEYS],
    };

    /// Everything before it is applied.
    fn safe(&self, model: &Positions) -> usize {
        if model.is(Fault::PositionBeforeRound) {
            return self.read;
        }
        let ends = self.applied.iter().copied();
        let end = if model.is(Fault::PositionOfTheFastest) {
            ends.max()
        } else {
            ends.min()
        };
        end.unwrap_or_default()
    }

    /// The number of events that a host without knowledge of its predecessor has to look up.
    fn exact_after(&self, model: &Positions) -> usize {
        if model.is(Fault::LookUpsForgotten) {
            return self.position.exact_after;
        }
        let newest = self.looked_up.iter().copied().max().unwrap_or_default();
        self.position.exact_after.max(newest)
    }
}

impl State {
    fn send(&mut self, host: usize, guard: usize, write: Write) {
        self.hosts[host].waits[guard] = true;
        let Host { term, writes, .. } = self.hosts[host];
        self.network.push(Message {
            host,
            live: true,
            guard,
            shown: Guard {
                term,
                writes: writes[guard],
            },
            write,
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

    /// All writers begin, which ends requests of dropped work that are in flight. The position is read.
    fn load(&mut self, at: usize, position: Position) {
        let term = self.hosts[at].term;
        self.orphan(at);
        for guard in self.guards.iter_mut().filter(|guard| guard.term == term) {
            guard.writes += 1;
        }
        self.hosts[at] = Host {
            stage: if position.clean {
                Stage::Beginning
            } else {
                Stage::Marking
            },
            term,
            writes: self.guards.map(|guard| guard.writes),
            position,
            read: position.safe,
            applied: [position.safe; KEYS],
            ..Host::STANDBY
        };
    }
}

impl Positions {
    pub(super) fn host_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let mut next = state.clone();
        let action = match host.stage {
            Stage::Standby if state.lease_term < self.terms => {
                if at > 0 && state.lease_term == 0 {
                    return;
                }
                next.lease_term += 1;
                next.hosts[at].term = next.lease_term;
                next.hosts[at].stage = Stage::Raising(0);
                next.hosts[at].position = next.position;
                Action::Take(at)
            }
            Stage::Raising(guard) => self.raise(&mut next, at, guard),
            Stage::Loading => {
                let early = self.is(Fault::PositionBeforeRaise);
                let position = if early { host.position } else { state.position };
                next.load(at, position);
                Action::Load(at)
            }
            Stage::Marking => self.mark(&mut next, at),
            Stage::Beginning if !host.waits[TERM] => self.begin(&mut next, at),
            Stage::Working => return self.work(state, at, to),
            Stage::Stopped => {
                next.hosts[at].stage = Stage::Loading;
                to.push((Action::Resume(at), next.clone()));
                if state.lease_term == self.terms {
                    return;
                }
                next.hosts[at] = Host::STANDBY;
                Action::Release(at)
            }
            _ => return,
        };
        to.push((action, next));
    }

    /// Applied events are from before the source's present time.
    fn mark(&self, next: &mut State, at: usize) -> Action {
        if !self.is(Fault::DeltasAfterCrash) {
            next.hosts[at].position.exact_after = next.source;
        }
        next.hosts[at].stage = Stage::Beginning;
        Action::Mark(at)
    }

    fn begin(&self, next: &mut State, at: usize) -> Action {
        if self.is(Fault::CleanNotTakenBack) {
            next.hosts[at].stage = Stage::Working;
        } else {
            let position = Position {
                clean: false,
                ..next.hosts[at].position
            };
            next.send(at, TERM, Write::Position(position));
        }
        Action::Begin(at)
    }

    fn raise(&self, next: &mut State, at: usize, guard: usize) -> Action {
        let term = next.hosts[at].term;
        if next.guards[guard].term > term {
            next.hosts[at] = Host::STANDBY;
            return Action::Fenced(at);
        }
        next.guards[guard].term = term;
        let last = guard == TERM;
        let skip = self.is(Fault::OneGuardRaised) && guard == 0;
        next.hosts[at].stage = match guard {
            _ if last => Stage::Loading,
            _ if skip => Stage::Raising(TERM),
            _ => Stage::Raising(guard + 1),
        };
        Action::Raise(at, guard)
    }

    fn work(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let safe = host.safe(self);
        if host.read < state.source {
            let mut next = state.clone();
            next.hosts[at].read += 1;
            self.pass_over(&mut next.hosts[at]);
            to.push((Action::Read(at), next));
        }
        for key in 0..KEYS {
            self.apply(state, at, key, to);
        }
        let position = Position {
            safe,
            clean: false,
            exact_after: host.exact_after(self),
        };
        if safe > host.position.safe && !host.waits[TERM] {
            let mut next = state.clone();
            next.send(at, TERM, Write::Position(position));
            to.push((Action::Send(at, Write::Position(position)), next));
        }
        let idle = host.waits.iter().all(|waits| !waits) && safe == host.read;
        if idle && state.losses > 0 && safe > 0 {
            let mut next = state.clone();
            let clean = Position {
                clean: true,
                ..position
            };
            next.losses -= 1;
            next.hosts[at].stage = Stage::Stopping;
            next.send(at, TERM, Write::Position(clean));
            to.push((Action::Stop(at), next));
        }
        if idle && host.position.safe == self.log.len() {
            let mut next = state.clone();
            next.committed = true;
            to.push((Action::Commit(at), next));
        }
    }

    /// The next event of an applier: another document's, an event to pass over, a look-up or a delta.
    fn apply(&self, state: &State, at: usize, key: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let number = host.applied[key];
        if host.waits[key] || number >= host.read {
            return;
        }
        let event = self.log[number];
        let mut next = state.clone();
        let is_update = matches!(event, Event::Update(_));
        let write = if is_update && number < host.position.exact_after {
            let time = state.source;
            Write::LookUp { key, time }
        } else {
            Write::Event(number)
        };
        next.send(at, key, write);
        to.push((Action::Send(at, write), next));
    }

    pub(super) fn answered(&self, next: &mut State, message: &Message, lands: bool) {
        let at = message.host;
        let host = &mut next.hosts[at];
        if !lands {
            // Fenced, or a work of this term that was dropped has written: begin again.
            let fenced = next.guards[message.guard].term > host.term;
            next.orphan(at);
            let term = next.hosts[at].term;
            next.hosts[at] = Host::STANDBY;
            if !fenced {
                next.hosts[at].term = term;
                next.hosts[at].stage = Stage::Loading;
                next.hosts[at].position = next.position;
            }
            return;
        }
        host.waits[message.guard] = false;
        host.writes[message.guard] += 1;
        match message.write {
            Write::Position(position) => {
                host.position.safe = position.safe;
                host.stage = match host.stage {
                    Stage::Stopping => Stage::Stopped,
                    _ => Stage::Working,
                };
            }
            Write::LookUp { key, time } => {
                host.applied[key] += 1;
                if !self.is(Fault::LookUpNotPassedOver) {
                    host.looked_up[key] = time;
                }
            }
            Write::Event(number) => host.applied[self.log[number].key()] = number + 1,
        }
        self.pass_over(host);
    }

    /// Passes over events of other documents, and events that a later look-up covers.
    fn pass_over(&self, host: &mut Host) {
        for key in 0..KEYS {
            while host.applied[key] < host.read
                && !host.waits[key]
                && (self.log[host.applied[key]].key() != key
                    || host.looked_up[key] > host.applied[key])
            {
                host.applied[key] += 1;
            }
        }
    }

    pub(super) fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        if state.losses == 0 || matches!(host.stage, Stage::Standby | Stage::Stopped) {
            return;
        }
        let mut lost = state.clone();
        lost.losses -= 1;
        lost.orphan(at);
        let term = host.term;
        if matches!(
            host.stage,
            Stage::Beginning | Stage::Working | Stage::Stopping
        ) {
            let mut next = lost.clone();
            next.hosts[at] = Host {
                term,
                stage: Stage::Loading,
                position: next.position,
                ..Host::STANDBY
            };
            to.push((Action::Drop(at), next));
        }
        if term == state.lease_term && state.lease_term < self.terms {
            lost.hosts[at] = Host::STANDBY;
            to.push((Action::Crash(at), lost));
        }
    }
}
