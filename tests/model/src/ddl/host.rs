//! A host: takeover, the three steps of a DDL event, commit.

use super::{Action, Ddl, Effect, Event, Fault, Host, NONE, Stage, State};

impl Ddl {
    pub(super) fn host_step(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
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
            Stage::Effect => self.effect(&mut next, at),
            Stage::Idle | Stage::Record if state.guard == host.term => {
                match self.guarded(&mut next, at) {
                    Some(action) => action,
                    None => return,
                }
            }
            Stage::Record if self.is(Fault::RecordUnguarded) => match self.guarded(&mut next, at) {
                Some(action) => action,
                None => return,
            },
            Stage::Taken | Stage::Idle | Stage::Record => {
                next.hosts[at] = Host::STANDBY;
                Action::Fenced(at)
            }
            _ => return,
        };
        to.push((action, next));
    }

    /// Work begins with the persisted state. An intent that is pending then is possibly in flight.
    fn load(&self, next: &mut State, at: usize, takeover: bool) {
        let host = &mut next.hosts[at];
        host.memory = next.record;
        host.stage = Stage::Idle;
        if let Some(intent) = next.record.intent
            && (takeover || !self.is(Fault::OnlyTakeovers))
            && !self.is(Fault::InFlightForgotten)
        {
            host.memory.in_flight[self.log[intent].collection()] = true;
        }
        if next.record.intent.is_some() && self.is(Fault::RedoneUnguarded) {
            host.stage = Stage::Effect;
        }
    }

    fn guarded(&self, next: &mut State, at: usize) -> Option<Action> {
        let host = next.hosts[at];
        let memory = host.memory;
        let Some(event) = self.next_event(&host) else {
            return Some(self.commit(next, at));
        };
        if host.stage == Stage::Record {
            self.record(next, at, event);
            return Some(Action::Record(at, event));
        }
        if let Event::Write(uuid) = event {
            if next.names[uuid] == NONE || next.names[uuid] != memory.names[uuid] {
                return self.set_right(next, at);
            }
            let (_, versions) = self.source(memory.position + 1);
            next.versions[uuid] = next.versions[uuid].max(versions[uuid]);
            next.hosts[at].memory.position += 1;
            return Some(Action::Apply(at, event));
        }
        if memory.intent.is_none()
            && let Some(action) = self.set_right(next, at)
        {
            return Some(action);
        }
        if let Event::Create(uuid, name) = event {
            if next.names.contains(&name) && next.names[uuid] != name {
                return None;
            }
            next.names[uuid] = name;
            self.record(next, at, event);
            return Some(Action::Record(at, event));
        }
        self.intend(next, at);
        Some(Action::Intend(at, event))
    }

    fn intend(&self, next: &mut State, at: usize) {
        let position = next.hosts[at].memory.position;
        if !self.is(Fault::NoIntent) {
            next.record.intent = Some(position);
            next.hosts[at].memory.intent = Some(position);
        }
        if !self.is(Fault::NoIntent) && !self.is(Fault::IntentWithoutPosition) {
            next.record.position = position;
        }
        if self.is(Fault::RecordBeforeEffect) {
            let name = self.log[position].name().unwrap_or_default();
            next.record.names[self.log[position].collection()] = name;
            next.record.position = position + 1;
            next.record.intent = None;
        }
        next.hosts[at].stage = Stage::Effect;
    }

    /// Asks by UUID whether the effect is there.
    fn effect(&self, next: &mut State, at: usize) -> Action {
        let memory = next.hosts[at].memory;
        let (Some(event), Some(wanted)) = (
            self.log.get(memory.position).copied(),
            self.log.get(memory.position).and_then(|event| event.name()),
        ) else {
            return Action::Found(at);
        };
        let uuid = event.collection();
        let from = next.names[uuid];
        if from == wanted || from == NONE {
            next.hosts[at].stage = Stage::Record;
            return Action::Found(at);
        }
        if next.names.contains(&wanted)
            && wanted != NONE
            && let Some(effect) = next.wrong_name(&memory)
        {
            next.send(at, effect);
            return Action::SetRight(at, effect);
        }
        let effect = match wanted {
            NONE => Effect::Drop { uuid },
            to => Effect::Rename { uuid, from, to },
        };
        next.send(at, effect);
        Action::Send(at, effect)
    }

    /// Record, position after, and the end of the intent, in one transaction.
    fn record(&self, next: &mut State, at: usize, event: Event) {
        let host = &mut next.hosts[at];
        if let Some(name) = event.name() {
            host.memory.names[event.collection()] = name;
        }
        host.memory.position += 1;
        host.memory.intent = None;
        host.stage = Stage::Idle;
        next.record = host.memory;
    }

    fn set_right(&self, next: &mut State, at: usize) -> Option<Action> {
        let effect = next.wrong_name(&next.hosts[at].memory)?;
        next.send(at, effect);
        Some(Action::SetRight(at, effect))
    }

    /// The last comparison and the end are a single step: nothing is assumed to arrive after it.
    fn commit(&self, next: &mut State, at: usize) -> Action {
        if !self.is(Fault::NotComparedAtCommit)
            && let Some(action) = self.set_right(next, at)
        {
            return action;
        }
        next.record.position = self.log.len();
        next.committed = true;
        next.hosts[at].stage = Stage::Finished;
        Action::Commit(at)
    }

    pub(super) fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = state.hosts[at];
        if state.losses == 0 || matches!(host.stage, Stage::Standby | Stage::Finished) {
            return;
        }
        let mut lost = state.clone();
        lost.losses -= 1;
        lost.orphan(at);
        if let Some(message) = state.network.iter().find(|m| m.live && m.host == at) {
            let mut next = lost.clone();
            next.hosts[at].stage = if host.memory.intent.is_some() {
                Stage::Effect
            } else {
                Stage::Idle
            };
            if !self.is(Fault::UnknownForgotten) {
                next.hosts[at].memory.in_flight[message.effect.collection()] = true;
            }
            to.push((Action::GiveUp(at), next));
        }
        if !matches!(host.stage, Stage::Taken | Stage::Raised) && state.guard == host.term {
            let mut next = lost.clone();
            self.load(&mut next, at, false);
            to.push((Action::Drop(at), next));
        }
        if host.term == state.lease_term && state.lease_term < self.terms {
            lost.hosts[at] = Host::STANDBY;
            to.push((Action::Crash(at), lost));
        }
    }
}
