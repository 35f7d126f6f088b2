//! A host as worker: it reads and inserts, and reports the end. It learns that its item is lost from the refusal of its
//! report alone, which is later than a real worker does.

use super::{Action, Fault, Item, Items, Message, Report, Request, Role, State, Worker};
use crate::source::{KEYS, MISSING};

impl Worker {
    pub(super) fn new(token: u8, uuid: u8, begun_at: usize) -> Self {
        Self {
            token,
            uuid,
            begun_at,
            key: 0,
            waits: false,
            suspect: false,
        }
    }

    pub(super) fn has_copied(&self) -> bool {
        self.key == KEYS
    }
}

impl Items {
    pub(super) fn worker_steps(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        match state.hosts[at].worker {
            None => self.poll(state, at, to),
            Some(worker) if worker.waits => {}
            Some(worker) if worker.has_copied() => self.report(state, at, worker, to),
            Some(worker) => self.read(state, at, worker, to),
        }
    }

    fn poll(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mine = |item: &Item| item.holder == Some(at) && item.end.is_none();
        if let Some(item) = state.item.filter(mine) {
            let mut next = state.clone();
            next.hosts[at].worker = Some(Worker::new(item.token, state.uuid, item.begun_at));
            to.push((Action::Poll(at), next));
        }
    }

    /// Reads the next key as of any time that the bound allows, as a lagging secondary serves it.
    fn read(&self, state: &State, at: usize, worker: Worker, to: &mut Vec<(Action, State)>) {
        // A host that knows that it no longer leads has stopped its own copy.
        if worker.token == 0 && !matches!(state.hosts[at].role, Role::Leads(_)) {
            return;
        }
        let from = match self.is(Fault::ReadsBeforeBegin) {
            true => 0,
            false => worker.begun_at,
        };
        let mut seen = Vec::new();
        for time in from..=state.source {
            let version = self.documents(time)[worker.key];
            if seen.contains(&version) {
                continue;
            }
            seen.push(version);
            let mut next = state.clone();
            let action = if version == MISSING {
                next.hosts[at].worker = Some(Worker {
                    key: worker.key + 1,
                    ..worker
                });
                Action::Absent(at, worker.key)
            } else {
                let request = Request::Insert {
                    uuid: worker.uuid,
                    key: worker.key,
                    version,
                };
                next.send(at, worker, request)
            };
            to.push((action, next));
        }
    }

    /// F is the time of the source's primary after the last read.
    fn report(&self, state: &State, at: usize, worker: Worker, to: &mut Vec<(Action, State)>) {
        if worker.token == 0 {
            return;
        }
        let report = Report {
            done_at: state.source,
            suspect: worker.suspect,
        };
        let request = Request::Report {
            token: worker.token,
            report,
        };
        let mut next = state.clone();
        let action = next.send(at, worker, request);
        to.push((action, next));
    }

    pub(super) fn deliveries(&self, state: &State, to: &mut Vec<(Action, State)>) {
        for (number, message) in state.network.iter().enumerate() {
            let mut next = state.clone();
            next.network.remove(number);
            match message.request {
                // A duplicate is refused, which is harmless.
                Request::Insert { uuid, key, version }
                    if uuid == next.uuid && next.documents[key] == MISSING =>
                {
                    next.documents[key] = version;
                }
                Request::Insert { .. } => {}
                Request::Report { token, report } => self.take_report(&mut next, token, report),
            }
            if message.live {
                let worker = next.hosts[message.host].worker;
                next.hosts[message.host].worker = match message.request {
                    Request::Insert { .. } => worker.map(|worker| Worker {
                        key: worker.key + 1,
                        waits: false,
                        ..worker
                    }),
                    Request::Report { .. } => None,
                };
            }
            let action = Action::Deliver(message.host, message.request, message.live);
            to.push((action, next));
        }
    }

    /// The conditional update of the item.
    fn take_report(&self, next: &mut State, token: u8, report: Report) {
        let unconditional = self.is(Fault::ReportUnconditional);
        if let Some(item) = &mut next.item
            && (item.token == token || unconditional)
            && item.end.is_none()
        {
            item.end = Some(report);
        }
    }
}

impl State {
    fn send(&mut self, at: usize, worker: Worker, request: Request) -> Action {
        self.hosts[at].worker = Some(Worker {
            waits: true,
            ..worker
        });
        self.network.push(Message {
            host: at,
            live: true,
            request,
        });
        Action::Send(at, request)
    }
}
