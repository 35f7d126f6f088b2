//! The destination of a sync. All writes pass the fence or have a guard.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bson::{Document, RawDocument, RawDocumentBuf, rawdoc};

use super::{
    Client, Database, Error, Fence, Guard, GuardCounts, GuardedWriter, Retry,
    reply::write_reply,
    write::{Outcome, WriteCommand},
};

/// The destination, for the host that works on the sync.
#[derive(Clone)]
pub struct Destination {
    client: Client,
    fence: Fence,
    counts: GuardCounts,
}

/// A database, for reads and for commands that pass the fence.
#[derive(Clone)]
pub struct DestinationDatabase {
    database: Database,
    fence: Fence,
}

impl Destination {
    /// A destination with the fence and the guards' counts of the present lease.
    pub fn new(client: Client, fence: Fence, counts: GuardCounts) -> Self {
        Self {
            client: client.with_name("the destination"),
            fence,
            counts,
        }
    }

    /// A writer with this guard.
    pub fn writer(&self, guard: Guard) -> GuardedWriter {
        let count = self.counts.take(&guard.writer);
        GuardedWriter::new(self.client.driver(), guard).with_count(count)
    }

    /// For reads only.
    pub fn reads(&self) -> Client {
        self.client.clone()
    }

    /// A database of the destination.
    pub fn database(&self, name: &str) -> DestinationDatabase {
        DestinationDatabase {
            database: self.client.database(name),
            fence: self.fence.clone(),
        }
    }
}

impl DestinationDatabase {
    /// For reads only.
    pub fn reads(&self) -> &Database {
        &self.database
    }

    /// Sends a command once, without a guard. For inserts of the copy only: a late insert can do no more
    /// than bring back a document that was deleted since.
    ///
    /// # Errors
    /// Errors of [`Fence::pass`] and of the reply. After a transient error, whether the command was done
    /// is unknown.
    pub async fn send_unguarded(&self, command: WriteCommand) -> Result<Outcome, Error> {
        if command.statements() == 0 {
            return Ok(Outcome::default());
        }
        Outcome::read(&self.send(command.into_command()?.body).await?)
    }

    /// Sends a write of documents once. The server ends it when this host's time for writing is over.
    async fn send(&self, mut command: RawDocumentBuf) -> Result<Document, Error> {
        self.fence
            .pass(|left| async move {
                command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
                command.append(bson::cstr!("maxTimeMS"), max_time_ms(left));
                write_reply(self.database.driver().run_raw_command(command).await)
            })
            .await
    }

    /// Runs a repeatable DDL command, which may take hours.
    pub async fn run(&self, command: RawDocumentBuf) -> Result<(), Error> {
        self.run_reporting_repeats(command, &mut false).await
    }

    /// Like [`Self::run`]. Sets `repeated` if the command was sent more than once, or its answer was lost:
    /// an attempt may still arrive.
    pub async fn run_reporting_repeats(
        &self,
        command: RawDocumentBuf,
        repeated: &mut bool,
    ) -> Result<(), Error> {
        let attempts = AtomicU32::new(0);
        let run = Retry::open(self.database.contact(), "run a command")
            .run(|| {
                attempts.fetch_add(1, Ordering::Relaxed);
                self.fence.pass(|_| async {
                    let reply = self
                        .database
                        .driver()
                        .run_raw_command(command.clone())
                        .await?;
                    Outcome::read(&reply).map(drop)
                })
            })
            .await;
        let known = match &run {
            Ok(()) => true,
            Err(error) => error.code().is_some(),
        };
        *repeated |= attempts.load(Ordering::Relaxed) > 1 || !known;
        run.map_err(|error| {
            let (what, collection) = named(&command);
            error.of_command(what, &format!("{}.{collection}", self.database.name()))
        })
    }
}

/// A command's name, and its collection.
fn named(command: &RawDocument) -> (&str, &str) {
    let first = command.iter().next().and_then(Result::ok);
    first.map_or(("a command", ""), |(name, collection)| {
        (name.as_str(), collection.as_str().unwrap_or_default())
    })
}

fn max_time_ms(left: Duration) -> i32 {
    i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1)
}
