//! A host as leader: lease, assignments, events, commit.

use super::{Action, Fault, IDLE, Item, Items, Leader, Partition, Role, State, Worker};
use crate::source::{Event, KEYS, MISSING};

impl Items {
    pub(super) fn lease_step(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        let action = match state.hosts[at].role {
            Role::Standby if state.lease_term < self.terms => {
                // The hosts are alike but for the release, so the first host begins.
                if at > 0 && state.lease_term == 0 {
                    return;
                }
                next.lease_term += 1;
                next.hosts[at].role = Role::Taken(next.lease_term);
                Action::Take(at)
            }
            Role::Taken(term) if state.guard <= term => {
                next.guard = term;
                next.hosts[at].role = Role::Raised(term);
                Action::Raise(at)
            }
            Role::Raised(term) if state.guard == term => {
                self.begin(&mut next, at, term);
                Action::Begin(at)
            }
            Role::Taken(_) | Role::Raised(_) => {
                next.hosts[at].role = Role::Standby;
                Action::Fenced(at)
            }
            Role::Standby | Role::Leads(_) => return,
        };
        to.push((action, next));
    }

    /// The first transaction of a work.
    fn begin(&self, next: &mut State, at: usize, term: u8) {
        let in_work = next.partition.begun_at.is_some() && next.partition.done_at.is_none();
        next.partition.suspect |= in_work && !self.is(Fault::TakeoverNotSuspect);
        if self.knows_items(at) {
            next.item = None;
        }
        if self.is(Fault::TokenUsedTwice) {
            next.tokens = 0;
        }
        next.hosts[at].role = Role::Leads(Leader {
            term,
            partition: next.partition,
            token: None,
            exact_after: next.source,
            looked_up: [0; KEYS],
        });
    }

    /// Every step is a guarded transaction.
    pub(super) fn leader_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let Role::Leads(leader) = state.hosts[at].role else {
            return;
        };
        let is_fenced = state.guard != leader.term;
        if is_fenced {
            let mut next = state.clone();
            next.hosts[at].role = Role::Standby;
            // Its own copy ends with it; a copy for another leader goes on.
            if next.hosts[at]
                .worker
                .is_some_and(|worker| worker.token == 0)
            {
                next.hosts[at].worker = None;
                next.orphan(at);
            }
            to.push((Action::Fenced(at), next));
            if !self.is(Fault::LeaderUnguarded) {
                return;
            }
        }
        let before = to.len();
        match leader.partition.done_at {
            None => self.copy_steps(state, at, leader, to),
            Some(_) => self.look_ups(state, at, leader, to),
        }
        self.copy_again(state, at, leader, to);
        self.event(state, at, leader, to);
        self.end(state, at, leader, to);
        for (_, next) in to.iter_mut().skip(before) {
            next.outdated |= is_fenced;
        }
    }

    fn copy_steps(&self, state: &State, at: usize, leader: Leader, to: &mut Vec<(Action, State)>) {
        let copies_alone = state.hosts[at]
            .worker
            .is_some_and(|worker| worker.token == 0);
        match leader.token {
            None if !copies_alone => self.assign(state, at, leader, to),
            None => self.end_alone(state, at, leader, to),
            Some(token) => self.end_item(state, at, leader, token, to),
        }
    }

    fn assign(&self, state: &State, at: usize, leader: Leader, to: &mut Vec<(Action, State)>) {
        let begun_at = leader.partition.begun_at.unwrap_or(state.position);
        let mut begun = state.clone();
        let partition = Partition {
            begun_at: Some(begun_at),
            ..leader.partition
        };
        if !self.is(Fault::BegunTooLate) {
            begun.partition = partition;
        }
        let leader = Leader {
            partition,
            ..leader
        };
        // The leader's own copy is what `copy` and `partitions` have: here it is the last resort.
        let is_left = self.knows_items(at) && state.assignments > 0;
        if state.hosts[at].worker.is_none() && !is_left {
            let mut next = begun.clone();
            next.hosts[at].role = Role::Leads(leader);
            next.hosts[at].worker = Some(Worker::new(0, state.uuid, begun_at));
            to.push((Action::CopyAlone(at), next));
        }
        let Some(assignments) = state.assignments.checked_sub(1) else {
            return;
        };
        if !self.knows_items(at) {
            return;
        }
        for holder in (0..self.hosts).filter(|host| self.knows_items(*host)) {
            let mut next = begun.clone();
            next.assignments = assignments;
            next.tokens += 1;
            let token = next.tokens;
            next.item = Some(Item {
                token,
                holder: Some(holder),
                begun_at,
                end: None,
            });
            next.hosts[at].role = Role::Leads(Leader {
                token: Some(token),
                ..leader
            });
            to.push((Action::Assign(at, holder), next));
        }
    }

    fn end_alone(&self, state: &State, at: usize, leader: Leader, to: &mut Vec<(Action, State)>) {
        let own = state.hosts[at].worker.filter(|worker| worker.has_copied());
        if let Some(worker) = own {
            let mut next = state.clone();
            next.hosts[at].worker = None;
            self.done(&mut next, at, leader, (state.source, worker.suspect));
            to.push((Action::Accept(at), next));
        }
    }

    fn end_item(
        &self,
        state: &State,
        at: usize,
        leader: Leader,
        token: u8,
        to: &mut Vec<(Action, State)>,
    ) {
        let mine = |item: &Item| item.token == token;
        let report = state.item.filter(mine).and_then(|item| item.end);
        if let Some(report) = report {
            let mut next = state.clone();
            next.item = None;
            self.done(&mut next, at, leader, (report.done_at, report.suspect));
            to.push((Action::Accept(at), next));
        } else if !self.is(Fault::NeverTakenAway) {
            let mut next = state.clone();
            next.item = None;
            let mut partition = leader.partition;
            partition.suspect |= !self.is(Fault::TakenAwayNotSuspect);
            if self.is(Fault::TakenAwayIsUnseen) {
                partition.begun_at = None;
                next.parked = [false; KEYS];
            }
            next.partition = partition;
            next.hosts[at].role = Role::Leads(Leader {
                partition,
                token: None,
                ..leader
            });
            to.push((Action::TakeAway(at), next));
        }
    }

    fn done(&self, next: &mut State, at: usize, leader: Leader, (done_at, suspect): (usize, bool)) {
        let mut partition = leader.partition;
        partition.done_at = Some(match self.is(Fault::EndBeforeReads) {
            true => partition.begun_at.unwrap_or_default(),
            false => done_at,
        });
        partition.suspect |= suspect;
        next.partition = partition;
        next.hosts[at].role = Role::Leads(Leader {
            partition,
            token: None,
            ..leader
        });
    }

    /// A resync that finds another collection: it has another UUID from then on.
    fn copy_again(&self, state: &State, at: usize, leader: Leader, to: &mut Vec<(Action, State)>) {
        let Some(copies_again) = state.copies_again.checked_sub(1) else {
            return;
        };
        let mut next = state.clone();
        next.copies_again = copies_again;
        next.position = state.source;
        next.partition = Partition::default();
        (next.item, next.parked) = (None, [false; KEYS]);
        (next.uuid, next.documents) = (state.uuid + 1, [MISSING; KEYS]);
        let host = &mut next.hosts[at];
        host.role = Role::Leads(Leader {
            partition: next.partition,
            token: None,
            ..leader
        });
        if host.worker.is_some_and(|worker| worker.token == 0) {
            host.worker = None;
            next.orphan(at);
        }
        to.push((Action::CopyAgain(at), next));
    }

    fn look_ups(
        &self,
        state: &State,
        at: usize,
        mut leader: Leader,
        to: &mut Vec<(Action, State)>,
    ) {
        let Some(key) = (0..KEYS).find(|key| state.parked[*key]) else {
            return;
        };
        let mut next = state.clone();
        next.parked[key] = false;
        next.documents[key] = self.documents(state.source)[key];
        leader.looked_up[key] = state.source;
        next.hosts[at].role = Role::Leads(leader);
        to.push((Action::LookUp(at, key), next));
    }

    fn event(&self, state: &State, at: usize, mut leader: Leader, to: &mut Vec<(Action, State)>) {
        if state.position >= state.source {
            return;
        }
        let event = self.log[state.position];
        let (key, number) = (event.key(), state.position + 1);
        let mut next = state.clone();
        next.position = number;
        match (leader.partition.begun_at, leader.partition.done_at) {
            (None, _) => {}
            (Some(_), None) => next.parked[key] = true,
            // The appliers look parked keys up before they apply a later event of them.
            (Some(_), Some(_)) if state.parked[key] => return,
            (Some(_), Some(_)) if leader.looked_up[key] >= number => {}
            (Some(_), Some(done_at)) if number <= done_at.max(leader.exact_after) => {
                next.documents[key] = self.documents(state.source)[key];
                leader.looked_up[key] = state.source;
                next.hosts[at].role = Role::Leads(leader);
            }
            _ => {
                let before = self.documents(number - 1)[key];
                next.twice |= matches!(event, Event::Update(_)) && state.documents[key] != before;
                next.documents[key] = self.documents(number)[key];
            }
        }
        to.push((Action::Decide(at, event), next));
    }

    /// The comparison of a suspect partition and the end are a single step: nothing arrives after it.
    fn end(&self, state: &State, at: usize, leader: Leader, to: &mut Vec<(Action, State)>) {
        let is_done = leader.partition.done_at.is_some() && state.parked == [false; KEYS];
        if !is_done || state.position < self.log.len() {
            return;
        }
        let source = self.documents(state.source);
        let mut next = state.clone();
        let extra = |key: &usize| state.documents[*key] != MISSING && source[*key] == MISSING;
        if let Some(key) = (0..KEYS).find(extra).filter(|_| leader.partition.suspect) {
            next.documents[key] = MISSING;
            to.push((Action::Compare(at), next));
            return;
        }
        next.committed = true;
        to.push((Action::Commit(at), next));
    }

    pub(super) fn losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = state.hosts[at];
        let Some(losses) = state.losses.checked_sub(1) else {
            return;
        };
        let mut lost = state.clone();
        lost.losses = losses;
        lost.orphan(at);
        if let Some(worker) = host.worker.filter(|worker| worker.waits) {
            let mut next = lost.clone();
            let suspect = worker.suspect || !self.is(Fault::LostReplyForgotten);
            next.hosts[at].worker = Some(Worker {
                waits: false,
                suspect,
                ..worker
            });
            to.push((Action::GiveUp(at), next));
        }
        // No term is left for a host after the last.
        if host != IDLE && host.role.term() < self.terms {
            lost.hosts[at] = IDLE;
            if let Some(item) = &mut lost.item
                && item.holder == Some(at)
                && !self.is(Fault::BegunTwice)
            {
                item.holder = None;
            }
            to.push((Action::Crash(at), lost));
        }
    }
}
