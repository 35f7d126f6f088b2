//! State that all connections of a proxy share: rules, the journal, and the clients' lines.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Command,
    command::Transaction,
    rules::{Rule, Verdict},
    wire::Request,
};

/// How messages of a client travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Each message is late by this.
    Delayed(Duration),
    /// Nothing moves. Data that was sent arrives when the line is open again.
    Stalled,
    /// Connections are closed as soon as the client is known.
    Refused,
    /// Of a thousand messages of either direction, so many are lost with their connection.
    Lossy(u32),
}

/// A connection whose client is known.
struct Connection {
    client: String,
    /// It has sent commands, as a client's monitors do not.
    works: bool,
    cut: CancellationToken,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    journal: Vec<Command>,
    phase: String,
    /// Clients by the order of their first commands.
    clients: Vec<String>,
    /// Commands so far, by client, phase and label.
    counts: HashMap<(usize, String, String), u64>,
    /// The newest statement of each transaction: commits are named after it.
    statements: HashMap<Transaction, String>,
    connections: HashMap<u64, Connection>,
    last_id: u64,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// By a part of the client's name; the first that fits counts.
    lines: watch::Sender<Vec<(String, Line)>>,
    pub(super) ended: CancellationToken,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            lines: watch::Sender::new(Vec::new()),
            ended: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics elsewhere has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_id(&self) -> u64 {
        let mut state = self.state();
        state.last_id += 1;
        state.last_id
    }

    // ---- commands

    /// Gives a command its number and its place, records it, and returns the verdict.
    pub(super) fn decide(&self, client: &str, request: Request) -> (Command, Verdict) {
        let mut command = Command::new(client, request);
        let mut state = self.state();
        state.name_commit(&mut command);
        command.number = state.journal.len() as u64 + 1;
        command.phase.clone_from(&state.phase);
        command.ordinal = state.ordinal(client);
        let key = (
            command.ordinal,
            command.phase.clone(),
            command.label.clone(),
        );
        let count = state.counts.entry(key).or_default();
        *count += 1;
        command.nth = *count;
        state.journal.push(command.brief());
        let verdict = state
            .rules
            .iter_mut()
            .find_map(|rule| rule.decide(&command));
        (command, verdict.unwrap_or(Verdict::Pass))
    }

    pub(super) fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    pub(super) fn remove(&self, rule: u64) {
        self.state().rules.retain(|one| one.id != rule);
    }

    pub(super) fn remove_rules(&self) {
        self.state().rules.clear();
    }

    pub(super) fn journal(&self) -> Vec<Command> {
        self.state().journal.clone()
    }

    /// Clears the journal and restarts its counts.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.journal.clear();
        state.clients.clear();
        state.counts.clear();
        state.statements.clear();
        state.phase.clear();
    }

    pub(super) fn enter(&self, phase: &str) {
        phase.clone_into(&mut self.state().phase);
    }

    // ---- connections

    /// A connection is this client's; `cut` closes it.
    pub(super) fn connected(&self, id: u64, client: &str, cut: &CancellationToken) {
        let connection = Connection {
            client: client.to_owned(),
            works: false,
            cut: cut.clone(),
        };
        self.state().connections.insert(id, connection);
    }

    pub(super) fn disconnected(&self, id: u64) {
        self.state().connections.remove(&id);
    }

    pub(super) fn works(&self, id: u64) {
        if let Some(connection) = self.state().connections.get_mut(&id) {
            connection.works = true;
        }
    }

    pub(super) fn cut(&self, client: &str) {
        self.cut_where(|one| one.client.contains(client));
    }

    /// Closes the connections by which a client watches the set: it looks again.
    pub(super) fn cut_monitors(&self, client: &str) {
        self.cut_where(|one| !one.works && one.client == client);
    }

    fn cut_where(&self, is_meant: impl Fn(&Connection) -> bool) {
        let state = self.state();
        for connection in state.connections.values().filter(|one| is_meant(one)) {
            connection.cut.cancel();
        }
    }

    pub(super) fn set_line(&self, client: &str, line: Option<Line>) {
        self.lines.send_modify(|lines| {
            lines.retain(|(of, _)| of != client);
            lines.extend(line.map(|line| (client.to_owned(), line)));
        });
    }

    pub(super) fn heal(&self) {
        self.lines.send_replace(Vec::new());
    }

    /// Whether a reply to the client of a connection is lost on its way.
    pub(super) fn loses_reply(&self, id: u64) -> bool {
        let client = self
            .state()
            .connections
            .get(&id)
            .map(|one| one.client.clone());
        match client.and_then(|client| self.line(&client)) {
            Some(Line::Lossy(of_thousand)) => is_lost(of_thousand),
            _ => false,
        }
    }

    fn line(&self, client: &str) -> Option<Line> {
        let lines = self.lines.borrow();
        // The newest counts.
        let mut newest_first = lines.iter().rev();
        let line = newest_first.find(|(of, _)| client.contains(of.as_str()));
        line.map(|(_, line)| *line)
    }

    /// Returns when a message of this client may continue: at once, unless its line is faulty. False: it may not.
    pub(super) async fn travel(&self, client: &str) -> bool {
        let mut lines = self.lines.subscribe();
        loop {
            lines.mark_unchanged();
            match self.line(client) {
                None => return true,
                Some(Line::Refused) => return false,
                Some(Line::Lossy(of_thousand)) => return !is_lost(of_thousand),
                Some(Line::Delayed(by)) => {
                    tokio::time::sleep(by).await;
                    return true;
                }
                Some(Line::Stalled) => {
                    if lines.changed().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }
}

fn is_lost(of_thousand: u32) -> bool {
    rand::random_ratio(of_thousand.min(1000), 1000)
}

impl State {
    fn ordinal(&mut self, client: &str) -> usize {
        let known = self.clients.iter().position(|one| one == client);
        known.unwrap_or_else(|| {
            self.clients.push(client.to_owned());
            self.clients.len() - 1
        })
    }

    /// Names the end of a transaction after its newest statement, which this keeps.
    fn name_commit(&mut self, command: &mut Command) {
        if !command.transaction.is_open {
            return;
        }
        let transaction = command.transaction.clone();
        match command.name.as_str() {
            "commitTransaction" | "abortTransaction" => {
                let statement = self.statements.get(&transaction);
                let statement = statement.map_or("nothing", String::as_str);
                command.label = format!("{} after {statement}", command.name);
            }
            _ => {
                self.statements.insert(transaction, command.label.clone());
            }
        }
    }
}
