//! Sends occurrences to one hook, oldest first, each until it is received.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{message::body, outbox::Outbox, receiver::ask, reply::HookReply};
use crate::{
    config::HookOptions,
    metadata::HookDocument,
    mongo::Moment,
    observe::{failpoint, shortened},
    session::{active::ActiveSync, progress::deadline::seconds},
};

/// The wait after the first failure, which doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Time after which an occurrence is no longer sent by this host.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Sender {
    pub(super) hook: Arc<HookOptions>,
    pub(super) instance: String,
    pub(super) outbox: Arc<Outbox>,
    pub(super) active: Weak<ActiveSync>,
}

impl Sender {
    /// Sends until the sync is dropped. Cancel safe: an occurrence whose receipt is not durable is sent again, by the
    /// next host.
    pub(super) async fn run(self) {
        let give_up_after = shortened("TIDEGATE_HOOK_SECONDS", GIVE_UP_AFTER);
        loop {
            let document = self.outbox.next(&self.hook.name).await;
            let begun = Moment::now();
            let mut wait = FIRST_WAIT;
            while let Err(reason) = self.send(&document).await {
                let is_over = begun.elapsed() >= give_up_after;
                self.note_failure(&document, begun, &reason, is_over);
                if is_over {
                    break;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            failpoint("hook_received");
            self.outbox.received(&document.id, &self.hook.name).await;
        }
    }

    /// Sends an occurrence once.
    async fn send(&self, document: &HookDocument) -> Result<(), String> {
        let Some(active) = self.active.upgrade() else {
            return Err("this host has no sync any more".to_owned());
        };
        let body = body(document, &active.record.get(), &self.instance);
        match ask(&self.hook, &body, self.hook.timeout).await? {
            HookReply::Accepted => {
                tracing::info!(hook = self.hook.name, id = document.id, "hook received");
                active.hook_failures.set(&self.hook.name, None);
                Ok(())
            }
            HookReply::Vetoed(_) => Err("it refused the occurrence".to_owned()),
        }
    }

    fn note_failure(&self, document: &HookDocument, begun: Moment, reason: &str, is_over: bool) {
        let (hook, event) = (self.hook.name.as_str(), document.event.as_str());
        if is_over {
            tracing::warn!(
                hook,
                event,
                reason,
                "an occurrence is not sent to a hook any more"
            );
        } else {
            tracing::info!(
                hook,
                event,
                reason,
                "a hook has not received an occurrence yet"
            );
        }
        let Some(active) = self.active.upgrade() else {
            return;
        };
        let sentence = format!(
            "The hook {hook} has not received the occurrence '{event}' for {}: {reason}.{}",
            seconds(begun.elapsed()),
            if is_over {
                " It is not sent any more."
            } else {
                ""
            }
        );
        active.hook_failures.set(hook, Some(sentence));
    }
}
