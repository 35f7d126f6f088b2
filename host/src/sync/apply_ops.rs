//! `applyOps` on the source. What one applies atomically is one entry of the oplog that no change stream carries, so it can only
//! be seen that there was one: each server counts the commands that it has run.

use std::time::Duration;

use super::{Context, Record};
use crate::mongo::{AppliedOps, applied_ops};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);

const WARNING: &str = "applyOps was run on the source while the sync ran. Operations that it applies atomically reach no change \
                       stream, so they are missing on the destination. Compare what it changed, or copy those collections \
                       again.";

/// The count that is known. Another process, as of a new primary, counts anew.
#[derive(Default)]
pub(super) struct ApplyOpsWatch(tokio::sync::Mutex<Option<AppliedOps>>);

impl ApplyOpsWatch {
    /// Looks again and again; never returns.
    pub(super) async fn watch(&self, context: &Context, record: &Record) {
        loop {
            self.check(context, record).await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Persists a warning if one was run since the last look. A source that does not answer is asked next time.
    pub(super) async fn check(&self, context: &Context, record: &Record) {
        let mut known = self.0.lock().await;
        let Some(now) = applied_ops(&context.source).await else {
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

/// False if the warning could not be persisted.
async fn warn(record: &Record) -> bool {
    if record.get().warnings.iter().any(|known| known == WARNING) {
        return true;
    }
    tracing::warn!("applyOps was run on the source");
    let added = record.update(|session| session.warnings.push(WARNING.to_owned()));
    added.await.is_ok()
}
