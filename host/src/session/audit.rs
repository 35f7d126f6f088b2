//! Records of calls: held in memory until the holder of the lease writes them to the metadata.
//!
//! A call never waits for its record. Without an active sync, or without an answer of the destination, the newest
//! records stay in memory. Each is in the log, too.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::timeout,
};

use super::active::ActiveSync;
use crate::{
    metadata::{AuditDocument, Store},
    model::audit::AuditRecord,
    mongo::Error,
};

/// Most records in memory. Above, the oldest goes.
const MAX_HELD: usize = 1_000;

/// Records of a transaction.
const BATCH: usize = 100;

/// Time that the end of the process, or a handover, waits for records.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);

/// Number of writes after which the oldest records are removed.
const TRIM_AFTER: usize = 100;

/// Records of calls of this host.
#[derive(Default)]
pub(crate) struct AuditTrail {
    held: Mutex<VecDeque<AuditRecord>>,
    news: Notify,
    /// Records that were written since the last trim; `None` before the first. Held while records are written.
    untrimmed: AsyncMutex<Option<usize>>,
}

impl AuditTrail {
    /// Keeps a record, in place of a record with its id. Never waits.
    pub(crate) fn record(&self, record: AuditRecord) {
        let mut held = self.held.lock();
        held.retain(|known| known.id != record.id);
        held.push_back(record);
        if held.len() > MAX_HELD {
            held.pop_front();
        }
        drop(held);
        self.news.notify_one();
    }

    /// Waits for a record in memory. Cancel safe.
    pub(crate) async fn news(&self) {
        while self.held.lock().is_empty() {
            self.news.notified().await;
        }
    }

    /// Writes the records in memory, within a bounded time: the lease is released next.
    pub(crate) async fn settle(&self, active: &ActiveSync) {
        let written = timeout(SETTLE_WITHIN, self.write(active)).await;
        if !matches!(written, Ok(Ok(()))) {
            let records = self.held.lock().len();
            tracing::info!(
                records,
                "records of calls are not in the metadata; the log has them"
            );
        }
    }

    /// Writes the records in memory. Cancel safe: a record whose write was not awaited is written again.
    pub(crate) async fn write(&self, active: &ActiveSync) -> Result<(), Error> {
        let store = active.record.store();
        let mut untrimmed = self.untrimmed.lock().await;
        loop {
            let batch: Vec<AuditRecord> = self.held.lock().iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            let documents: Vec<AuditDocument> = batch.iter().map(document).collect();
            store.put_audit_documents(&documents).await?;
            // A record that was replaced in the meantime has to be written once more.
            self.held.lock().retain(|held| !batch.contains(held));
            trim(store, &mut untrimmed, batch.len()).await?;
        }
    }

    /// The records in memory with ids before `before`.
    pub(crate) fn held(&self, before: Option<&str>) -> Vec<AuditRecord> {
        let held = self.held.lock();
        let wanted = held
            .iter()
            .filter(|record| before.is_none_or(|before| record.id.as_str() < before));
        wanted.cloned().collect()
    }
}

async fn trim(store: &Store, untrimmed: &mut Option<usize>, written: usize) -> Result<(), Error> {
    let total = untrimmed.map(|total| total + written);
    if total.is_some_and(|total| total < TRIM_AFTER) {
        *untrimmed = total;
        return Ok(());
    }
    store.trim_audit_documents().await?;
    *untrimmed = Some(0);
    Ok(())
}

fn document(record: &AuditRecord) -> AuditDocument {
    AuditDocument {
        id: record.id.clone(),
        at: bson::DateTime::from_millis(record.at_ms),
        who: record.who.clone(),
        role: record.role.clone(),
        from: record.from.clone(),
        call: record.call.clone(),
        parameters: record.parameters.clone(),
        status: record.status.map(i32::from),
        error: record.error.clone(),
        unrecorded: i64::try_from(record.unrecorded).unwrap_or(i64::MAX),
    }
}
