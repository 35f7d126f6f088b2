//! A host: takeover, the copy, the stream, commit.

use super::{Action, Copy, Fault, Host, Insert, Message, Partition, STANDBY, Stage, State};
use crate::source::{Event, KEYS, MISSING};

impl Copy {
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

    /// Whether the marks are persisted that the partition's first insert needs. Marks that a host has only read may
    /// be of a newer term than its own: a partition that it finds begun it marks as suspect, guarded, before it
    /// inserts.
    fn has_begun(&self, host: &Host) -> bool {
        host.begun && (host.marked || self.is(Fault::SuspectInMemory))
            || self.is(Fault::BegunTooLate)
    }

    /// Work begins with the persisted state. A partition that is begun then is suspect.
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

    /// The comparison of suspect partitions and the end are a single step: nothing arrives after it.
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

    pub(super) fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
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
