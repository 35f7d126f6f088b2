//! Writes that the server guards: done exactly once, and only by the holder of the lease.
//!
//! Each writer has a guard document, `{_id: writer, term, writes, attempt}`. The first statement of each
//! of its transactions is `update {_id, term: T, writes: N}, {$inc: {writes: 1}, $set: {attempt: A}}`, which
//! must match. `A` is new for each attempt.
//!
//! Invariants:
//!
//! - A new holder of the lease raises `term` in every guard document before its first write.
//!   Statements of an older term then match nothing, whenever they arrive.
//! - `writes` is N + 1 and `attempt` is A if and only if attempt A of the transaction that expects N was
//!   committed. So a commit whose answer was lost is looked up, and a delayed repetition does nothing.
//! - An attempt whose guard matched ends every earlier one: two never hold a guard document at once.
//! - A writer whose future was dropped does not know N: it opens its guard again, which makes
//!   whatever it had sent before match nothing. Opening expects a count, too, so that an opening
//!   that arrives late does nothing either.

use std::{future::IntoFuture, time::Duration};

use bson::oid::ObjectId;
use futures::TryFutureExt;
use mongodb::{Client, ClientSession};
use tokio::time::timeout;

use super::{
    super::{
        Error, Moment,
        cluster::bounded,
        outage, retry,
        write::{Command, Outcome, StatementError, majority},
    },
    guards::{self, Guard},
};
use crate::model::ErrorKind;

/// Pauses between attempts of one transaction.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE_OF_OUTAGE: Duration = Duration::from_secs(2);

/// The time for an answer inside a transaction, which the server ends after a minute.
const ANSWER: Duration = Duration::from_secs(75);

/// Attempts that the server broke off, after which a smaller transaction is worth trying.
const MAX_CONFLICTS: u32 = 8;
/// A transaction that was broken off after this time was too large: it cost much, and a server whose
/// cache is full breaks it off again.
const LONG: Duration = Duration::from_millis(500);

/// One writer of the destination. Its transactions are sequential.
pub struct GuardedWriter {
    client: Client,
    guard: Guard,
    session: Option<ClientSession>,
    /// `writes` of the guard document; `None` while it is not known.
    writes: Option<i64>,
}

/// What has become of a transaction.
#[derive(Debug)]
pub enum TransactionOutcome {
    /// Committed, durable on a majority: the outcome of each command.
    Committed(Vec<Outcome>),
    /// The server refused a statement; nothing was done.
    Refused {
        command: usize,
        error: StatementError,
    },
    /// The server broke it off several times; nothing was done. A smaller one may pass.
    TooLarge,
}

/// One attempt that has come to an end that is known.
enum Attempt {
    Committed(Vec<Outcome>),
    Refused {
        command: usize,
        error: StatementError,
    },
    /// The guard document is not as expected; nothing was done.
    NotMatched,
}

/// An attempt that failed.
struct Failure {
    error: Error,
    /// Its guard matched: no earlier attempt was committed.
    matched: bool,
    /// Its commit was sent.
    sent: Option<PendingCommit>,
}

/// A commit whose answer is not known.
struct PendingCommit {
    attempt: ObjectId,
    /// What holds if it was done.
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

/// What has become of a commit whose answer was lost.
enum CommitState {
    Committed(Vec<Outcome>),
    Unknown(Option<PendingCommit>),
}

impl GuardedWriter {
    pub fn new(client: &Client, guard: Guard) -> Self {
        Self {
            client: client.clone(),
            guard,
            session: None,
            writes: None,
        }
    }

    /// With the guard's count, where it is known that this term has sent nothing under it.
    pub fn with_count(self, writes: Option<i64>) -> Self {
        Self { writes, ..self }
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Runs the commands in one transaction, and returns when it is durable or has done nothing.
    /// `build` gives the commands, again for each attempt.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another host holds the lease; whatever the server refuses as a whole;
    /// a transient failure when it lasts longer than [`outage`].
    pub async fn transact(
        &mut self,
        build: impl Fn() -> Result<Vec<Command>, Error>,
    ) -> Result<TransactionOutcome, Error> {
        let writes = match self.writes.take() {
            Some(writes) => writes,
            None => guards::open(&self.client, &self.guard).await?,
        };
        let (since, mut pause, mut conflicts) = (Moment::now(), FIRST_PAUSE, 0);
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
            tracing::debug!(writer = self.guard.writer, error = %failed, "transaction again");
            tokio::time::sleep(pause).await;
            let last = if answered {
                LAST_PAUSE
            } else {
                LAST_PAUSE_OF_OUTAGE
            };
            pause = (pause * 2).min(last);
        }
    }

    /// Runs commands that cannot be split in one transaction, again while it is broken off.
    ///
    /// # Errors
    /// As [`Self::transact`]; a refused statement; [`Error::Conflicts`] at the end of an outage.
    pub async fn commit(
        &mut self,
        build: impl Fn() -> Result<Vec<Command>, Error>,
    ) -> Result<(), Error> {
        let begun = Moment::now();
        loop {
            match self.transact(&build).await? {
                TransactionOutcome::Committed(_) => return Ok(()),
                TransactionOutcome::Refused { error, .. } => return Err(error.into_error()),
                TransactionOutcome::TooLarge if begun.elapsed() > outage() => {
                    return Err(Error::Conflicts);
                }
                // What stands in its way passes.
                TransactionOutcome::TooLarge => {
                    tracing::info!(writer = self.guard.writer, "written again")
                }
            }
        }
    }

    /// What the guard document says, after it did not match, of a commit whose answer was lost.
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
            // The majority has not yet seen what the primary has.
            kept if now.writes == writes => Ok(CommitState::Unknown(kept)),
            _ => Err(Error::GuardChanged),
        }
    }

    /// Sends commands that take no transaction, one after the other, after a write of the guard;
    /// again after transient failures, so that each statement must be one that can be repeated.
    /// A late one is not refused: what is written so is compared before commit. Statements that
    /// were refused are in the outcomes.
    ///
    /// # Errors
    /// As [`Self::transact`].
    pub async fn send(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, Error> {
        self.reopen().await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let (database, body) = command.majority(&self.client);
            let outcome = retry("write without a transaction", || async {
                Outcome::read(&database.run_raw_command(body.clone()).await?)
            });
            let outcome = outcome.await?;
            if !outcome.errors.is_empty() {
                // A host that was late is refused for what the next one has done. It is told that instead.
                self.reopen().await?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Makes sure that nothing that was sent before is done from now on. Work opens all of its writers
    /// before it reads what it begins with.
    pub async fn settle(&mut self) -> Result<(), Error> {
        match self.writes {
            // What has become of all of it is known.
            Some(_) => Ok(()),
            None => self.reopen().await,
        }
    }

    /// Takes the guard for this writer: whatever it has sent before matches it no longer.
    async fn reopen(&mut self) -> Result<(), Error> {
        self.writes = None;
        self.writes = Some(guards::open(&self.client, &self.guard).await?);
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
                // The server has aborted it already where it refused a statement.
                let _ = session.abort_transaction().await;
                self.session = Some(session);
                return Ok(other);
            }
            Err(failure) => {
                // A session that is dropped aborts its transaction in the background.
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

    /// Everything before the commit.
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
        let run = database
            .run_raw_command(command.body)
            .session(session)
            .into_future();
        Outcome::read(&bounded(Some(ANSWER), run.map_err(Error::from)).await?)
    }
}

/// Without causal consistency: a first statement would wait for the last commit's time.
async fn start_session(client: &Client) -> Result<ClientSession, Error> {
    Ok(client.start_session().causal_consistency(false).await?)
}
