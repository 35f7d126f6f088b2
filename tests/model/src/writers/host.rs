//! A host: its next steps, and its reactions to an answer, or to a missing answer.

use super::{Action, Answer, Fault, Host, Message, Request, Stage, State, Write, Writers};

impl Host {
    pub(super) fn standby(number: u8) -> Self {
        Self {
            stage: Stage::Standby,
            pending: None,
            term: 0,
            writes: 0,
            commit_sent: false,
            number,
            applied: 0,
            exact_after: None,
            batch: None,
        }
    }

    /// Whether the host is at work in the transaction of this number.
    pub(super) fn owns(&self, number: u8) -> bool {
        let at_work = matches!(
            self.stage,
            Stage::Starting | Stage::Writing | Stage::Committing
        );
        at_work && self.number == number
    }

    /// Whether the lease was taken for this host by a request that it had given up.
    pub(super) fn is_unaware_of(&self, term: u8) -> bool {
        self.term < term && self.pending.is_none() && self.stage != Stage::Taking
    }

    fn forget(&mut self) {
        *self = Self::standby(self.number + 1);
    }
}

impl State {
    fn send(&mut self, host: usize, request: Request) {
        self.network.push(Message {
            host,
            live: true,
            request,
        });
    }

    /// The host's messages lose their receiver.
    fn orphan(&mut self, host: usize) {
        self.hosts[host].pending = None;
        for message in self
            .network
            .iter_mut()
            .filter(|message| message.host == host)
        {
            message.live = false;
        }
    }
}

impl Writers {
    pub(super) fn host_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let mut next = state.clone();
        let action = match host.stage {
            // The hosts are alike, so the first host takes the lease first.
            Stage::Standby if self.spare_terms(state) > 0 => {
                if at > 0 && state.server.primary.lease_term == 0 {
                    return;
                }
                next.hosts[at].stage = Stage::Taking;
                next.send(at, Request::Take);
                Action::Take(at)
            }
            Stage::Marking => {
                self.mark(&mut next, at);
                next.hosts[at].stage = Stage::Idle;
                Action::Mark(at)
            }
            Stage::Idle if host.applied < state.source => {
                let event = host.applied + 1;
                let batch = if Some(event) <= host.exact_after {
                    Write::Replace { with: state.source }
                } else {
                    Write::Delta { to: event }
                };
                next.hosts[at].batch = Some(batch);
                self.attempt(&mut next, at);
                Action::Begin(at)
            }
            Stage::Resolving => {
                self.resolve(&mut next, at);
                Action::Resolve(at)
            }
            _ => return,
        };
        to.push((action, next));
    }

    /// Everything that is applied already is from before the source's time now.
    fn mark(&self, next: &mut State, at: usize) {
        let host = &mut next.hosts[at];
        let is_read = self.is(Fault::TimeBeforeRaise) && host.exact_after.is_some();
        if self.is(Fault::DeltasAfterTakeover) {
            host.exact_after = Some(0);
        } else if !is_read {
            host.exact_after = Some(next.source);
        }
    }

    fn attempt(&self, next: &mut State, at: usize) {
        let host = &mut next.hosts[at];
        host.stage = Stage::Starting;
        let Host {
            number,
            term,
            writes,
            ..
        } = *host;
        next.send(
            at,
            Request::Start {
                number,
                term,
                writes,
            },
        );
    }

    fn raise(&self, next: &mut State, at: usize) {
        if self.is(Fault::TimeBeforeRaise) {
            next.hosts[at].exact_after = Some(next.source);
        }
        if self.is(Fault::NoRaise) {
            return self.bump(next, at);
        }
        next.hosts[at].stage = Stage::Raising;
        let term = next.hosts[at].term;
        next.send(at, Request::Raise { term });
    }

    /// A writer begins: its counter is read by majority, and counted up from just that.
    fn bump(&self, next: &mut State, at: usize) {
        let writes = next.server.majority.guard.writes;
        let host = &mut next.hosts[at];
        host.applied = 0;
        host.batch = None;
        host.commit_sent = false;
        if !self.bump {
            host.writes = writes;
            host.stage = Stage::Marking;
            return;
        }
        host.stage = Stage::Bumping;
        let term = host.term;
        next.send(at, Request::Bump { term, writes });
    }

    pub(super) fn answered(&self, next: &mut State, at: usize, answer: Answer) {
        match answer {
            Answer::Taken { term } => {
                next.hosts[at].term = term;
                self.raise(next, at);
            }
            Answer::Raised => self.bump(next, at),
            Answer::Fenced => next.hosts[at].forget(),
            Answer::Bumped { writes } => {
                next.hosts[at].writes = writes;
                next.hosts[at].stage = Stage::Marking;
            }
            Answer::NoMatch if next.hosts[at].stage == Stage::Bumping => {
                self.bump_refused(next, at)
            }
            Answer::NoMatch => next.hosts[at].stage = Stage::Resolving,
            Answer::Started => {
                let host = &mut next.hosts[at];
                host.stage = Stage::Writing;
                let (number, write) = (host.number, host.batch);
                if let Some(write) = write {
                    next.send(at, Request::Statement { number, write });
                }
            }
            Answer::Written => {
                let host = &mut next.hosts[at];
                host.stage = Stage::Committing;
                host.commit_sent = true;
                let number = host.number;
                next.send(at, Request::Commit { number });
            }
            Answer::NoTransaction => self.attempt(next, at),
            Answer::Committed => next.hosts[at].committed(),
        }
    }

    fn bump_refused(&self, next: &mut State, at: usize) {
        if next.server.majority.guard.term > next.hosts[at].term {
            next.hosts[at].forget();
        } else {
            self.bump(next, at);
        }
    }

    /// The outcome of a commit, or why the guard did not match.
    fn resolve(&self, next: &mut State, at: usize) {
        let guard = if self.is(Fault::ResolvedByLocalRead) {
            next.server.primary.guard
        } else {
            next.server.majority.guard
        };
        let host = &mut next.hosts[at];
        if self.is(Fault::UnknownIsNotDone) && guard.term == host.term {
            host.writes = guard.writes;
            self.attempt(next, at);
        } else if guard.term > host.term && !self.is(Fault::NoRaise) {
            host.forget();
        } else if guard.term < host.term && !self.is(Fault::NoRaise) {
            self.raise(next, at);
        } else if guard.writes == host.writes {
            self.attempt(next, at);
        } else if guard.writes == host.writes + 1 && host.commit_sent {
            host.committed();
        } else {
            // Another work of this term has begun, or counted.
            self.bump(next, at);
        }
    }

    /// No answer came, and none will be heard.
    pub(super) fn given_up(&self, next: &mut State, at: usize) {
        next.orphan(at);
        let source = next.source;
        let host = &mut next.hosts[at];
        match host.stage {
            Stage::Taking => host.forget(),
            Stage::Raising => self.raise(next, at),
            Stage::Bumping => self.bump(next, at),
            Stage::Writing if self.is(Fault::StatementRepeated) => {
                self.answered(next, at, Answer::Started);
            }
            Stage::Starting | Stage::Writing => {
                host.number += 1;
                self.attempt(next, at);
            }
            Stage::Committing => {
                host.number += 1;
                if self.is(Fault::UnknownIsDone) {
                    host.committed();
                } else if self.is(Fault::RebuiltWhileUnknown) {
                    host.batch = Some(Write::Replace { with: source });
                    host.stage = Stage::Resolving;
                } else {
                    host.stage = Stage::Resolving;
                }
            }
            _ => {}
        }
    }

    pub(super) fn host_losses(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let host = &state.hosts[at];
        let holds_lease = state.server.primary.lease_holder == at;
        let waits = host.pending.is_some() || state.network.iter().any(|m| m.host == at && m.live);
        let mut lost = state.clone();
        if host.stage == Stage::Standby || !lost.take_loss() {
            return;
        }
        if waits && (host.stage != Stage::Taking || self.spare_terms(state) > 0) {
            let mut next = lost.clone();
            self.given_up(&mut next, at);
            to.push((Action::GiveUp(at, host.stage.name()), next));
        }
        if host.stage.is_work() {
            let mut next = lost.clone();
            next.orphan(at);
            next.hosts[at].number += 1;
            next.hosts[at].exact_after = None;
            self.bump(&mut next, at);
            to.push((Action::Drop(at), next));
        }
        if holds_lease && self.spare_terms(state) > 0 && host.stage != Stage::Taking {
            lost.orphan(at);
            lost.hosts[at].forget();
            to.push((Action::Crash(at), lost));
        }
    }
}

impl Host {
    fn committed(&mut self) {
        self.applied = match self.batch.take() {
            Some(Write::Delta { to }) => to,
            Some(Write::Replace { with }) => with,
            None => self.applied,
        };
        self.writes += 1;
        self.commit_sent = false;
        self.stage = Stage::Idle;
    }
}

impl Stage {
    fn is_work(self) -> bool {
        !matches!(
            self,
            Self::Standby | Self::Taking | Self::Raising | Self::Bumping
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Taking => "the lease",
            Self::Raising => "the raise",
            Self::Bumping => "the bump",
            Self::Starting => "the guard's update",
            Self::Writing => "the statement",
            Self::Committing => "the commit",
            _ => "nothing",
        }
    }
}
