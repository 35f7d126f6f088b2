//! Boundaries: DDL, recopies, resyncs and commit.

use super::{
    Action, Event, Fault, KEYS, Keys, MISSING, NONE, Partition, Partitions, Phase, Places, Stage,
    State, Worker,
};

impl Partitions {
    /// A DDL event waits until the rounds are drained, and takes its collection from the worker.
    pub(super) fn barrier(
        &self,
        state: &State,
        at: usize,
        event: Event,
        to: &mut Vec<(Action, State)>,
    ) {
        let host = &state.hosts[at];
        let mut next = state.clone();
        match event {
            Event::Rename | Event::Drop if self.is_idle(host, Fault::DdlKeepsWorker) => {
                self.put_position(&mut next, at);
                if self.is(Fault::IntentWithoutParked) {
                    next.meta.parked = state.meta.parked;
                }
                next.meta.intent = true;
                next.hosts[at].stage = Stage::Effect;
                if !host.waits() {
                    next.hosts[at].worker = Worker::Idle;
                }
                to.push((Action::Intend(at, event), next));
            }
            Event::Create | Event::Enter if host.queue.is_empty() => {
                let mut partition = Partition::unseen(self.first_keys(), KEYS);
                if event == Event::Create || self.is(Fault::EnteredIsReady) {
                    partition.phase = Phase::Done(0);
                }
                next.exists[1] = true;
                next.hosts[at].decided += 1;
                self.put_position(&mut next, at);
                next.meta.places[1] = partition;
                next.hosts[at].places[1] = partition;
                to.push((Action::Record(at, event), next));
            }
            _ => {}
        }
    }

    /// A recopy, at a boundary.
    pub(super) fn mark(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let is_drained = host.queue.is_empty() || self.is(Fault::MarkUndrained);
        let is_withdrawn = !host.waits() || self.is(Fault::MarkKeepsWorker);
        let is_useful = host.places.iter().any(|it| it.phase != Phase::Unseen);
        if state.marks == 0 || !is_drained || !is_withdrawn || !is_useful {
            return;
        }
        if self.is(Fault::ParkedDroppedBeforeMark) && state.meta.parked != 0 {
            let mut next = state.clone();
            next.meta.parked = 0;
            to.push((Action::DropParked(at), next));
        }
        let mut next = state.clone();
        next.marks -= 1;
        self.put_position(&mut next, at);
        self.put_marks(&mut next, at);
        to.push((Action::Mark(at), next));
    }

    /// Marks every partition that was begun, and drops the parked keys.
    fn put_marks(&self, next: &mut State, at: usize) {
        next.orphan(at);
        let host = &mut next.hosts[at];
        for partition in &mut host.places {
            if partition.lower < partition.upper {
                self.put_mark(partition);
            }
        }
        // Writes of rounds that were not drained (a fault) go on.
        host.queue.retain(|pending| pending.event.is_some());
        host.parked = 0;
        if !self.is(Fault::MarkKeepsLookUps) {
            host.looked_up = [0; KEYS];
        }
        host.worker = Worker::Idle;
        next.meta.parked = 0;
        next.meta.places = host.places;
    }

    fn put_mark(&self, partition: &mut Partition) {
        let is_in_work = matches!(partition.phase, Phase::InWork(_));
        if partition.phase == Phase::Unseen {
            return;
        }
        partition.compare = !self.is(Fault::MarkWithoutCompare);
        partition.suspect &= !self.is(Fault::MarkForgetsSuspect);
        if !is_in_work || !self.is(Fault::MarkKeepsProgress) {
            partition.next = partition.lower;
        }
        if !is_in_work || !self.is(Fault::MarkKeepsWork) {
            partition.phase = Phase::Unseen;
        }
    }

    /// Asks by UUID whether the effect is there.
    pub(super) fn effect(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let event = self.log[state.hosts[at].decided];
        let mut next = state.clone();
        self.bring(&mut next, state.hosts[at].decided + 1);
        next.hosts[at].stage = Stage::Record;
        to.push((Action::Effect(at, event), next));
    }

    /// Brings the first collection's name and existence to a time.
    fn bring(&self, next: &mut State, events: usize) {
        next.name = self.name_at(events);
        if self.has(Event::Drop, events) {
            next.exists[0] = false;
            next.documents[..self.first_keys()].fill(MISSING);
        }
    }

    pub(super) fn record(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        let host = &mut next.hosts[at];
        let event = self.log[host.decided];
        host.decided += 1;
        host.stage = Stage::Works;
        next.meta.intent = false;
        next.meta.position = host.decided;
        if event == Event::Drop {
            host.worker = Worker::Idle;
            self.forget_first(&mut host.places, &mut host.parked);
            self.forget_first(&mut next.meta.places, &mut next.meta.parked);
        }
        to.push((Action::Record(at, event), next));
    }

    fn forget_first(&self, places: &mut Places, parked: &mut Keys) {
        for partition in places {
            if self.collection(partition.lower) == 0 {
                *parked &= !partition.keys();
                *partition = NONE;
            }
        }
    }

    /// The position is lost. The intent of the resync is persisted before its first effect.
    pub(super) fn begin_resync(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        if self.is_idle(&state.hosts[at], Fault::MarkKeepsWorker) {
            let mut next = state.clone();
            next.meta.resync = !self.is(Fault::ResyncNotPersisted);
            next.hosts[at].worker = Worker::Idle;
            next.hosts[at].stage = Stage::Resync(next.source);
            to.push((Action::BeginResync(at, next.source), next));
        }
    }

    pub(super) fn resync(
        &self,
        state: &State,
        at: usize,
        time: usize,
        to: &mut Vec<(Action, State)>,
    ) {
        let mut next = state.clone();
        self.bring(&mut next, time);
        if (next.name, next.exists) != (state.name, state.exists) {
            to.push((Action::Effect(at, Event::Enter), next));
        } else if self.is(Fault::ResyncPositionFirst) {
            next.meta.position = time;
            next.meta.resync = false;
            next.hosts[at].decided = time;
            next.hosts[at].stage = Stage::Marks;
            to.push((Action::ResyncPosition(at), next));
        } else {
            self.end_resync(state, at, time, to);
        }
    }

    /// The position, the marks and the reconciled catalog are one transaction.
    pub(super) fn end_resync(
        &self,
        state: &State,
        at: usize,
        time: usize,
        to: &mut Vec<(Action, State)>,
    ) {
        let mut next = state.clone();
        let is_later = self.is(Fault::ResyncPositionLater);
        let position = if is_later { next.source } else { time };
        let host = &mut next.hosts[at];
        host.decided = position;
        host.exact_after = host.exact_after.max(position);
        host.stage = Stage::Works;
        if self.has(Event::Drop, time) {
            self.forget_first(&mut host.places, &mut host.parked);
        }
        let second = self.has(Event::Create, time) || self.has(Event::Enter, time);
        self.put_marks(&mut next, at);
        if second && !next.exists[1] {
            next.exists[1] = true;
            let partition = Partition::unseen(self.first_keys(), KEYS);
            next.hosts[at].places[1] = partition;
            next.meta.places[1] = partition;
        }
        next.meta.position = position;
        next.meta.resync = false;
        next.meta.intent = false;
        to.push((Action::EndResync(at), next));
    }

    /// The comparison of suspect partitions and the end are a single step: nothing arrives after it.
    pub(super) fn commit(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let end = self.log.len();
        let is_drained = state.source == end && host.decided == end && host.queue.is_empty();
        let is_done = host.parked == 0 && host.places.iter().all(Partition::is_done);
        if !is_drained || !is_done && !self.is(Fault::CommitByPosition) {
            return;
        }
        let mut next = state.clone();
        let is_suspect = |key: usize| host.places.iter().any(|it| it.suspect && it.holds(key));
        let is_extra = |key: &usize| {
            next.documents[*key] != MISSING
                && self.version(*key, end) == MISSING
                && is_suspect(*key)
        };
        let extra = (0..KEYS).find(is_extra);
        if let Some(key) = extra
            && !self.is(Fault::SuspectNotCompared)
        {
            next.documents[key] = MISSING;
            to.push((Action::CompareSuspect(at), next));
        } else {
            next.committed = true;
            to.push((Action::Commit(at), next));
        }
    }
}
