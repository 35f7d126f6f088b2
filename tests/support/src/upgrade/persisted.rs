//! The persisted state on the destination, for the parts that must never go back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use bson::Document;

use crate::{
    ReplicaSet,
    metadata::{Entry, dump},
};

/// Copied bytes and documents of a namespace or partition.
#[derive(Clone, Debug, PartialEq)]
struct Copied {
    documents: i64,
    bytes: i64,
    /// Of a partition: nothing of it is copied again.
    done: bool,
    /// Without the fields that a takeover writes into any document.
    document: Document,
}

/// The figures of a moment.
#[derive(Clone, Debug, Default)]
pub struct Persisted {
    /// As the session has it; `IDLE` where there is none.
    pub state: String,
    pub metadata_version: i32,
    pub events_applied: i64,
    pub quarantined: usize,
    partitions: BTreeMap<String, Copied>,
}

impl Persisted {
    pub async fn read(destination: &ReplicaSet) -> Result<Self> {
        Self::of(&dump(destination).await?)
    }

    pub fn of(entries: &[Entry]) -> Result<Self> {
        let mut persisted = Self {
            state: "IDLE".to_owned(),
            ..Self::default()
        };
        for entry in entries {
            let document = entry.to_document()?;
            match entry.collection.as_str() {
                "session" => {
                    document.get_str("state")?.clone_into(&mut persisted.state);
                    persisted.metadata_version = document.get_i32("metadataVersion")?;
                }
                "position" | "streamPosition" => {
                    persisted.events_applied = document.get_i64("eventsApplied")?;
                }
                "quarantine" => persisted.quarantined += 1,
                "partitions" | "copyPartitions" => {
                    let copied = Copied::of(document)?;
                    persisted.partitions.insert(entry.id().to_owned(), copied);
                }
                _ => {}
            }
        }
        Ok(persisted)
    }

    /// Durably copied bytes of the namespaces that `now` still lists: version 1 forgets the copied bytes of a
    /// dropped collection.
    pub fn copied_bytes(&self, now: &Self) -> u64 {
        let known = |(id, _): &(&String, &Copied)| now.partitions.contains_key(*id);
        let copied = self.partitions.iter().filter(known);
        let bytes: i64 = copied.map(|(_, copied)| copied.bytes).sum();
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Finished partitions, and all.
    pub fn partitions(&self) -> (usize, usize) {
        let done = self.partitions.values().filter(|copied| copied.done);
        (done.count(), self.partitions.len())
    }

    /// Fails if a figure of `before` has gone back, or a finished partition was touched again. Partitions of a
    /// collection that was dropped in between may be missing.
    pub fn has_not_gone_back(&self, before: &Self) -> Result<()> {
        ensure!(
            self.events_applied >= before.events_applied,
            "eventsApplied went back from {} to {}",
            before.events_applied,
            self.events_applied
        );
        for (id, was) in &before.partitions {
            let Some(is) = self.partitions.get(id) else {
                continue;
            };
            ensure!(
                is.documents >= was.documents && is.bytes >= was.bytes,
                "partition {id} went back from {was:?} to {is:?}"
            );
            ensure!(
                !was.done || is == was,
                "partition {id} was finished and has changed from {was:?} to {is:?}"
            );
        }
        Ok(())
    }
}

impl Copied {
    fn of(mut document: Document) -> Result<Self> {
        for of_the_host in ["term", "begun", "begunAt", "doneAt", "compare", "suspect"] {
            document.remove(of_the_host);
        }
        Ok(Self {
            documents: document.get_i64("documents")?,
            bytes: document.get_i64("bytes")?,
            done: document.get_bool("done")?,
            document,
        })
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn of(documents: i64, done: bool, events: i64) -> Result<Persisted> {
        let partition = doc! { "_id": "n:0", "documents": documents, "bytes": 7_i64, "done": done, "term": events };
        Persisted::of(&[
            Entry::new("copyPartitions", &partition)?,
            Entry::new(
                "streamPosition",
                &doc! { "_id": "position", "eventsApplied": events },
            )?,
        ])
    }

    #[test]
    fn figures_that_go_back_are_seen() -> Result<()> {
        let before = of(5, false, 3)?;
        of(6, true, 4)?.has_not_gone_back(&before)?;
        assert!(of(5, false, 2)?.has_not_gone_back(&before).is_err());
        assert!(of(4, false, 3)?.has_not_gone_back(&before).is_err());
        let finished = of(5, true, 3)?;
        of(5, true, 9)?.has_not_gone_back(&finished)?;
        assert!(of(6, true, 3)?.has_not_gone_back(&finished).is_err());
        assert!(of(5, false, 3)?.has_not_gone_back(&finished).is_err());
        Ok(())
    }
}
