//! Look-ups of parked keys, when their partition is done.

use std::sync::Arc;

use super::{
    Error,
    applier::Applier,
    lookup::LookUpTime,
    pending_write::{PendingDocument, PendingWrite},
    tracked_collections::TrackedCollection,
};
use crate::{
    model::{ClusterTime, document_key::DocumentKey},
    sync::partitions::ParkedKey,
};

/// Keys that are looked up together.
const TOGETHER: usize = 5_000;

/// The parked keys of one applier.
pub(super) struct ParkedKeys {
    /// Their collection.
    pub(super) tracked: Arc<TrackedCollection>,
    /// The keys, in the order of their first events.
    pub(super) keys: Vec<ParkedKey>,
    /// Look-ups see every write up to this time: that of the newest decided event.
    pub(super) at_least: ClusterTime,
}

impl Applier {
    /// Brings the documents of parked keys to the source's. On return they are durable.
    pub(super) async fn look_up_parked(&mut self, parked: &ParkedKeys) -> Result<(), Error> {
        let ParkedKeys {
            tracked,
            keys,
            at_least,
        } = parked;
        let time = LookUpTime::newest(*at_least);
        // An ambiguous key can equal a key that is not ambiguous itself.
        let is_ambiguous = |key: &ParkedKey| DocumentKey::new(key.id_kind, &key.id).is_ambiguous();
        let ambiguous = keys.iter().any(is_ambiguous);
        let (others, unique): (Vec<_>, Vec<_>) = keys
            .iter()
            .partition(|key| ambiguous || tracked.is_strict(key.id_kind));
        for keys in unique.chunks(TOGETHER) {
            self.look_up(tracked, &mut looked_up(keys), time).await?;
        }
        // Different keys can be one `_id` on the server. A delete of one must not follow the write
        // of the other, whichever event came last.
        let is_delete = |write: &PendingWrite<'_>| matches!(write, PendingWrite::Delete);
        self.look_up_pass(tracked, &others, time, is_delete).await?;
        self.look_up_pass(tracked, &others, time, |write| !is_delete(write))
            .await
    }

    /// Looks up all keys, and writes those for which `writes` holds.
    async fn look_up_pass(
        &mut self,
        tracked: &TrackedCollection,
        keys: &[&ParkedKey],
        time: LookUpTime,
        writes: impl Fn(&PendingWrite<'_>) -> bool,
    ) -> Result<(), Error> {
        for keys in keys.chunks(TOGETHER) {
            let mut entries = looked_up(keys);
            // A look-up is of strict keys alone, or of others alone.
            let (mut strict, mut free): (Vec<_>, Vec<_>) = entries
                .iter_mut()
                .partition(|entry| tracked.is_strict(entry.id_kind));
            for wanted in [&mut strict, &mut free] {
                while !wanted.is_empty() {
                    self.look_up_some(tracked, wanted, time, &writes).await?;
                    wanted.retain(|entry| entry.write.is_look_up());
                }
            }
        }
        Ok(())
    }
}

fn looked_up<'k>(keys: &[&'k ParkedKey]) -> Vec<PendingDocument<'k>> {
    let entries = keys.iter().map(|key| {
        let document_key = DocumentKey::new(key.id_kind, &key.id);
        PendingDocument::looked_up(document_key, key.id_kind, &key.id)
    });
    entries.collect()
}
