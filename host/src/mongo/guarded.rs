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

use std::{
    collections::HashMap,
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bson::{Document, doc, oid::ObjectId, rawdoc};
use futures::{TryFutureExt, TryStreamExt};
use mongodb::{
    Client, ClientSession, Collection,
    options::{ReadConcern, ReturnDocument},
};
use tokio::time::timeout;

use super::{
    Error, Moment,
    documents::majority,
    outage, retry,
    retry::bounded,
    write::{Command, Outcome, StatementError},
};
use crate::model::{ErrorKind, Guard, namespace::METADATA_DATABASE};

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
pub enum Transacted {
    /// Committed, durable on a majority: the outcome of each command.
    Done(Vec<Outcome>),
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
    sent: Option<Sent>,
}

/// A commit whose answer is not known.
struct Sent {
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
enum Lost {
    Committed(Vec<Outcome>),
    Unknown(Option<Sent>),
}

/// Counts of guards under which this term has sent nothing. Each is given away once: later on, only
/// the guard's document tells.
#[derive(Clone, Debug, Default)]
pub struct GuardCounts(Arc<Mutex<HashMap<String, i64>>>);

impl GuardCounts {
    /// The count for a writer's first transaction.
    pub(super) fn take(&self, writer: &str) -> Option<i64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(writer)
    }
}

#[derive(serde::Deserialize)]
struct GuardDocument {
    #[serde(rename = "_id")]
    writer: String,
    term: i64,
    #[serde(default)]
    writes: i64,
    /// The attempt that was committed last.
    #[serde(default)]
    attempt: Option<ObjectId>,
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
    pub fn knowing(self, writes: Option<i64>) -> Self {
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
    ) -> Result<Transacted, Error> {
        let writes = match self.writes.take() {
            Some(writes) => writes,
            None => self.open().await?,
        };
        let (since, mut pause, mut conflicts) = (Moment::now(), FIRST_PAUSE, 0);
        let mut unknown = None;
        loop {
            let begun = Moment::now();
            let failed = match self.attempt(writes, build()?).await {
                Ok(Attempt::Committed(outcomes)) => {
                    self.writes = Some(writes + 1);
                    return Ok(Transacted::Done(outcomes));
                }
                Ok(Attempt::Refused { command, error }) => {
                    self.writes = Some(writes);
                    return Ok(Transacted::Refused { command, error });
                }
                Ok(Attempt::NotMatched) => match self.resolve(writes, unknown.take()).await? {
                    Lost::Committed(outcomes) => {
                        self.writes = Some(writes + 1);
                        return Ok(Transacted::Done(outcomes));
                    }
                    Lost::Unknown(sent) => {
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
                return Ok(Transacted::TooLarge);
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
                Transacted::Done(_) => return Ok(()),
                Transacted::Refused { error, .. } => return Err(error.into_error()),
                Transacted::TooLarge if begun.elapsed() > outage() => {
                    return Err(Error::Conflicts);
                }
                // What stands in its way passes.
                Transacted::TooLarge => tracing::info!(writer = self.guard.writer, "written again"),
            }
        }
    }

    /// What the guard document says, after it did not match, of a commit whose answer was lost.
    async fn resolve(&self, writes: i64, unknown: Option<Sent>) -> Result<Lost, Error> {
        let now = self.committed().await?;
        match unknown {
            Some(Sent { attempt, outcomes })
                if now.writes == writes + 1 && now.attempt == Some(attempt) =>
            {
                Ok(Lost::Committed(outcomes))
            }
            // The majority has not yet seen what the primary has.
            kept if now.writes == writes => Ok(Lost::Unknown(kept)),
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
            outcomes.push(outcome.await?);
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
        self.writes = Some(self.open().await?);
        Ok(())
    }

    async fn open(&mut self) -> Result<i64, Error> {
        retry("open a writer", || async {
            let now = self.committed_once().await?;
            let mine = doc! { "_id": &self.guard.writer, "term": now.term, "writes": now.writes };
            let opened = self
                .guards()
                .find_one_and_update(mine, doc! { "$inc": { "writes": 1_i64 } })
                .return_document(ReturnDocument::After)
                .write_concern(majority())
                .max_time(Duration::from_secs(5))
                .await?;
            // Something sent before has been committed meanwhile: read again.
            opened.map(|guard| guard.writes).ok_or(Error::Stale)
        })
        .await
    }

    /// The guard document as a majority has it.
    async fn committed(&self) -> Result<GuardDocument, Error> {
        retry("look a commit up", || self.committed_once()).await
    }

    async fn committed_once(&self) -> Result<GuardDocument, Error> {
        let guard = self
            .guards()
            .find_one(doc! { "_id": &self.guard.writer })
            .read_concern(ReadConcern::majority())
            .await?;
        match guard {
            Some(guard) if guard.term == self.guard.term => Ok(guard),
            // A new primary does not know at once what a majority has.
            Some(guard) if guard.term < self.guard.term => Err(Error::Stale),
            _ => Err(Error::Fenced),
        }
    }

    fn guards(&self) -> Collection<GuardDocument> {
        self.client
            .database(METADATA_DATABASE)
            .collection(self.guard.collection)
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
        let guard = self.guard_statement(writes, attempt);
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
                sent: Some(Sent { attempt, outcomes }),
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

    fn guard_statement(&self, writes: i64, attempt: ObjectId) -> Command {
        let Guard {
            collection,
            writer,
            term,
        } = &self.guard;
        let mine = rawdoc! { "_id": writer.as_str(), "term": *term, "writes": writes };
        let count = rawdoc! { "$inc": { "writes": 1_i64 }, "$set": { "attempt": attempt } };
        let mut statements = bson::RawArrayBuf::new();
        statements.push(rawdoc! { "q": mine, "u": count });
        let body = rawdoc! { "update": *collection, "updates": statements };
        Command::new(METADATA_DATABASE, body)
    }
}

/// Without causal consistency: a first statement would wait for the last commit's time.
async fn start_session(client: &Client) -> Result<ClientSession, Error> {
    Ok(client.start_session().causal_consistency(false).await?)
}

/// Raises the term in the guard documents of `writers`, and makes those that are missing. Waits for
/// transactions of older terms that are open. Repeating it does no harm, however late: a term never goes back.
/// Gives the count of each guard in this term, from which nothing was sent yet.
pub async fn raise_term(
    client: &Client,
    collection: &str,
    writers: &[&str],
    term: i64,
) -> Result<GuardCounts, Error> {
    let mut statements = bson::RawArrayBuf::new();
    for writer in writers {
        let mut pipeline = bson::RawArrayBuf::new();
        let raised = rawdoc! {
            "term": { "$max": ["$term", term] },
            "writes": { "$ifNull": ["$writes", 0_i64] },
        };
        pipeline.push(rawdoc! { "$set": raised });
        statements.push(rawdoc! { "q": { "_id": *writer }, "u": pipeline, "upsert": true });
    }
    let command = rawdoc! {
        "update": collection,
        "updates": statements,
        "writeConcern": { "w": "majority" },
        "maxTimeMS": 5_000,
    };
    let database = client.database(METADATA_DATABASE);
    let raised = retry("raise the term of all writers", || async {
        let reply: Document = database.run_raw_command(command.clone()).await?;
        let mut outcome = Outcome::read(&reply)?;
        match outcome.errors.pop() {
            Some(error) => Err(error.into_error()),
            None => Ok(outcome.n),
        }
    })
    .await?;
    debug_assert_eq!(raised, writers.len() as u64, "every writer has a guard");
    let raised = retry("read the guards", || async {
        let guards = database.collection::<GuardDocument>(collection);
        let raised = guards
            .find(doc! { "_id": { "$in": writers }, "term": term })
            .read_concern(ReadConcern::majority());
        Ok(raised.await?.try_collect::<Vec<_>>().await?)
    });
    let counts = raised.await?.into_iter();
    let counts = counts.map(|guard| (guard.writer, guard.writes)).collect();
    Ok(GuardCounts(Arc::new(Mutex::new(counts))))
}
