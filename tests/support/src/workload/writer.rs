//! A writer that keeps changing the data set until it is stopped: inserts,
//! updates of every kind, replaces, deletes, multi-document transactions and a
//! few DDL operations, at a given pace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail};
use bson::{Document, doc};
use mongodb::{Client, ClientSession, error::TRANSIENT_TRANSACTION_ERROR};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    block::{Refusal, is_ended_by_block, is_refused_by_block},
    dataset::{COLLECTIONS, Collection},
    ddl,
};

/// How fast the writer goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Documents' operations a second.
    pub operations_per_second: u32,
    /// Time between DDL operations; `None`: no DDL.
    pub ddl_every: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            operations_per_second: 300,
            ddl_every: Some(Duration::from_millis(400)),
        }
    }
}

/// Operations of a writer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub replaces: u64,
    pub deletes: u64,
    pub transactions: u64,
    pub ddl: u64,
}

impl Counts {
    /// All operations. A transaction counts as a single operation.
    pub fn total(self) -> u64 {
        self.inserts + self.updates + self.replaces + self.deletes + self.transactions + self.ddl
    }
}

#[derive(Default)]
struct Tally {
    inserts: AtomicU64,
    updates: AtomicU64,
    replaces: AtomicU64,
    deletes: AtomicU64,
    transactions: AtomicU64,
    ddl: AtomicU64,
}

/// Number of writers of this process so far: each has its own numbers for new documents, so that a later writer can
/// change the same set.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// A running writer. Dropped, it stops.
pub struct Writer {
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
    tally: Arc<Tally>,
}

impl Writer {
    /// Starts to change a set that [`load`](super::load) made with this many documents.
    pub fn start(client: &Client, documents: u64, seed: u64, pace: Pace) -> Self {
        Self::run(client, documents, seed, pace, Failures::End)
    }

    /// The same, on a set whose primaries come and go: an operation that fails is not repeated, and the next follows.
    pub fn through_failures(client: &Client, documents: u64, seed: u64, pace: Pace) -> Self {
        Self::run(client, documents, seed, pace, Failures::Pass)
    }

    fn run(client: &Client, documents: u64, seed: u64, pace: Pace, failures: Failures) -> Self {
        const WRITERS: u32 = 3;
        let (stop, tally) = (CancellationToken::new(), Arc::new(Tally::default()));
        let run = RUNS.fetch_add(1, Relaxed);
        let mut tasks = JoinSet::new();
        for number in 0..WRITERS {
            let worker = Worker {
                client: client.clone(),
                rng: StdRng::seed_from_u64(seed.wrapping_mul(31) + u64::from(number)),
                tally: Arc::clone(&tally),
                documents,
                next: documents * 10 + (run * u64::from(WRITERS) + u64::from(number)) * 1_000_000,
                writes_capped: number == 0,
                failures,
            };
            let every = Duration::from_secs(1) * WRITERS / pace.operations_per_second.max(1);
            tasks.spawn(worker.run(every, stop.clone()));
        }
        if let Some(every) = pace.ddl_every {
            let (client, stop, tally) = (client.clone(), stop.clone(), Arc::clone(&tally));
            let passes = failures == Failures::Pass;
            tasks.spawn(
                async move { ddl::run(&client, run, every, stop, &tally.ddl, passes).await },
            );
        }
        Self { stop, tasks, tally }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            inserts: self.tally.inserts.load(Relaxed),
            updates: self.tally.updates.load(Relaxed),
            replaces: self.tally.replaces.load(Relaxed),
            deletes: self.tally.deletes.load(Relaxed),
            transactions: self.tally.transactions.load(Relaxed),
            ddl: self.tally.ddl.load(Relaxed),
        }
    }

    /// Stops after the operations under way; fails if any of them failed.
    pub async fn stop(mut self) -> Result<Counts> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("join a writer")?.context("write")?;
        }
        Ok(self.counts())
    }

    /// Goes on until the server's block of user writes has refused a write of each task. Fails if an operation failed
    /// otherwise, or without a block within `deadline`.
    pub async fn until_blocked(mut self, deadline: Duration) -> Result<Refusal> {
        let ended = tokio::time::timeout(deadline, self.refusals()).await;
        let (first, refused) = ended.context("no block ends the writer")??;
        Ok(Refusal {
            counts: self.counts(),
            first,
            refused,
        })
    }

    async fn refusals(&mut self) -> Result<(Instant, u64)> {
        let (mut first, mut refused) = (None, 0);
        while let Some(ended) = self.tasks.join_next().await {
            let Err(error) = ended.context("join a writer")? else {
                bail!("a task of the writer ended without an error");
            };
            first.get_or_insert_with(Instant::now);
            match error.downcast_ref() {
                Some(cause) if is_refused_by_block(cause) => refused += 1,
                Some(cause) if is_ended_by_block(cause) => {}
                _ => return Err(Error::context(error, "write")),
            }
        }
        Ok((first.context("a writer without tasks")?, refused))
    }
}

struct Worker {
    client: Client,
    rng: StdRng,
    tally: Arc<Tally>,
    documents: u64,
    next: u64,
    /// A single worker writes to it, so that the natural order is the order of its inserts.
    writes_capped: bool,
    failures: Failures,
}

/// What a failed operation means for its writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failures {
    End,
    Pass,
}

impl Worker {
    async fn run(mut self, every: Duration, stop: CancellationToken) -> Result<()> {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let written = self.write().await;
            if self.failures == Failures::End {
                written?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let Some(collection) = COLLECTIONS.choose(&mut self.rng) else {
            return Ok(());
        };
        if !collection.updatable {
            return if self.writes_capped {
                self.insert(collection).await
            } else {
                Ok(())
            };
        }
        match self.rng.random_range(0..100) {
            0..30 => self.insert(collection).await,
            30..70 => self.update(collection).await,
            70..80 => self.replace(collection).await,
            80..94 => self.delete(collection).await,
            _ => self.transaction().await,
        }
    }

    async fn insert(&mut self, collection: &Collection) -> Result<()> {
        let document = self.new_document(collection);
        self.handle(collection)
            .insert_one(document)
            .await
            .context("insert")?;
        self.tally.inserts.fetch_add(1, Relaxed);
        Ok(())
    }

    async fn update(&mut self, collection: &Collection) -> Result<()> {
        let (filter, handle) = (self.any(collection), self.handle(collection));
        // A pipeline, a many-document update, or an update operator.
        let updated = match self.rng.random_range(0..10) {
            0 => handle
                .update_one(filter, pipeline())
                .await
                .context("update by pipeline"),
            1 => {
                let set = doc! { "$set": { "swept": self.rng.random_range(0..100) } };
                handle
                    .update_many(self.any_few(collection), set)
                    .await
                    .context("update many")
            }
            _ => {
                let (also, update) = operators(&mut self.rng);
                let mut filter = filter;
                filter.extend(also);
                let shown = update.to_string();
                handle
                    .update_one(filter, update)
                    .await
                    .with_context(|| format!("update {shown}"))
            }
        }?;
        self.tally
            .updates
            .fetch_add(updated.modified_count, Relaxed);
        Ok(())
    }

    async fn replace(&mut self, collection: &Collection) -> Result<()> {
        let number = self.number(collection);
        let document = collection.document(&mut self.rng, number);
        let filter = doc! { "_id": { "$eq": (collection.id)(number) } };
        let replaced = self.handle(collection).replace_one(filter, document).await;
        self.tally
            .replaces
            .fetch_add(replaced.context("replace")?.modified_count, Relaxed);
        Ok(())
    }

    async fn delete(&mut self, collection: &Collection) -> Result<()> {
        let filter = self.any(collection);
        let deleted = self
            .handle(collection)
            .delete_one(filter)
            .await
            .context("delete")?;
        self.tally.deletes.fetch_add(deleted.deleted_count, Relaxed);
        Ok(())
    }

    /// An insert, two updates and a delete over three collections, together or not at all.
    async fn transaction(&mut self) -> Result<()> {
        let mut session = self
            .client
            .start_session()
            .await
            .context("start a session")?;
        session
            .start_transaction()
            .await
            .context("start a transaction")?;
        let wrote = self.write_together(&mut session).await;
        let aborted = match wrote {
            // An eighth of the transactions is aborted.
            Ok(()) if self.rng.random_ratio(1, 8) => true,
            Ok(()) => match session.commit_transaction().await {
                Ok(()) => false,
                Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => return Ok(()),
                Err(error) => return Err(error).context("commit a transaction"),
            },
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => true,
            Err(error) => return Err(error).context("write in a transaction"),
        };
        if aborted {
            session
                .abort_transaction()
                .await
                .context("abort a transaction")?;
        } else {
            self.tally.transactions.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn write_together(&mut self, session: &mut ClientSession) -> mongodb::error::Result<()> {
        let updatable: Vec<&Collection> = COLLECTIONS.iter().filter(|c| c.updatable).collect();
        for step in 0..4 {
            let Some(collection) = updatable.choose(&mut self.rng) else {
                return Ok(());
            };
            let handle = self.handle(collection);
            if step == 0 {
                handle
                    .insert_one(self.new_document(collection))
                    .session(&mut *session)
                    .await?;
            } else if step == 3 {
                handle
                    .delete_one(self.any(collection))
                    .session(&mut *session)
                    .await?;
            } else {
                let update = doc! { "$inc": { "revision": 1 } };
                handle
                    .update_one(self.any(collection), update)
                    .session(&mut *session)
                    .await?;
            }
        }
        Ok(())
    }

    fn handle(&self, collection: &Collection) -> mongodb::Collection<Document> {
        self.client
            .database(collection.database)
            .collection(collection.name)
    }

    fn new_document(&mut self, collection: &Collection) -> Document {
        self.next += 1;
        let number = self.next;
        collection.document(&mut self.rng, number)
    }

    /// A number of a document that was there at the beginning.
    fn number(&mut self, collection: &Collection) -> u64 {
        self.rng.random_range(0..collection.count(self.documents))
    }

    fn any(&mut self, collection: &Collection) -> Document {
        doc! { "_id": { "$eq": (collection.id)(self.number(collection)) } }
    }

    fn any_few(&mut self, collection: &Collection) -> Document {
        let from = self.number(collection);
        let ids: Vec<_> = (from..from + 5).map(collection.id).collect();
        doc! { "_id": { "$in": ids } }
    }
}

/// Another condition and an update with operators.
fn operators(rng: &mut StdRng) -> (Document, Document) {
    let value = rng.random_range(0..1_000_000);
    let has_history = doc! { "history.0": { "$exists": true } };
    match rng.random_range(0..9) {
        0 => (doc! {}, doc! { "$set": { "score": value } }),
        1 => (
            doc! {},
            doc! { "$set": { "score": value, "extra.deep.value": value, "mark": "x" } },
        ),
        2 => (doc! {}, doc! { "$inc": { "revision": 1 } }),
        3 => (
            doc! {},
            doc! { "$push": { "history": { "n": value, "by": [1, value] } } },
        ),
        4 => (doc! {}, doc! { "$unset": { "score": 1, "extra.deep": 1 } }),
        5 => {
            let push = doc! { "history": { "$each": [doc! { "n": value }], "$slice": -4 } };
            (
                doc! {},
                doc! { "$push": push, "$set": { "mark": "sliced" } },
            )
        }
        6 => (
            has_history,
            doc! { "$set": { "history.0.n": value }, "$inc": { "revision": 2 } },
        ),
        7 => (has_history, doc! { "$pop": { "history": -1 } }),
        _ => (
            doc! {},
            doc! { "$set": { "extra": { "0": { "a": value }, "10": [value] } } },
        ),
    }
}

/// Cuts an array, computes a field and removes another field in a single update.
fn pipeline() -> Vec<Document> {
    vec![
        doc! { "$set": {
            "revision": { "$add": [{ "$ifNull": ["$revision", 0] }, 1] },
            "history": { "$slice": [{ "$ifNull": ["$history", []] }, 2] },
        } },
        doc! { "$unset": "mark" },
    ]
}
