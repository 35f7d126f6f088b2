//! The data of the benchmarks: documents of equal size, and mixed events on them.

use anyhow::{Context, Result};
use bson::{Document, RawDocumentBuf, doc, rawdoc};
use futures::{StreamExt, TryStreamExt};
use mongodb::Client;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng, seq::SliceRandom};

pub(super) const DATABASE: &str = "bench";
pub(super) const COLLECTION: &str = "documents";

const BATCH: u64 = 2000;

/// Inserts `count` documents with ids from 0; answers their bytes.
pub(super) async fn documents(client: &Client, count: u64, size: usize) -> Result<u64> {
    let collection = client
        .database(DATABASE)
        .collection::<RawDocumentBuf>(COLLECTION);
    let batches = (0..count.div_ceil(BATCH)).map(|batch| {
        let collection = collection.clone();
        async move {
            let mut rng = StdRng::seed_from_u64(batch);
            let ids = batch * BATCH..((batch + 1) * BATCH).min(count);
            let documents: Vec<_> = ids.map(|id| document(&mut rng, id, size)).collect();
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

/// A document of about `size` bytes, half of which compress badly.
fn document(rng: &mut StdRng, id: u64, size: usize) -> RawDocumentBuf {
    // Bytes of the other fields and their names.
    const REST: usize = 82;
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    let mut text = vec![b'.'; size.saturating_sub(REST)];
    for byte in text.iter_mut().step_by(2) {
        *byte = b'a' + rng.random_range(0..26);
    }
    rawdoc! {
        "_id": id,
        "number": rng.random_range(0..1_000_000_i64),
        "score": rng.random::<f64>(),
        "flags": { "active": true },
        "text": String::from_utf8(text).unwrap_or_default(),
    }
}

/// 40% inserts, 35% updates, 5% replaces, 20% deletes, on a collection that
/// [`documents`] made with `base` documents. Answers the number of events.
pub(super) async fn events(client: &Client, base: u64, wanted: u64, size: usize) -> Result<u64> {
    const WRITERS: u64 = 4;
    /// Events of a round of commands.
    const ROUND: u64 = 100;
    let (rounds, share) = (wanted / WRITERS / ROUND, base / WRITERS);
    let writers = (0..WRITERS).map(|writer| async move {
        let mut script = Script::new(writer, share, base + writer * wanted, size);
        let database = client.database(DATABASE);
        for _ in 0..rounds {
            for command in script.round() {
                let reply = database.run_command(command).await?;
                anyhow::ensure!(
                    reply.get("writeErrors").is_none(),
                    "a write failed: {reply}"
                );
            }
        }
        anyhow::Ok(rounds * ROUND)
    });
    let counts = futures::future::try_join_all(writers).await?;
    Ok(counts.iter().sum())
}

/// The writes of a writer, on its own share of the ids.
struct Script {
    rng: StdRng,
    living: Vec<i64>,
    next: i64,
    size: usize,
}

impl Script {
    fn new(writer: u64, share: u64, next: u64, size: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(writer);
        let id = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
        let mut living: Vec<i64> = (writer * share..(writer + 1) * share).map(id).collect();
        living.shuffle(&mut rng);
        Self {
            rng,
            living,
            next: id(next),
            size,
        }
    }

    fn round(&mut self) -> [Document; 3] {
        let inserts: Vec<Document> = (0..40).map(|_| self.insert()).collect();
        let mut updates: Vec<Document> = (0..35).map(|_| self.update()).collect();
        updates.extend((0..5).map(|_| self.replace()));
        updates.shuffle(&mut self.rng);
        let deletes: Vec<Document> = (0..20).map(|_| self.delete()).collect();
        [
            doc! { "insert": COLLECTION, "documents": inserts, "ordered": false },
            doc! { "update": COLLECTION, "updates": updates, "ordered": false },
            doc! { "delete": COLLECTION, "deletes": deletes, "ordered": false },
        ]
    }

    fn insert(&mut self) -> Document {
        self.next += 1;
        self.living.push(self.next);
        self.fresh(self.next)
    }

    /// A field, or a few fields, never with their present values.
    fn update(&mut self) -> Document {
        let (id, number) = (self.any(), self.rng.next_u32());
        let set = match self.rng.random_range(0..3) {
            0 => doc! { "number": i64::from(number), "touched": number.to_string() },
            1 => doc! { "score": f64::from(number) },
            _ => doc! { "flags.active": false, "flags.level": i64::from(number) },
        };
        doc! { "q": { "_id": id }, "u": { "$set": set, "$inc": { "revision": 1 } } }
    }

    fn replace(&mut self) -> Document {
        let id = self.any();
        doc! { "q": { "_id": id }, "u": self.fresh(id) }
    }

    fn delete(&mut self) -> Document {
        let at = self.rng.random_range(0..self.living.len().max(1));
        doc! { "q": { "_id": self.living.swap_remove(at) }, "limit": 1 }
    }

    fn any(&mut self) -> i64 {
        let at = self.rng.random_range(0..self.living.len().max(1));
        self.living.get(at).copied().unwrap_or_default()
    }

    fn fresh(&mut self, id: i64) -> Document {
        let fresh = document(&mut self.rng, id.unsigned_abs(), self.size);
        Document::try_from(fresh).unwrap_or_default()
    }
}

/// Reads the collection once, so that each side finds the same warm cache.
pub(super) async fn warm(client: &Client) -> Result<()> {
    let pipeline = vec![doc! { "$group": { "_id": null, "n": { "$max": "$score" } } }];
    let collection = client.database(DATABASE).collection::<Document>(COLLECTION);
    let _: Vec<Document> = collection.aggregate(pipeline).await?.try_collect().await?;
    Ok(())
}
