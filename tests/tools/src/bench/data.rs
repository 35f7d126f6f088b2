//! Collections with shares of the data, and writes on all of them.

use std::time::Duration;

use anyhow::Result;
use bson::RawBson;
use mongodb::Client;
use rand::{SeedableRng, distr::weighted::WeightedIndex, prelude::Distribution, rngs::StdRng};

use super::{
    load::{self, Documents, Id, Script, number},
    writer::{Steps, Writers},
};

const BYTES: u64 = 2_000_000_000;
const DOCUMENT_BYTES: usize = 1024;

/// Collections and their shares of the data, in a thousand.
const COLLECTIONS: [(&str, u64, Id); 7] = [
    ("growing", 600, number),
    ("scattered", 300, scattered),
    ("small_1", 20, number),
    ("small_2", 20, scattered),
    ("small_3", 20, number),
    ("small_4", 20, scattered),
    ("small_5", 20, number),
];

/// New documents lie between the old ones, as with UUIDs.
fn scattered(number: u64) -> RawBson {
    RawBson::String(format!(
        "{:016x}",
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    ))
}

/// The collections of a case, and their shares of the writes.
pub(super) struct Data(Vec<(Documents, u64)>);

impl Data {
    /// Collections that get equally many writes.
    pub(super) fn of(collections: impl IntoIterator<Item = Documents>) -> Self {
        Self(collections.into_iter().map(|one| (one, 1)).collect())
    }

    /// An n-th of 2 GB of 1 KiB documents in seven collections, two of them large.
    pub(super) fn new(divide: u64) -> Self {
        let count = BYTES / DOCUMENT_BYTES as u64 / divide;
        let collections = COLLECTIONS.map(|(collection, share, id)| {
            let documents = Documents {
                collection,
                count: count * share / 1000,
                bytes: DOCUMENT_BYTES,
                id,
            };
            (documents, share)
        });
        Self(collections.into())
    }

    /// Inserts all. Returns their bytes.
    pub(super) async fn insert(&self, client: &Client) -> Result<u64> {
        let mut bytes = 0;
        for (documents, _) in &self.0 {
            bytes += documents.insert(client).await?;
        }
        Ok(bytes)
    }

    pub(super) async fn warm(&self, client: &Client) -> Result<()> {
        for (documents, _) in &self.0 {
            documents.warm(client).await?;
        }
        Ok(())
    }

    /// Starts writes on all keys of all collections, some of them hot, at a rate. One writer would have to wait for
    /// answers longer than the rate allows.
    pub(super) fn start_writes(&self, client: &Client, a_second: u32) -> Result<Writers> {
        let (every, writers) = self.writers(client, (0, a_second))?;
        Ok(Writers::start(every, writers))
    }

    /// The writers of a run at a rate, and the time in which each does a step. No document is inserted in two runs.
    pub(super) fn writers(
        &self,
        client: &Client,
        (run, a_second): (u64, u32),
    ) -> Result<(Duration, Vec<Writes>)> {
        const WRITERS: u32 = 4;
        let round = u32::try_from(Script::ROUND)?;
        let every = Duration::from_secs(1) * round * WRITERS / a_second;
        let writers = u64::from(WRITERS);
        let writers: Result<Vec<Writes>> = (0..writers)
            .map(|number| self.share(client, (number, writers), run * writers + number))
            .collect();
        Ok((every, writers?))
    }

    /// The writes of one of `writers` writers, on its share of each collection.
    pub(super) fn writes(&self, client: &Client, (number, writers): (u64, u64)) -> Result<Writes> {
        self.share(client, (number, writers), number)
    }

    fn share(
        &self,
        client: &Client,
        (number, writers): (u64, u64),
        inserts: u64,
    ) -> Result<Writes> {
        // Numbers of inserts, of which no writer has as many.
        const INSERTS: u64 = 100_000_000;
        let scripts = self.0.iter().map(|(documents, _)| {
            let share = documents.count / writers;
            let numbers = number * share..(number + 1) * share;
            Script::new(*documents, numbers, documents.count + inserts * INSERTS).with_hot_keys()
        });
        Ok(Writes {
            client: client.clone(),
            scripts: scripts.collect(),
            shares: WeightedIndex::new(self.0.iter().map(|(_, share)| *share))?,
            rng: StdRng::seed_from_u64(number),
        })
    }

    /// The number of all documents.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(documents, _)| documents.count).sum()
    }
}

/// Inserts, updates, replaces and deletes.
pub(super) struct Writes {
    client: Client,
    scripts: Vec<Script>,
    shares: WeightedIndex<u64>,
    rng: StdRng,
}

impl Steps for Writes {
    async fn step(&mut self) -> Result<u64> {
        let chosen = self.shares.sample(&mut self.rng);
        let Some(script) = self.scripts.get_mut(chosen) else {
            return Ok(0);
        };
        load::run(&self.client, script.round()).await?;
        Ok(Script::ROUND)
    }
}
