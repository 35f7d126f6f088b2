//! The data of the benchmarks: documents of equal size, and mixed events on them.

mod script;

use anyhow::{Context, Result, ensure};
use bson::{Document, RawBson, RawDocumentBuf, doc, rawdoc};
use futures::{StreamExt, TryStreamExt};
use mongodb::Client;
use rand::{Rng, SeedableRng, rngs::StdRng};

pub(super) use self::script::Script;

pub(super) const DATABASE: &str = "bench";
pub(super) const COLLECTION: &str = "documents";

/// The `_id` of the document with a number. Numbers begin at 0.
pub(super) type Id = fn(u64) -> RawBson;

/// The documents that a collection begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Documents {
    pub(super) collection: &'static str,
    pub(super) count: u64,
    /// Of a document.
    pub(super) bytes: usize,
    pub(super) id: Id,
}

impl Documents {
    /// The documents of the only collection, with growing numbers as `_id`s.
    pub(super) const fn new(count: u64, bytes: usize) -> Self {
        Self {
            collection: COLLECTION,
            count,
            bytes,
            id: number,
        }
    }

    /// The number of documents in so many bytes, at least 1.
    pub(super) fn in_bytes(&self, bytes: u64) -> u64 {
        (bytes / self.bytes.max(1) as u64).max(1)
    }

    /// Inserts them. Returns their bytes.
    pub(super) async fn insert(&self, client: &Client) -> Result<u64> {
        const MOST: u64 = 2000;
        const MOST_BYTES: u64 = 16 << 20;
        let at_once = self.in_bytes(MOST_BYTES).min(MOST);
        let batches = (0..self.count.div_ceil(at_once)).map(|batch| {
            let database = client.database(DATABASE);
            let collection = database.collection::<RawDocumentBuf>(self.collection);
            let numbers = batch * at_once..((batch + 1) * at_once).min(self.count);
            async move {
                let mut rng = StdRng::seed_from_u64(batch);
                let documents: Vec<RawDocumentBuf> = numbers
                    .map(|number| self.document(&mut rng, number))
                    .collect();
                let bytes: u64 = documents.iter().map(|d| d.as_bytes().len() as u64).sum();
                collection
                    .insert_many(documents)
                    .ordered(false)
                    .await
                    .context("load")?;
                anyhow::Ok(bytes)
            }
        });
        futures::stream::iter(batches)
            .buffer_unordered(4)
            .try_fold(0, async |sum, bytes| Ok(sum + bytes))
            .await
    }

    /// A document, half of which compresses badly.
    fn document(&self, rng: &mut StdRng, number: u64) -> RawDocumentBuf {
        // Bytes of the other fields and their names.
        const REST: usize = 82;
        let mut text = vec![b'.'; self.bytes.saturating_sub(REST)];
        for byte in text.iter_mut().step_by(2) {
            *byte = b'a' + rng.random_range(0..26);
        }
        rawdoc! {
            "_id": (self.id)(number),
            "number": rng.random_range(0..1_000_000_i64),
            "score": rng.random::<f64>(),
            "flags": { "active": true },
            "text": String::from_utf8(text).unwrap_or_default(),
        }
    }

    /// Reads the collection once, so that each side finds the same warm cache.
    pub(super) async fn warm(&self, client: &Client) -> Result<()> {
        let pipeline = vec![doc! { "$group": { "_id": null, "n": { "$max": "$score" } } }];
        let database = client.database(DATABASE);
        let collection = database.collection::<Document>(self.collection);
        let _: Vec<Document> = collection.aggregate(pipeline).await?.try_collect().await?;
        Ok(())
    }
}

/// The number itself.
pub(super) fn number(number: u64) -> RawBson {
    RawBson::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// About as many events as wanted, by four writers that share the documents. Returns their number.
pub(super) async fn events(client: &Client, documents: &Documents, wanted: u64) -> Result<u64> {
    const WRITERS: u64 = 4;
    let (rounds, share) = (wanted / WRITERS / Script::ROUND, documents.count / WRITERS);
    let writers = (0..WRITERS).map(|writer| async move {
        let numbers = writer * share..(writer + 1) * share;
        let mut script = Script::new(*documents, numbers, documents.count + writer * wanted);
        for _ in 0..rounds {
            run(client, script.round()).await?;
        }
        anyhow::Ok(rounds * Script::ROUND)
    });
    let counts = futures::future::try_join_all(writers).await?;
    Ok(counts.iter().sum())
}

/// Runs write commands, and fails if a write fails.
pub(super) async fn run(
    client: &Client,
    commands: impl IntoIterator<Item = Document>,
) -> Result<()> {
    for command in commands {
        let reply = client.database(DATABASE).run_command(command).await?;
        ensure!(
            reply.get("writeErrors").is_none(),
            "a write failed: {reply}"
        );
    }
    Ok(())
}
