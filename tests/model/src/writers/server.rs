//! The destination: a primary, and the data of a majority.

use super::{Answer, Fault, Message, Request, Write, Writers};

/// Replicated data, which can be rolled back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Data {
    pub(super) lease_term: u8,
    pub(super) lease_holder: usize,
    pub(super) guard: Guard,
    /// The document's version.
    pub(super) document: u8,
    /// The newest term that has written the document.
    newest: u8,
    pub(super) twice: bool,
    pub(super) outdated: bool,
}

/// `{_id: "applier:0", term, writes}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Guard {
    pub(super) term: u8,
    pub(super) writes: u8,
}

/// A transaction whose guard has matched. While it is open, no other transaction writes the guard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Open {
    pub(super) host: usize,
    pub(super) number: u8,
    term: u8,
    writes_guard: bool,
    staged: Vec<Write>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    pub(super) primary: Data,
    pub(super) majority: Data,
    pub(super) open: Vec<Open>,
}

impl Server {
    /// Handles a request; `None` while it has to wait for an open transaction. (A transaction's
    /// own guard statement does not wait but is refused with 112 and sent again: the same.)
    pub(super) fn serve(&mut self, model: &Writers, message: &Message) -> Option<Answer> {
        let guard = self.primary.guard;
        let locked = self.open.iter().any(|open| open.writes_guard);
        let answer = match message.request {
            Request::Take => {
                self.primary.lease_term += 1;
                self.primary.lease_holder = message.host;
                Answer::Taken {
                    term: self.primary.lease_term,
                }
            }
            Request::Raise { .. } | Request::Bump { .. } | Request::Start { .. } if locked => {
                return None;
            }
            Request::Raise { term } if guard.term > term => Answer::Fenced,
            Request::Raise { term } => {
                self.primary.guard.term = term;
                Answer::Raised
            }
            Request::Bump { term, writes } => self.bump(model, term, writes),
            Request::Start {
                number,
                term,
                writes,
            } => {
                let counted = guard.writes == writes || model.is(Fault::CounterNotInFilter);
                self.start(model, message.host, number, term, counted)
            }
            Request::Statement { number, write } => match self.opened(message.host, number) {
                Some(at) => {
                    self.open[at].staged.push(write);
                    Answer::Written
                }
                None => Answer::NoTransaction,
            },
            Request::Commit { number } => match self.opened(message.host, number) {
                Some(at) => {
                    let open = self.open.remove(at);
                    self.primary.commit(open)
                }
                None => Answer::NoTransaction,
            },
        };
        Some(answer)
    }

    fn bump(&mut self, model: &Writers, term: u8, writes: u8) -> Answer {
        let guard = &mut self.primary.guard;
        let counted = guard.writes == writes || model.is(Fault::BumpUnconditional);
        let held = guard.term == term || model.is(Fault::NoRaise);
        if !(held && counted) {
            return Answer::NoMatch;
        }
        guard.writes += 1;
        Answer::Bumped {
            writes: guard.writes,
        }
    }

    fn start(
        &mut self,
        model: &Writers,
        host: usize,
        number: u8,
        term: u8,
        counted: bool,
    ) -> Answer {
        let held = self.primary.guard.term == term || model.is(Fault::NoRaise);
        if !(held && counted) {
            return Answer::NoMatch;
        }
        self.open.push(Open {
            host,
            number,
            term,
            writes_guard: !model.is(Fault::GuardOnlyRead),
            staged: Vec::new(),
        });
        Answer::Started
    }

    fn opened(&self, host: usize, number: u8) -> Option<usize> {
        let ours = |open: &Open| open.host == host && open.number == number;
        self.open.iter().position(ours)
    }

    /// Roll-back: open transactions are gone, and so are writes that no majority had.
    pub(super) fn step_down(&mut self) {
        self.primary = self.majority.clone();
        self.open.clear();
    }

    /// Whether a request without a waiting sender can still have an effect. Terms only grow, and so does the
    /// counter of a majority.
    pub(super) fn can_matter(&self, message: &Message, starts: &[(usize, u8)]) -> bool {
        let guard = self.majority.guard;
        match message.request {
            Request::Take => true,
            Request::Raise { term } => term > guard.term,
            Request::Bump { term, writes } | Request::Start { term, writes, .. } => {
                term >= guard.term && writes >= guard.writes
            }
            Request::Statement { number, .. } | Request::Commit { number } => {
                self.opened(message.host, number).is_some()
                    || starts.contains(&(message.host, number))
            }
        }
    }
}

impl Data {
    fn commit(&mut self, open: Open) -> Answer {
        for write in open.staged {
            match write {
                Write::Delta { to } => {
                    self.twice |= self.document + 1 != to;
                    self.document = to.max(self.document);
                }
                Write::Replace { with } => {
                    self.twice |= with < self.document;
                    self.document = with;
                }
            }
            self.outdated |= open.term < self.newest;
            self.newest = self.newest.max(open.term);
        }
        self.guard.writes += u8::from(open.writes_guard);
        Answer::Committed
    }
}
