//! A sequence of mixed writes on a collection.

use std::ops::Range;

use bson::{Bson, Document, doc};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::Documents;

/// The writes of a writer, on its own share of the documents: 40% inserts, 35% updates, 5% replaces, 20% deletes.
pub(in super::super) struct Script {
    documents: Documents,
    rng: StdRng,
    living: Vec<u64>,
    next: u64,
    hot: bool,
}

impl Script {
    /// Writes of a round of commands.
    pub(in super::super) const ROUND: u64 = 100;
    /// Documents that get a quarter of the updates of a script with hot keys.
    const HOT: usize = 10;

    /// `numbers`: the script's own documents; `next`: the number of its first insert.
    pub(in super::super) fn new(documents: Documents, numbers: Range<u64>, next: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(numbers.start);
        let mut living: Vec<u64> = numbers.collect();
        living.shuffle(&mut rng);
        Self {
            documents,
            rng,
            living,
            next,
            hot: false,
        }
    }

    /// A few documents get a quarter of the updates.
    pub(in super::super) fn with_hot_keys(self) -> Self {
        Self { hot: true, ..self }
    }

    /// The commands of a round.
    pub(in super::super) fn round(&mut self) -> [Document; 3] {
        let inserts: Vec<Document> = (0..40).map(|_| self.insert()).collect();
        let mut updates: Vec<Document> = (0..35).map(|_| self.update()).collect();
        updates.extend((0..5).map(|_| self.replace()));
        updates.shuffle(&mut self.rng);
        let deletes: Vec<Document> = (0..20).map(|_| self.delete()).collect();
        let collection = self.documents.collection;
        [
            doc! { "insert": collection, "documents": inserts, "ordered": false },
            doc! { "update": collection, "updates": updates, "ordered": false },
            doc! { "delete": collection, "deletes": deletes, "ordered": false },
        ]
    }

    /// A command with so many updates.
    pub(in super::super) fn updates(&mut self, count: u64) -> Document {
        let updates: Vec<Document> = (0..count).map(|_| self.update()).collect();
        doc! { "update": self.documents.collection, "updates": updates, "ordered": false }
    }

    fn insert(&mut self) -> Document {
        self.next += 1;
        self.living.push(self.next);
        self.fresh(self.next)
    }

    /// A field, or a few fields, never with their present values.
    fn update(&mut self) -> Document {
        let (id, number) = (self.any_or_hot(), self.rng.next_u32());
        let set = match self.rng.random_range(0..3) {
            0 => doc! { "number": i64::from(number), "touched": number.to_string() },
            1 => doc! { "score": f64::from(number) },
            _ => doc! { "flags.active": false, "flags.level": i64::from(number) },
        };
        doc! { "q": { "_id": self.id(id) }, "u": { "$set": set, "$inc": { "revision": 1 } } }
    }

    fn replace(&mut self) -> Document {
        let number = self.any();
        doc! { "q": { "_id": self.id(number) }, "u": self.fresh(number) }
    }

    fn delete(&mut self) -> Document {
        let at = self.rng.random_range(0..self.living.len().max(1));
        let number = self.living.swap_remove(at);
        doc! { "q": { "_id": self.id(number) }, "limit": 1 }
    }

    fn any_or_hot(&mut self) -> u64 {
        if !(self.hot && self.rng.random_ratio(1, 4)) {
            return self.any();
        }
        let at = self.rng.random_range(0..Self::HOT);
        self.living.get(at).copied().unwrap_or_default()
    }

    fn any(&mut self) -> u64 {
        let at = self.rng.random_range(0..self.living.len().max(1));
        self.living.get(at).copied().unwrap_or_default()
    }

    fn fresh(&mut self, number: u64) -> Document {
        let fresh = self.documents.document(&mut self.rng, number);
        Document::try_from(fresh).unwrap_or_default()
    }

    fn id(&self, number: u64) -> Bson {
        Bson::try_from((self.documents.id)(number)).unwrap_or(Bson::Null)
    }
}
