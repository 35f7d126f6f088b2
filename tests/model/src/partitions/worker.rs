//! The copy worker of a host: begin, read, insert or compare, done.

use super::{
    Action, Fault, Job, KEYS, MISSING, Message, NONE, Partition, Partitions, Phase, State, Worker,
    host::choices,
};

impl Partitions {
    pub(super) fn worker_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        match host.worker {
            Worker::Idle => {
                // The last partition first.
                let places = host.places.iter().zip(&state.meta.places);
                let mut unfinished = places.map(|(partition, persisted)| {
                    !partition.is_done() && !is_reported(partition, persisted)
                });
                if let Some(place) = unfinished.rposition(|unfinished| unfinished) {
                    self.enter(state, at, place, to);
                }
            }
            Worker::Beginning(place, since) => {
                let mut next = state.clone();
                begin(&mut next, at, place, since);
                to.push((Action::Begin(at, place), next));
            }
            Worker::Begun(place) => self.persist_begun(state, at, place, to),
            Worker::Reads(job) => {
                self.progress(state, at, job, to);
                if self.is_split(state, at, job) {
                    self.read_greatest(state, at, job, to);
                } else if self.next_key(&host.places[job.place]).is_none() {
                    self.finish(state, at, job, to);
                } else if self.is_empty(state, at, job) {
                    copy_empty(state, at, job, to);
                } else if host.places[job.place].compare {
                    self.compare(state, at, job, to);
                } else {
                    self.insert_steps(state, at, to);
                }
            }
            Worker::Greatest(job, key, time) => self.split(state, at, (job, key, time), to),
            Worker::Waits(_) => {}
        }
        self.finish_upper(state, at, to);
        // The work of a new host stops in `persist`.
        let is_waiting = matches!(host.worker, Worker::Waits(_));
        if state.meta.old && state.losses > 0 && !is_waiting {
            self.stop(state, at, to);
        }
    }

    /// The worker takes a partition.
    fn enter(&self, state: &State, at: usize, place: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let mut next = state.clone();
        match host.places[place].phase {
            Phase::Done(_) => {}
            Phase::Unseen => {
                let since = self.time(host.decided);
                if self.is(Fault::BeginIsNoCriticalSection) {
                    next.hosts[at].worker = Worker::Beginning(place, since);
                    to.push((Action::Choose(at, since), next));
                } else {
                    begin(&mut next, at, place, since);
                    to.push((Action::Begin(at, place), next));
                }
            }
            Phase::InWork(_) => {
                let job = Job {
                    place,
                    fresh: false,
                };
                next.hosts[at].worker = match state.meta.places[place].phase {
                    Phase::InWork(_) => Worker::Reads(job),
                    _ => Worker::Begun(place),
                };
                to.push((Action::Begin(at, place), next));
            }
        }
    }

    fn persist_begun(&self, state: &State, at: usize, place: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        let partition = next.hosts[at].places[place];
        // A comparison writes nothing, so a restart may find it unseen, and begins it again.
        if !self.is(Fault::BegunTooLate) && !partition.compare {
            next.meta.places[place] = partition;
        }
        next.hosts[at].worker = Worker::Reads(Job { place, fresh: true });
        to.push((Action::PersistBegun(at), next));
    }

    fn next_key(&self, partition: &Partition) -> Option<usize> {
        (partition.next..partition.upper).find(|key| self.is_used(*key))
    }

    fn progress(&self, state: &State, at: usize, job: Job, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        let host = &next.hosts[at];
        let partition = host.places[job.place];
        let persisted = &mut next.meta.places[job.place];
        let is_in_work = matches!(persisted.phase, Phase::InWork(_));
        if !is_in_work || persisted.next == partition.next {
            return;
        }
        *persisted = partition;
        to.push((Action::Progress(at), next));
    }

    /// The next document of a partition that is copied.
    pub(super) fn insert_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let Worker::Reads(job) = state.hosts[at].worker else {
            return;
        };
        let partition = state.hosts[at].places[job.place];
        let Some(key) = self.next_key(&partition) else {
            return;
        };
        if partition.compare || self.is_split(state, at, job) {
            return;
        }
        for time in self.read_times(&partition, state.source) {
            let mut next = state.clone();
            let version = self.version(key, time);
            let job = Job {
                fresh: false,
                ..job
            };
            if version == MISSING {
                next.hosts[at].places[job.place].next = self.after(key, partition.upper);
                next.hosts[at].worker = Worker::Reads(job);
                to.push((Action::Absent(at, key, time), next));
            } else {
                self.send(&mut next, at, job, (key, version));
                to.push((Action::Send(at, key, version, time), next));
            }
        }
    }

    fn send(&self, next: &mut State, at: usize, job: Job, (key, version): (usize, u8)) {
        let host = &mut next.hosts[at];
        host.worker = Worker::Waits(job);
        next.network.push(Message {
            host: at,
            live: true,
            key,
            version,
            name: self.name_at(host.decided),
            replaces: host.places[job.place].compare,
        });
    }

    /// Whether a partition that is to be compared can be copied, since the destination has nothing of it. Where an
    /// earlier insert may still arrive, the copy would take it for its own.
    fn is_empty(&self, state: &State, at: usize, job: Job) -> bool {
        let partition = state.hosts[at].places[job.place];
        job.fresh
            && partition.compare
            && (!partition.suspect || self.is(Fault::EmptyThoughSuspect))
            && (partition.lower..partition.upper).all(|key| state.documents[key] == MISSING)
    }

    fn read_times(&self, partition: &Partition, now: usize) -> impl Iterator<Item = usize> {
        let since = match partition.phase {
            Phase::InWork(since) if !self.is(Fault::ReadBeforeSince) => since,
            _ => 0,
        };
        choices(since, now)
    }

    /// Reads the next document on both sides.
    fn compare(&self, state: &State, at: usize, job: Job, to: &mut Vec<(Action, State)>) {
        let partition = state.hosts[at].places[job.place];
        let Some(key) = self.next_key(&partition) else {
            return;
        };
        let is_earlier = self.is(Fault::ComparisonOfAnEarlierState);
        let earlier = is_earlier.then_some(state.earlier[key]);
        for time in self.read_times(&partition, state.source) {
            for document in [Some(state.documents[key]), earlier].into_iter().flatten() {
                let differs = self.version(key, time) != document;
                self.compare_at(state, at, job, (key, time, differs), to);
            }
        }
    }

    fn compare_at(
        &self,
        state: &State,
        at: usize,
        job: Job,
        (key, time, differs): (usize, usize, bool),
        to: &mut Vec<(Action, State)>,
    ) {
        let mut next = state.clone();
        let job = Job {
            fresh: false,
            ..job
        };
        if differs && self.is(Fault::ComparisonWrites) {
            self.send(&mut next, at, job, (key, self.version(key, time)));
        } else {
            let host = &mut next.hosts[at];
            let partition = &mut host.places[job.place];
            partition.next = self.after(key, partition.upper);
            host.worker = Worker::Reads(job);
            host.parked |= u8::from(differs) << key;
        }
        to.push((Action::Compare(at, key, time, differs), next));
    }

    /// Whether the last partition was just begun, and takes the inserts of growing `_id`s.
    fn is_split(&self, state: &State, at: usize, job: Job) -> bool {
        let [partition, second] = state.hosts[at].places;
        self.split
            && job.fresh
            && second == NONE
            && (!partition.compare || self.is(Fault::SplitWhileComparing))
    }

    fn read_greatest(&self, state: &State, at: usize, job: Job, to: &mut Vec<(Action, State)>) {
        let partition = state.hosts[at].places[job.place];
        let since = match partition.phase {
            Phase::InWork(since) if !self.is(Fault::GreatestBeforeSince) => since,
            _ => 0,
        };
        for time in choices(since, state.source) {
            let mut next = state.clone();
            let exists = |key: &usize| self.version(*key, time) != MISSING;
            let greatest = (partition.lower..partition.upper).rev().find(exists);
            next.hosts[at].worker = Worker::Greatest(job, greatest, time);
            to.push((Action::ReadGreatest(at, greatest, time), next));
        }
    }

    /// The part from the greatest document on is done from the start. That document is looked up.
    fn split(
        &self,
        state: &State,
        at: usize,
        (job, greatest, time): (Job, Option<usize>, usize),
        to: &mut Vec<(Action, State)>,
    ) {
        let mut next = state.clone();
        let host = &mut next.hosts[at];
        let [lower, upper] = &mut host.places;
        let bound = greatest.unwrap_or(lower.lower);
        // In work until the event loop takes the worker's report, in `finish_upper`.
        *upper = Partition {
            lower: bound,
            next: lower.upper,
            ..*lower
        };
        lower.upper = bound;
        let greatest = greatest.map_or(0, |key| 1 << key);
        if !self.is(Fault::GreatestNotLookedUp) {
            host.parked |= greatest;
        }
        host.worker = Worker::Reads(Job {
            fresh: false,
            ..job
        });
        next.meta.places = host.places;
        next.meta.places[1].phase = Phase::Done(time);
        if !self.is(Fault::GreatestNotPersisted) {
            next.meta.parked |= host.parked & greatest;
        }
        to.push((Action::Split(at), next));
    }

    /// The upper part is done, and its parked keys are handed to the appliers.
    fn finish_upper(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let (partition, persisted) = (state.hosts[at].places[1], state.meta.places[1]);
        let Phase::Done(until) = persisted.phase else {
            return;
        };
        if !is_reported(&partition, &persisted) {
            return;
        }
        let mut next = state.clone();
        let host = &mut next.hosts[at];
        host.places[1] = persisted;
        if self.is(Fault::ParkedAboveForgotten) {
            host.parked &= !partition.keys();
        }
        host.hand_over(partition.keys());
        to.push((Action::Finish(at, 1, until), next));
    }

    /// The partition is done, and its parked keys are handed to the appliers.
    fn finish(&self, state: &State, at: usize, job: Job, to: &mut Vec<(Action, State)>) {
        let partition = state.hosts[at].places[job.place];
        let Phase::InWork(since) = partition.phase else {
            return;
        };
        // The primary's time, after the last read.
        let until = match self.is(Fault::UntilBeforeReads) {
            true => since,
            // Version 3 has no F.
            false if state.meta.old => 0,
            false => state.source,
        };
        let mut next = state.clone();
        let keys = partition.keys();
        let host = &mut next.hosts[at];
        host.places[job.place].phase = Phase::Done(until);
        host.places[job.place].next = partition.upper;
        host.worker = Worker::Idle;
        if self.is(Fault::ParkedNotLookedUp) {
            host.parked &= !keys;
        }
        host.hand_over(keys);
        if self.is(Fault::ParkedRemovedEarly) {
            next.meta.parked &= !keys;
        }
        if next.meta.old {
            self.put_done(&mut next, at, job.place);
        }
        to.push((Action::Finish(at, job.place, until), next));
    }
}

/// Whether the partition is persisted as done by its worker, and the event loop does not know it.
fn is_reported(partition: &Partition, persisted: &Partition) -> bool {
    !partition.is_done() && persisted.is_done()
}

/// From now on the partition is copied.
fn copy_empty(state: &State, at: usize, job: Job, to: &mut Vec<(Action, State)>) {
    let mut next = state.clone();
    let partition = &mut next.hosts[at].places[job.place];
    partition.compare = false;
    next.meta.places[job.place] = *partition;
    next.hosts[at].worker = Worker::Reads(Job {
        fresh: false,
        ..job
    });
    to.push((Action::PersistBegun(at), next));
}

/// T0 is the time of the newest event that is decided, in one critical section with decisions.
fn begin(next: &mut State, at: usize, place: usize, since: usize) {
    debug_assert!(place < KEYS);
    let host = &mut next.hosts[at];
    host.places[place].phase = Phase::InWork(since);
    host.worker = Worker::Begun(place);
}
