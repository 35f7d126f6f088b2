//! Detection of `applyOps` on the source. Operations that the command applies atomically are a
//! single oplog entry that no change stream carries. Only the run itself is visible, in each
//! server's count of commands.

use std::time::Duration;

use super::{Context, Record};
use crate::mongo::{ApplyOpsCounter, apply_ops_counter};

/// Interval between two checks.
const EVERY: Duration = Duration::from_secs(10);

const WARNING: &str = "applyOps was run on the source while the sync ran. Operations that it applies atomically reach no change \
                       stream, so they are missing on the destination. Compare what it changed, or copy those collections \
                       again.";

/// The last known count. Another process, for instance a new primary, starts its own count.
#[derive(Default)]
pub(super) struct ApplyOpsWatch(tokio::sync::Mutex<Option<ApplyOpsCounter>>);

impl ApplyOpsWatch {
    /// Checks at every interval. Never returns.
    ///
    /// Cancel safe: a check that is dropped leaves the last known count as it was.
    pub(super) async fn watch(&self, context: &Context, record: &Record) {
        loop {
            self.check(context, record).await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Persists a warning if `applyOps` was run since the last check. A source that does not answer
    /// is asked at the next check.
    pub(super) async fn check(&self, context: &Context, record: &Record) {
        let mut known = self.0.lock().await;
        let Some(now) = apply_ops_counter(&context.source).await else {
            return;
        };
        let has_more = known
            .as_ref()
            .is_some_and(|known| known.process == now.process && known.count < now.count);
        if has_more && !warn(record).await {
            return;
        }
        *known = Some(now);
    }
}

/// Persists the warning once. Returns whether it is persisted.
async fn warn(record: &Record) -> bool {
    if record.get().warnings.iter().any(|known| known == WARNING) {
        return true;
    }
    tracing::warn!("applyOps was run on the source");
    let added = record.update(|session| session.warnings.push(WARNING.to_owned()));
    added.await.is_ok()
}
