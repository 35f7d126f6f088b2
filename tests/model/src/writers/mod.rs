//! Writers and takeover: a single guard, message by message.
//!
//! A source with updates of a document, a destination with the lease, a guard document and the document, hosts that
//! take the lease from one another, and a network that loses and delays. A document is its version: how many of the
//! source's updates it has. A delta brings version v to v + 1 and is right on v alone; a look-up writes the version
//! that the source has now. A host that begins starts at the first event each time: the worst replay there is.

mod host;
mod server;

use std::fmt;

use crate::checker::Model;
use server::{Data, Server};

/// A mistake that is put into the protocol on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A new holder writes without raising the guard's term.
    NoRaise,
    /// Raise and bump are believed before a majority has them.
    RaiseNotMajority,
    /// The lease is believed before a majority has it.
    LeaseNotMajority,
    /// The bump increments any counter, so that a late bump does, too.
    BumpUnconditional,
    /// The guard is read in the transaction, not written.
    GuardOnlyRead,
    /// The guard's filter has the term alone.
    CounterNotInFilter,
    /// A commit is believed before a majority has it.
    CommitNotMajority,
    /// An unknown commit is taken as done.
    UnknownIsDone,
    /// An unknown commit is taken as not done, and the counter is read again.
    UnknownIsNotDone,
    /// An unknown commit is resolved by the primary's data, not by the majority's.
    ResolvedByLocalRead,
    /// After an unknown commit a batch is built again before the earlier attempt is known to be dead.
    RebuiltWhileUnknown,
    /// A statement whose reply was lost is sent again inside its transaction.
    StatementRepeated,
    /// After a takeover, events are applied as deltas at once.
    DeltasAfterTakeover,
    /// The source's time is read before the guard is raised.
    TimeBeforeRaise,
}

#[derive(Clone, Copy, Debug)]
pub struct Writers {
    pub hosts: usize,
    /// Terms that can begin.
    pub terms: u8,
    /// Updates on the source.
    pub events: u8,
    /// Requests given up, works dropped, live transactions ended and holders crashed, together.
    pub losses: u8,
    /// Step-downs that roll back writes without a majority.
    pub roll_backs: u8,
    /// Whether a writer that begins increments the counter. Otherwise it only reads it by majority.
    pub bump: bool,
    pub fault: Option<Fault>,
}

/// Effect of a transaction on the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Write {
    Delta { to: u8 },
    Replace { with: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Takes the lease, whose time is over by chance.
    Take,
    Raise {
        term: u8,
    },
    /// `findAndModify {_id, term, writes}, {$inc: {writes: 1}}`.
    Bump {
        term: u8,
        writes: u8,
    },
    /// The first statement of a transaction: the guard.
    Start {
        number: u8,
        term: u8,
        writes: u8,
    },
    Statement {
        number: u8,
        write: Write,
    },
    Commit {
        number: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    host: usize,
    /// The sender waits for the answer.
    live: bool,
    request: Request,
}

/// An answer of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Taken {
        term: u8,
    },
    Raised,
    Fenced,
    Bumped {
        writes: u8,
    },
    /// The guard's filter matched nothing.
    NoMatch,
    Started,
    Written,
    NoTransaction,
    Committed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Standby,
    Taking,
    Raising,
    Bumping,
    /// About to read the source's time.
    Marking,
    Idle,
    Starting,
    Writing,
    Committing,
    Resolving,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    stage: Stage,
    /// Handled by the server, but not yet by a majority.
    pending: Option<Answer>,
    term: u8,
    /// The writer's counter.
    writes: u8,
    /// A commit under this counter was sent, and its outcome is not known.
    commit_sent: bool,
    /// The transaction's number; never used twice.
    number: u8,
    applied: u8,
    /// Events up to this event may be on the destination already.
    exact_after: Option<u8>,
    batch: Option<Write>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Updates that the source has.
    source: u8,
    server: Server,
    hosts: Vec<Host>,
    network: Vec<Message>,
    losses: u8,
    roll_backs: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Update,
    Take(usize),
    Deliver(usize, Request, bool),
    Replicate,
    StepDown,
    Expire(usize),
    Mark(usize),
    Begin(usize),
    Resolve(usize),
    GiveUp(usize, &'static str),
    Drop(usize),
    Crash(usize),
}

impl Writers {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Terms that can still begin.
    fn spare_terms(&self, state: &State) -> u8 {
        let asked = |message: &&Message| message.request == Request::Take;
        let asked = u8::try_from(state.network.iter().filter(asked).count()).unwrap_or(u8::MAX);
        self.terms
            .saturating_sub(state.server.primary.lease_term)
            .saturating_sub(asked)
    }

    /// Removes the parts of a state that can never have an effect, and the order of messages.
    fn normalize(&self, state: &mut State) {
        if self.roll_backs == 0 {
            state.server.majority = state.server.primary.clone();
        }
        let server = &state.server;
        let starts: Vec<(usize, u8)> = state.network.iter().filter_map(Message::starts).collect();
        state.network.retain(|message| {
            message.live || self.fault.is_some() || server.can_matter(message, &starts)
        });
        state.network.sort_unstable();
    }
}

impl Message {
    fn starts(&self) -> Option<(usize, u8)> {
        match self.request {
            Request::Start { number, .. } => Some((self.host, number)),
            _ => None,
        }
    }
}

impl Model for Writers {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            source: 0,
            server: Server::default(),
            hosts: vec![Host::standby(0); self.hosts],
            network: Vec::new(),
            losses: self.losses,
            roll_backs: self.roll_backs,
        }
    }

    fn steps(&self, state: &State, to: &mut Vec<(Action, State)>) {
        self.surroundings(state, to);
        self.deliveries(state, to);
        for at in 0..self.hosts {
            self.host_steps(state, at, to);
            self.host_losses(state, at, to);
        }
        for (_, next) in to.iter_mut() {
            self.normalize(next);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        let Data {
            twice, outdated, ..
        } = state.server.primary;
        if twice {
            return Some("a delta is applied exactly once, on the document as it was before");
        }
        if outdated {
            return Some("no write of an older term after a newer term's first");
        }
        let durable = state.server.majority.document;
        let early = state.hosts.iter().any(|host| host.applied > durable);
        early.then_some("what a host holds to be applied is durable on the destination")
    }

    fn is_end(&self, state: &State) -> bool {
        let Data {
            lease_term,
            lease_holder,
            document,
            ..
        } = state.server.majority;
        let holder = &state.hosts[lease_holder];
        if lease_term == self.terms && holder.is_unaware_of(lease_term) {
            return true; // a late request took the last term there is: the bound, not the protocol
        }
        holder.stage == Stage::Idle
            && holder.term == lease_term
            && holder.applied == self.events
            && document == self.events
    }
}

impl Writers {
    fn surroundings(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if state.source < self.events {
            let mut next = state.clone();
            next.source += 1;
            to.push((Action::Update, next));
        }
        let server = &state.server;
        if server.primary != server.majority || state.hosts.iter().any(|h| h.pending.is_some()) {
            let mut next = state.clone();
            next.server.majority = next.server.primary.clone();
            for at in 0..self.hosts {
                if let Some(answer) = next.hosts[at].pending.take() {
                    self.answered(&mut next, at, answer);
                }
            }
            to.push((Action::Replicate, next));
        }
        if state.roll_backs > 0 {
            let mut next = state.clone();
            next.roll_backs -= 1;
            next.server.step_down();
            for at in 0..self.hosts {
                if next.hosts[at].pending.is_some() {
                    self.given_up(&mut next, at);
                }
            }
            to.push((Action::StepDown, next));
        }
        for (at, open) in server.open.iter().enumerate() {
            let orphaned = !state.hosts[open.host].owns(open.number);
            let mut next = state.clone();
            if orphaned || next.take_loss() {
                next.server.open.remove(at);
                to.push((Action::Expire(open.host), next));
            }
        }
    }

    fn deliveries(&self, state: &State, to: &mut Vec<(Action, State)>) {
        for (at, message) in state.network.iter().enumerate() {
            let mut next = state.clone();
            next.network.remove(at);
            let Some(answer) = next.server.serve(self, message) else {
                continue;
            };
            if message.live {
                let waits = next.server.primary != next.server.majority;
                if self.roll_backs > 0 && waits && self.waits_for_majority(answer) {
                    next.hosts[message.host].pending = Some(answer);
                } else {
                    if self.roll_backs == 0 {
                        next.server.majority = next.server.primary.clone();
                    }
                    self.answered(&mut next, message.host, answer);
                }
            }
            to.push((
                Action::Deliver(message.host, message.request, message.live),
                next,
            ));
        }
    }

    fn waits_for_majority(&self, answer: Answer) -> bool {
        match answer {
            Answer::Taken { .. } => !self.is(Fault::LeaseNotMajority),
            Answer::Raised | Answer::Bumped { .. } => !self.is(Fault::RaiseNotMajority),
            Answer::Committed => !self.is(Fault::CommitNotMajority),
            _ => false,
        }
    }
}

impl State {
    fn take_loss(&mut self) -> bool {
        let left = self.losses.checked_sub(1);
        self.losses = left.unwrap_or_default();
        left.is_some()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Update => write!(f, "source: one update more"),
            Self::Take(host) => write!(f, "host {host}: asks for the lease"),
            Self::Deliver(host, request, live) => {
                let late = if live { "" } else { "late, " };
                write!(f, "destination: {late}of host {host}: {request:?}")
            }
            Self::Replicate => write!(f, "destination: a majority has everything"),
            Self::StepDown => write!(f, "destination: step-down, back to what a majority had"),
            Self::Expire(host) => {
                write!(f, "destination: ends the open transaction of host {host}")
            }
            Self::Mark(host) => write!(f, "host {host}: reads the source's time"),
            Self::Begin(host) => write!(f, "host {host}: begins a batch with the next event"),
            Self::Resolve(host) => write!(f, "host {host}: reads the guard by majority"),
            Self::GiveUp(host, stage) => write!(f, "host {host}: gives up waiting ({stage})"),
            Self::Drop(host) => {
                write!(f, "host {host}: drops its work and begins again, same term")
            }
            Self::Crash(host) => write!(f, "host {host}: crashes"),
        }
    }
}
