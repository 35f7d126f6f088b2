//! A host: takeover, the event loop, and what it persists.

use super::{
    Action, Event, Fault, Host, KEYS, Keys, Meta, Partition, Partitions, Pending, Phase, Stage,
    State, Worker,
};

impl Host {
    /// Everything before it is applied, passed over or parked.
    fn safe(&self) -> usize {
        let first = self.queue.iter().filter_map(|pending| pending.event).min();
        first.unwrap_or(self.decided)
    }

    /// Queues the look-ups of parked keys among `keys`.
    pub(super) fn hand_over(&mut self, keys: Keys) {
        for key in (0..KEYS).filter(|key| self.parked & keys & 1 << key != 0) {
            self.queue.push(Pending {
                key,
                event: None,
                look_up: true,
            });
        }
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.worker, Worker::Waits(_))
    }
}

impl Partitions {
    pub(super) fn host_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        if host.stage == Stage::Standby {
            self.take(state, at, to);
        } else if host.term < state.lease_term {
            // No guard is looked at before an insert of the copy.
            self.insert_steps(state, at, to);
            let mut next = state.clone();
            next.orphan(at);
            next.hosts[at] = Host::STANDBY;
            to.push((Action::Fenced(at), next));
        } else if host.term <= self.old_terms {
            self.worker_steps(state, at, to);
        } else {
            match host.stage {
                Stage::Works => {
                    self.worker_steps(state, at, to);
                    self.decide(state, at, to);
                    self.apply(state, at, to);
                    self.persist(state, at, to);
                    self.mark(state, at, to);
                    self.commit(state, at, to);
                }
                Stage::Effect => self.effect(state, at, to),
                Stage::Record => self.record(state, at, to),
                Stage::Resync(time) => self.resync(state, at, time, to),
                Stage::Marks => self.end_resync(state, at, host.decided, to),
                Stage::Standby => {}
            }
        }
    }

    /// Standbys are equal: the first takes the lease.
    fn take(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let is_first = |host: &Host| host.stage == Stage::Standby;
        if state.lease_term < self.terms && state.hosts.iter().position(is_first) == Some(at) {
            let mut next = state.clone();
            next.lease_term += 1;
            next.hosts.iter_mut().for_each(Host::fence);
            next.hosts[at].term = next.lease_term;
            self.load(&mut next, at);
            to.push((Action::Take(at), next));
        }
    }

    /// Work begins with the persisted state, in which it marks what may still arrive.
    fn load(&self, next: &mut State, at: usize) {
        next.orphan(at);
        let term = next.hosts[at].term;
        let is_old = term <= self.old_terms;
        let meta = &mut next.meta;
        let is_exact = meta.clean && !meta.old || self.is(Fault::OldDeltas) && meta.old;
        let exact_after = if is_exact {
            meta.exact_after
        } else {
            next.source
        };
        self.find(meta, is_old);
        meta.clean = false;
        let mut host = Host {
            stage: match meta {
                Meta { resync: true, .. } => Stage::Resync(next.source),
                Meta { intent: true, .. } => Stage::Effect,
                _ => Stage::Works,
            },
            term,
            decided: meta.position,
            exact_after,
            places: meta.places,
            ..Host::STANDBY
        };
        if !meta.resync && !self.is(Fault::ParkedNotLocated) {
            self.locate(&mut host, meta.parked);
        }
        next.hosts[at] = host;
    }

    /// Partitions in work are suspect, unless the last work has ended cleanly. A host of version 3 forgets that they
    /// are in work, which the migration repairs.
    fn find(&self, meta: &mut Meta, is_old: bool) {
        let migrates = meta.old && !is_old;
        for partition in &mut meta.places {
            if let Phase::InWork(_) = partition.phase {
                partition.suspect |= !meta.clean;
                if is_old || self.is(Fault::InWorkIsUnseen) {
                    partition.phase = Phase::Unseen;
                }
            }
            let is_advanced = partition.next > partition.lower && !self.is(Fault::OldBegunAlone);
            let is_suspect = partition.suspect
                && !self.is(Fault::OldBegunAlone)
                && !self.is(Fault::OldSuspectIsUnseen);
            if migrates && partition.phase == Phase::Unseen && (is_advanced || is_suspect) {
                partition.phase = Phase::InWork(0);
            }
        }
        meta.old = is_old;
    }

    fn locate(&self, host: &mut Host, parked: Keys) {
        for partition in host.places {
            let keys = parked & partition.keys();
            match partition.phase {
                Phase::Unseen => {}
                Phase::InWork(_) => host.parked |= keys,
                Phase::Done(_) if self.is(Fault::ParkedOfDoneDropped) => {}
                Phase::Done(_) => {
                    host.parked |= keys;
                    host.hand_over(keys);
                }
            }
        }
    }

    /// Decides on the next event.
    fn decide(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let number = host.decided;
        if number >= state.source {
            return;
        }
        if number < state.lost {
            self.begin_resync(state, at, to);
            return;
        }
        let event = self.log[number];
        let mut next = state.clone();
        match event {
            Event::Insert(key) | Event::Update(key) | Event::Delete(key) => {
                self.decide_document(&mut next.hosts[at], event, key);
                to.push((Action::Decide(at, event), next));
            }
            _ => self.barrier(state, at, event, to),
        }
    }

    /// Whether the rounds are drained and the worker is withdrawn.
    pub(super) fn is_idle(&self, host: &Host, fault: Fault) -> bool {
        host.queue.is_empty() && (!host.waits() || self.is(fault))
    }

    fn decide_document(&self, host: &mut Host, event: Event, key: usize) {
        let number = host.decided;
        host.decided += 1;
        let Some(partition) = host.places.iter().find(|it| it.holds(key)) else {
            return;
        };
        let until = match partition.phase {
            Phase::Unseen if self.is(Fault::AppliedUnseen) => 0,
            Phase::Unseen => return,
            Phase::InWork(_) => {
                if !self.is(Fault::PassedOverInWork) {
                    host.parked |= 1 << key;
                }
                return;
            }
            Phase::Done(_) if self.is(Fault::DeltasUpToUntil) => 0,
            Phase::Done(until)
                if self.is(Fault::UntilForgottenAtEqualTime) && self.time(number) >= until =>
            {
                0
            }
            Phase::Done(until) => until,
        };
        let is_update = matches!(event, Event::Update(_));
        host.queue.push(Pending {
            key,
            event: Some(number),
            look_up: is_update && number < until.max(host.exact_after),
        });
    }

    /// The next write of each document.
    fn apply(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let queue = &state.hosts[at].queue;
        for (number, pending) in queue.iter().enumerate() {
            let earlier = queue.iter().take(number).filter(|it| it.key == pending.key);
            let may_overtake = self.is(Fault::LookUpOvertaken) && pending.event.is_some();
            let is_next = earlier
                .into_iter()
                .all(|it| may_overtake && it.event.is_none());
            if is_next && state.exists[self.collection(pending.key)] {
                self.write(state, at, number, to);
            }
        }
    }

    fn write(&self, state: &State, at: usize, number: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        if self.is(Fault::ComparisonOfAnEarlierState) {
            next.earlier = state.documents;
        }
        let host = &mut next.hosts[at];
        let Pending {
            key,
            event,
            look_up,
        } = host.queue.remove(number);
        if let Some(event) = event
            && host.looked_up[key] > event
        {
            to.push((Action::Apply(at, key, None), next));
        } else if look_up {
            if event.is_none() {
                host.parked &= !(1 << key);
            }
            let is_late = event.is_none() && self.is(Fault::LookUpAtAnyTime);
            let low = if is_late { 0 } else { self.time(host.decided) };
            for time in choices(low, next.source) {
                let mut next = next.clone();
                next.documents[key] = self.version(key, time);
                next.hosts[at].looked_up[key] = time;
                to.push((Action::LookUp(at, key, time), next));
            }
        } else if let Some(event) = event {
            // An insert that meets a document is a replacement; an update is a delta.
            let is_delta = matches!(self.log[event], Event::Update(_));
            next.inexact |= is_delta && next.documents[key] != self.version(key, event);
            next.documents[key] = self.version(key, event + 1);
            to.push((Action::Apply(at, key, Some(event)), next));
        }
    }

    fn persist(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        self.put_position(&mut next, at);
        if next.meta != state.meta {
            to.push((Action::Position(at, next.meta.position), next));
        }
        let host = &state.hosts[at];
        for place in 0..host.places.len() {
            if host.places[place].is_done() && !state.meta.places[place].is_done() {
                let mut next = state.clone();
                self.put_done(&mut next, at, place);
                to.push((Action::PersistDone(at, place), next));
            }
        }
        let is_stoppable = state.losses > 0 && self.is_idle(host, Fault::DdlKeepsWorker);
        if is_stoppable && !host.waits() {
            self.stop(state, at, to);
        }
    }

    /// Position, parked keys and finished partitions are one transaction.
    pub(super) fn put_position(&self, next: &mut State, at: usize) {
        let host = &next.hosts[at];
        let meta = &mut next.meta;
        meta.position = host.safe();
        if !self.is(Fault::ParkedNotPersisted) {
            meta.parked = host.parked;
        }
        if self.is(Fault::HandedForgotten) {
            let handed = host.queue.iter().filter(|it| it.event.is_none());
            meta.parked &= !handed.fold(0, |keys, it| keys | 1 << it.key);
        }
        for place in 0..host.places.len() {
            let partition = host.places[place];
            if partition.is_done() && !self.is(Fault::DoneAfterPosition) {
                meta.places[place] = self.persisted(partition);
            }
        }
    }

    fn persisted(&self, partition: Partition) -> Partition {
        match partition.phase {
            Phase::Done(_) if self.is(Fault::UntilNotPersisted) => Partition {
                phase: Phase::Done(0),
                ..partition
            },
            _ => partition,
        }
    }

    /// A difference has no event that comes again, so it is persisted before its partition is done.
    pub(super) fn put_done(&self, next: &mut State, at: usize, place: usize) {
        let host = &next.hosts[at];
        let partition = host.places[place];
        next.meta.places[place] = self.persisted(partition);
        if partition.compare && !self.is(Fault::DoneWithoutDifferences) {
            next.meta.parked |= host.parked & partition.keys();
        }
    }

    pub(super) fn stop(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        next.losses -= 1;
        let is_old = next.meta.old;
        if !is_old {
            self.put_position(&mut next, at);
        }
        let host = &next.hosts[at];
        let meta = &mut next.meta;
        meta.clean = true;
        let newest = host.looked_up.iter().copied().max();
        meta.exact_after = host.exact_after.max(newest.unwrap_or_default());
        for (persisted, partition) in meta.places.iter_mut().zip(host.places) {
            if let (Phase::InWork(_), Phase::InWork(_)) = (persisted.phase, partition.phase) {
                *persisted = partition;
                if is_old {
                    persisted.phase = Phase::Unseen;
                }
            }
        }
        if state.lease_term < self.terms {
            let mut next = next.clone();
            next.hosts[at] = Host::STANDBY;
            to.push((Action::Stop(at, true), next));
        }
        self.load(&mut next, at);
        to.push((Action::Stop(at, false), next));
    }

    pub(super) fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        if state.losses == 0 || host.stage == Stage::Standby {
            return;
        }
        let mut lost = state.clone();
        lost.losses -= 1;
        lost.orphan(at);
        if let Worker::Waits(job) = host.worker {
            let mut next = lost.clone();
            next.hosts[at].worker = Worker::Reads(job);
            next.hosts[at].places[job.place].suspect |= !self.is(Fault::LostReplyForgotten);
            to.push((Action::GiveUp(at), next));
        }
        if host.term == state.lease_term {
            let mut next = lost.clone();
            self.load(&mut next, at);
            to.push((Action::DropWork(at), next));
        }
        if host.term == state.lease_term && state.lease_term < self.terms {
            lost.hosts[at] = Host::STANDBY;
            to.push((Action::Crash(at), lost));
        }
    }
}

/// The earliest and the latest time.
pub(super) fn choices(earliest: usize, latest: usize) -> impl Iterator<Item = usize> {
    let later = (latest > earliest).then_some(latest);
    std::iter::once(earliest).chain(later)
}
