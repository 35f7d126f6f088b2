//! Inserts with growing `_id`s, and updates.

use std::time::Duration;

use anyhow::Result;
use bson::{Document, doc};
use mongodb::{Client, Database};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::super::{
    load::{COLLECTION, DATABASE},
    writer::{Steps, Writers},
};

/// Documents of an insert command, and of an update command.
const AT_ONCE: u32 = 10;

/// Changes a collection that was loaded with `base` documents.
struct Growth {
    database: Database,
    rng: StdRng,
    base: i64,
    next: i64,
}

/// Starts a writer with so many writes a second.
pub(super) fn start(client: &Client, base: u64, a_second: u32) -> Result<Writers> {
    let base = i64::try_from(base)?;
    let every = Duration::from_secs(1) * AT_ONCE * 2 / a_second;
    let growth = Growth {
        database: client.database(DATABASE),
        rng: StdRng::seed_from_u64(7),
        base,
        next: base,
    };
    Ok(Writers::start(every, [growth]))
}

impl Steps for Growth {
    async fn step(&mut self) -> Result<u64> {
        let (rng, next, base) = (&mut self.rng, &mut self.next, self.base);
        let inserts: Vec<Document> = (0..AT_ONCE)
            .map(|_| {
                *next += 1;
                doc! { "_id": *next, "number": rng.random_range(0..1_000_000), "text": ".".repeat(400) }
            })
            .collect();
        let updates: Vec<Document> = (0..AT_ONCE)
            .map(|_| {
                let set = doc! { "$set": { "number": rng.random_range(0..1_000_000_000) }, "$inc": { "revision": 1 } };
                doc! { "q": { "_id": rng.random_range(0..base) }, "u": set }
            })
            .collect();
        let insert = doc! { "insert": COLLECTION, "documents": inserts };
        let update = doc! { "update": COLLECTION, "updates": updates };
        tokio::try_join!(
            self.database.run_command(insert),
            self.database.run_command(update)
        )?;
        Ok(u64::from(AT_ONCE) * 2)
    }
}
