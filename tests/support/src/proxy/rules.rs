//! Rules that select commands for faults, and their handles in tests.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bson::Document;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::{Command, Failure, WriteConcernError};
use crate::wait::{Look, wait_until};

/// Within this time a command that a rule is for has to come.
const DEADLINE: Duration = Duration::from_secs(60);

type Condition = Arc<dyn Fn(&Command) -> bool + Send + Sync>;
pub(super) type Call = Arc<dyn Fn(Command) -> BoxFuture<'static, Then> + Send + Sync>;

/// Treatment of a command after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    /// The connection is closed. Unforwarded data is dropped.
    Cut,
}

/// Selection of commands by their properties. Each condition narrows the selection.
#[derive(Clone, Default)]
pub struct Pattern {
    conditions: Vec<Condition>,
    nth: Option<u64>,
}

/// Every command.
pub fn any() -> Pattern {
    Pattern::default()
}

/// Commands of this name, such as `update`.
pub fn commands(name: impl Into<String>) -> Pattern {
    let name = name.into();
    any().when(move |command| command.name == name)
}

/// Commands of this label, such as `insert app.users`.
pub fn labelled(label: impl Into<String>) -> Pattern {
    let label = label.into();
    any().when(move |command| command.label == label)
}

impl Pattern {
    pub fn when(mut self, condition: impl Fn(&Command) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// On this namespace, such as `app.users`.
    pub fn of(self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        self.when(move |command| command.namespace() == namespace)
    }

    /// From clients whose name holds this, such as a host's holder id.
    pub fn by(self, client: impl Into<String>) -> Self {
        let client = client.into();
        self.when(move |command| command.client.contains(&client))
    }

    /// In this phase of the scenario: see [`super::Proxy::enter`].
    pub fn in_phase(self, phase: impl Into<String>) -> Self {
        let phase = phase.into();
        self.when(move |command| command.phase == phase)
    }

    /// The command with this number in the journal.
    pub fn numbered(self, number: u64) -> Self {
        self.when(move |command| command.number == number)
    }

    /// The nth of the matching commands, from 1; all of them if absent.
    pub fn nth(self, nth: u64) -> Self {
        let nth = Some(nth);
        Self { nth, ..self }
    }

    pub fn first(self) -> Self {
        self.nth(1)
    }

    fn matches(&self, command: &Command) -> bool {
        self.conditions.iter().all(|condition| condition(command))
    }
}

/// Fault at a command.
#[derive(Clone)]
pub enum Fault {
    /// The connection is closed before the server has the command.
    CutBefore,
    /// The server does the command; the connection is closed instead of the answer.
    CutAfter,
    /// The proxy answers; the server does not see the command.
    Answer(Failure),
    /// The same, with the label that a server gives the refusal.
    AnswerAsServer(Failure),
    WriteConcernError(WriteConcernError),
    /// Runs before the command is forwarded.
    Before(Call),
    /// Runs when the server has answered, before the client hears of it.
    After(Call),
}

impl Fault {
    pub fn before(call: impl AsyncCall) -> Self {
        Self::Before(Arc::new(move |command| call.call(command)))
    }

    pub fn after(call: impl AsyncCall) -> Self {
        Self::After(Arc::new(move |command| call.call(command)))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutBefore => f.write_str("CutBefore"),
            Self::CutAfter => f.write_str("CutAfter"),
            Self::Answer(failure) | Self::AnswerAsServer(failure) => write!(f, "{failure:?}"),
            Self::WriteConcernError(error) => write!(f, "{error:?}"),
            Self::Before(_) => f.write_str("Before"),
            Self::After(_) => f.write_str("After"),
        }
    }
}

/// A callback of a rule.
pub trait AsyncCall: Send + Sync + 'static {
    fn call(&self, command: Command) -> BoxFuture<'static, Then>;
}

impl<F, R> AsyncCall for F
where
    F: Fn(Command) -> R + Send + Sync + 'static,
    R: Future<Output = Then> + Send + 'static,
{
    fn call(&self, command: Command) -> BoxFuture<'static, Then> {
        Box::pin(self(command))
    }
}

/// Treatment of a command by a connection.
pub(super) enum Verdict {
    Pass,
    Fault(Fault),
    Hold(Hold),
}

/// A command that waits for its release.
pub(super) struct Hold {
    /// The client's side is closed while the command is held.
    pub(super) cut: bool,
    /// Receives the sender for the server's answer. The command is lost if it is dropped.
    pub(super) released: oneshot::Receiver<oneshot::Sender<Document>>,
}

pub(super) struct Rule {
    pub(super) id: u64,
    pattern: Pattern,
    matched: u64,
    action: Action,
    seen: watch::Sender<Vec<Command>>,
}

enum Action {
    Fault(Fault),
    /// Taken by the first command.
    Hold(Option<Hold>),
}

impl Rule {
    pub(super) fn fault(
        id: u64,
        pattern: Pattern,
        fault: Fault,
    ) -> (Self, watch::Receiver<Vec<Command>>) {
        Self::new(id, pattern, Action::Fault(fault))
    }

    pub(super) fn hold(id: u64, pattern: Pattern, cut: bool) -> (Self, Held) {
        let (release, released) = oneshot::channel();
        let hold = Hold { cut, released };
        let (rule, seen) = Self::new(id, pattern, Action::Hold(Some(hold)));
        (rule, Held { seen, release })
    }

    fn new(id: u64, pattern: Pattern, action: Action) -> (Self, watch::Receiver<Vec<Command>>) {
        let (seen, receiver) = watch::channel(Vec::new());
        let rule = Self {
            id,
            pattern,
            matched: 0,
            action,
            seen,
        };
        (rule, receiver)
    }

    /// The verdict of this rule for a command; `None` if the rule does not select it.
    pub(super) fn decide(&mut self, command: &Command) -> Option<Verdict> {
        if !self.pattern.matches(command) {
            return None;
        }
        self.matched += 1;
        if self.pattern.nth.is_some_and(|nth| nth != self.matched) {
            return None;
        }
        let verdict = match &mut self.action {
            Action::Fault(fault) => Verdict::Fault(fault.clone()),
            Action::Hold(hold) => Verdict::Hold(hold.take()?),
        };
        self.seen.send_modify(|seen| seen.push(command.clone()));
        Some(verdict)
    }
}

/// An active rule, and the commands to which it has been applied.
pub struct Faulted {
    pub(super) id: u64,
    pub(super) seen: watch::Receiver<Vec<Command>>,
}

impl Faulted {
    pub fn receiver(&self) -> watch::Receiver<Vec<Command>> {
        self.seen.clone()
    }

    /// Waits for the first command that the fault has befallen.
    pub async fn seen(&self) -> Result<Command> {
        first(&self.seen).await
    }

    /// The commands that the fault has befallen so far.
    pub fn commands(&self) -> Vec<Command> {
        self.seen.borrow().clone()
    }
}

/// A command that is held by the proxy. Dropped before its release, the command never reaches
/// the server.
#[must_use = "a command that nothing holds is lost"]
pub struct Held {
    seen: watch::Receiver<Vec<Command>>,
    release: oneshot::Sender<oneshot::Sender<Document>>,
}

impl Held {
    /// Waits until the command is held.
    pub async fn seen(&self) -> Result<Command> {
        first(&self.seen).await
    }

    pub fn receiver(&self) -> watch::Receiver<Vec<Command>> {
        self.seen.clone()
    }

    /// The same, while the rule is active.
    pub async fn wait(&self) -> Result<Command> {
        let mut seen = self.seen.clone();
        let seen = seen.wait_for(|seen| !seen.is_empty()).await;
        let command = seen.context("the rule is gone")?.first().cloned();
        command.context("a command")
    }

    /// Sends the command to the server, and returns the server's answer.
    pub async fn release(self) -> Result<Document> {
        let (reply, replied) = oneshot::channel();
        let gone = self.release.send(reply).is_err();
        anyhow::ensure!(!gone, "the connection of a held command is gone");
        let reply = tokio::time::timeout(DEADLINE, replied).await;
        reply
            .context("no answer to a held command")?
            .context("the server closed the connection of a held command")
    }
}

async fn first(seen: &watch::Receiver<Vec<Command>>) -> Result<Command> {
    wait_until("a command that the rule is for", DEADLINE, async || {
        let first = seen.borrow().first().cloned();
        Ok(first.map_or_else(|| Look::NotYet("none".to_owned()), Look::Done))
    })
    .await
}
