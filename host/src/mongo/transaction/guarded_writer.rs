//! Guarded writes: done exactly once, and only by the holder of the lease.
//!
//! Each writer has a guard document, `{_id: writer, term, writes, attempt}`. The first statement of each
//! of its transactions is `update {_id, term: T, writes: N}, {$inc: {writes: 1}, $set: {attempt: A}}`, which
//! must match. `A` is new for each attempt.
//!
//! Invariants:
//!
//! - A new holder of the lease raises `term` in every guard document before its first write. Statements
//!   of an older term then match nothing, whenever they arrive.
//! - `writes` is N + 1 and `attempt` is A if and only if attempt A of the transaction that expects N was
//!   committed. So the fate of a commit with a lost answer is read, and a delayed repetition does nothing.
//! - An attempt whose guard matched ends every previous attempt: two attempts never hold a guard document
//!   at the same time.
//! - A writer whose future was dropped does not know N. It opens its guard again, so that its previous
//!   statements match nothing. Opening expects a count, too: a late opening does nothing.
//!
//! Cancellation safety: the futures can be dropped at any moment. The next call opens the guard again.

use std::{future::IntoFuture, time::Duration};

use bson::oid::ObjectId;
use futures::TryFutureExt;
use mongodb::{Client, ClientSession};
use tokio::time::timeout;

use super::{
    super::{
        Error, Moment,
        cluster::bounded,
        outage,
        reply::write_reply,
        retry,
        write::{Command, Outcome, StatementError, majority},
    },
    guards::{self, Guard},
};
use crate::model::ErrorKind;

/// Pauses between attempts of one transaction.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE_OF_OUTAGE: Duration = Duration::from_secs(2);

/// Time for an answer in a transaction. The server ends a transaction after a minute.
const ANSWER: Duration = Duration::from_secs(75);

/// Aborted attempts before a smaller transaction is tried.
const MAX_CONFLICTS: u32 = 8;
/// Time after which an aborted transaction counts as too large: it was expensive, and a server with a full
/// cache aborts it again.
const LONG: Duration = Duration::from_millis(500);

/// A writer of the destination. Its transactions are sequential.
pub struct GuardedWriter {
    client: Client,
    guard: Guard,
    session: Option<ClientSession>,
    /// `writes` of the guard document; `None` while unknown.
    writes: Option<i64>,
}

/// Result of a transaction.
#[derive(Debug)]
pub enum TransactionOutcome {
    /// Durable on a majority: the outcome of each command.
    Committed(Vec<Outcome>),
    /// The server refused a statement of the command with this index; nothing was done.
    Refused {
        /// Index into the commands of the transaction, from 0.
        command: usize,
        /// The refusal, with the statement's index in the command.
        error: StatementError,
    },
    /// The server aborted it several times; nothing was done. A smaller transaction may succeed.
    TooLarge,
}

/// Result of an attempt with a known end.
enum Attempt {
    Committed(Vec<Outcome>),
    Refused {
        command: usize,
        error: StatementError,
    },
    /// The guard statement matched no document; nothing was done.
    NotMatched,
}

/// Failure of an attempt.
struct Failure {
    error: Error,
    /// The guard statement matched: no previous attempt was committed.
    matched: bool,
    /// The commit, if it was sent.
    sent: Option<PendingCommit>,
}

/// A commit with a lost answer.
struct PendingCommit {
    attempt: ObjectId,
    /// The outcomes of its commands, if it was done.
    outcomes: Vec<Outcome>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            matched: false,
            sent: None,
        }
    }
}

/// Fate of a commit with a lost answer.
enum CommitState {
    Committed(Vec<Outcome>),
    Unknown(Option<PendingCommit>),
}

impl GuardedWriter {
    /// A writer that opens its guard with its first transaction.
    pub fn new(client: &Client, guard: Guard) -> Self {
        Self {
            client: client.clone(),
            guard,
            session: None,
            writes: None,
        }
    }

    /// Sets the guard's count, for a guard without a transaction in this term.
    pub fn with_count(self, writes: Option<i64>) -> Self {
        Self { writes, ..self }
    }

    /// The writer's guard.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Runs commands in one transaction. Returns when it is durable or has done nothing. `build` makes
    /// the commands of each attempt. The time of an outage counts from `since`.
    ///
    /// # Errors
    /// [`Error::Fenced`] if another host holds the lease; the refusal of a command; [`Error::Outage`] after
    /// transient failures for the time of an [`outage`].
    pub async fn transact(
        &mut self,
        since: Moment,
        build: impl Fn() -> Result<Vec<Command>, Error>,
    ) -> Result<TransactionOutcome, Error> {
        let writes = match self.writes.take() {
            Some(writes) => writes,
            None => guards::open(&self.client, &self.guard, since).await?,
        };
        let (mut pause, mut conflicts) = (FIRST_PAUSE, 0);
        let mut unknown = None;
        loop {
            let begun = Moment::now();
            let failed = match self.attempt(writes, build()?).await {
                Ok(Attempt::Committed(outcomes)) => {
                    self.writes = Some(writes + 1);
                    return Ok(TransactionOutcome::Committed(outcomes));
                }
                Ok(Attempt::Refused { command, error }) => {
                    self.writes = Some(writes);
                    return Ok(TransactionOutcome::Refused { command, error });
                }
                Ok(Attempt::NotMatched) => match self.resolve(writes, unknown.take()).await? {
                    CommitState::Committed(outcomes) => {
                        self.writes = Some(writes + 1);
                        return Ok(TransactionOutcome::Committed(outcomes));
                    }
                    CommitState::Unknown(sent) => {
                        unknown = sent;
                        Error::Stale
                    }
                },
                Err(failure) => {
                    if failure.matched {
                        unknown = failure.sent;
                    }
                    failure.error
                }
            };
            if failed.kind() != ErrorKind::Transient {
                return Err(failed);
            }
            if since.elapsed() > outage() {
                return Err(Error::Outage {
                    cluster: "the destination",
                    what: "write",
                    tried: since.elapsed(),
                    last: Box::new(failed),
                });
            }
            let answered = failed.code().is_some();
            conflicts += u32::from(answered);
            if answered
                && unknown.is_none()
                && (conflicts >= MAX_CONFLICTS || begun.elapsed() > LONG)
            {
                self.writes = Some(writes);
                return Ok(TransactionOutcome::TooLarge);
            }
            tracing::debug!(writer = self.guard.writer, error = %failed, "repeating a transaction");
            tokio::time::sleep(pause).await;
            let last = if answered {
                LAST_PAUSE
            } else {
                LAST_PAUSE_OF_OUTAGE
            };
            pause = (pause * 2).min(last);
        }
    }

    /// Runs commands that must share a transaction, and repeats it while the server aborts it. The time of an
    /// outage counts from `since`.
    ///
    /// # Errors
    /// Errors of [`Self::transact`]; a refused statement; [`Error::Conflicts`] after aborts for the time of
    /// an [`outage`].
    pub async fn commit(
        &mut self,
        since: Moment,
        build: impl Fn() -> Result<Vec<Command>, Error>,
    ) -> Result<(), Error> {
        let begun = Moment::now();
        loop {
            match self.transact(since, &build).await? {
                TransactionOutcome::Committed(_) => return Ok(()),
                TransactionOutcome::Refused { error, .. } => return Err(error.into_error()),
                TransactionOutcome::TooLarge if begun.elapsed() > outage() => {
                    return Err(Error::Conflicts);
                }
                // The conflicting operations end by themselves.
                TransactionOutcome::TooLarge => {
                    tracing::info!(
                        writer = self.guard.writer,
                        "repeating an aborted transaction"
                    )
                }
            }
        }
    }

    /// Reads the fate of a commit with a lost answer, after the guard statement did not match.
    async fn resolve(
        &self,
        writes: i64,
        unknown: Option<PendingCommit>,
    ) -> Result<CommitState, Error> {
        let now = guards::committed(&self.client, &self.guard).await?;
        match unknown {
            Some(PendingCommit { attempt, outcomes })
                if now.writes == writes + 1 && now.attempt == Some(attempt) =>
            {
                Ok(CommitState::Committed(outcomes))
            }
            // The primary's last commit is not on a majority yet.
            kept if now.writes == writes => Ok(CommitState::Unknown(kept)),
            _ => Err(Error::GuardChanged),
        }
    }

    /// Sends commands without a transaction, in order, after a write of the guard. Transient failures are
    /// repeated, so each statement must be idempotent. The server does not refuse late statements: their
    /// collections are compared before commit. Outcomes hold the refused statements.
    ///
    /// # Errors
    /// Errors of [`Self::transact`].
    pub async fn send(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, Error> {
        self.reopen().await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let (database, body) = command.majority(&self.client);
            let outcome = retry("write without a transaction", || async {
                Outcome::read(&write_reply(database.run_raw_command(body.clone()).await)?)
            });
            let outcome = outcome.await?;
            if !outcome.errors.is_empty() {
                // A late host can be refused because of the next holder's writes: Fenced is the better error.
                self.reopen().await?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Makes sure that no transaction that was sent before is committed from now on. Work settles all of its
    /// writers before its first read.
    pub async fn settle(&mut self) -> Result<(), Error> {
        match self.writes {
            // The fate of all transactions is known.
            Some(_) => Ok(()),
            None => self.reopen().await,
        }
    }

    /// Opens the guard again: statements that were sent before match nothing any more.
    async fn reopen(&mut self) -> Result<(), Error> {
        self.writes = None;
        self.writes = Some(guards::open(&self.client, &self.guard, Moment::now()).await?);
        Ok(())
    }

    async fn attempt(&mut self, writes: i64, commands: Vec<Command>) -> Result<Attempt, Failure> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => start_session(&self.client).await?,
        };
        session
            .start_transaction()
            .write_concern(majority())
            .await
            .map_err(Error::from)?;
        let attempt = ObjectId::new();
        let guard = guards::statement(&self.guard, writes, attempt);
        let outcomes = match self.run(&mut session, guard, commands).await {
            Ok(Attempt::Committed(outcomes)) => outcomes,
            Ok(other) => {
                // After a refused statement, the server has aborted the transaction already.
                let _ = session.abort_transaction().await;
                self.session = Some(session);
                return Ok(other);
            }
            Err(failure) => {
                // Without an answer, the dropped session aborts its transaction in the background.
                if failure.error.code().is_some() {
                    let _ = timeout(ANSWER, session.abort_transaction()).await;
                }
                return Err(failure);
            }
        };
        let committed = session.commit_transaction().into_future();
        match bounded(Some(ANSWER), committed.map_err(Error::from)).await {
            Ok(()) => {
                self.session = Some(session);
                Ok(Attempt::Committed(outcomes))
            }
            Err(error) => Err(Failure {
                error,
                matched: true,
                sent: Some(PendingCommit { attempt, outcomes }),
            }),
        }
    }

    /// Runs the guard statement and the commands, without the commit.
    async fn run(
        &self,
        session: &mut ClientSession,
        guard: Command,
        commands: Vec<Command>,
    ) -> Result<Attempt, Failure> {
        let guard = self.run_one(session, guard).await?;
        if let Some(error) = guard.errors.into_iter().next() {
            return Err(error.into_error().into());
        }
        if guard.n != 1 {
            return Ok(Attempt::NotMatched);
        }
        let failure = |error| Failure {
            error,
            matched: true,
            sent: None,
        };
        let mut outcomes = Vec::with_capacity(commands.len());
        for (at, command) in commands.into_iter().enumerate() {
            let mut outcome = self.run_one(session, command).await.map_err(failure)?;
            match outcome.errors.pop() {
                None => outcomes.push(outcome),
                Some(error) if error.is_transient() => return Err(failure(error.into_error())),
                Some(error) => return Ok(Attempt::Refused { command: at, error }),
            }
        }
        Ok(Attempt::Committed(outcomes))
    }

    async fn run_one(
        &self,
        session: &mut ClientSession,
        command: Command,
    ) -> Result<Outcome, Error> {
        let database = self.client.database(&command.database);
        let run = database.run_raw_command(command.body).session(session);
        let run = async { write_reply(run.await) };
        Outcome::read(&bounded(Some(ANSWER), run).await?)
    }
}

/// Starts a session without causal consistency: its first statement would wait for the time of the last
/// commit.
async fn start_session(client: &Client) -> Result<ClientSession, Error> {
    Ok(client.start_session().causal_consistency(false).await?)
}
