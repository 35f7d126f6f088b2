//! The question before a commit, which hooks may refuse.
//!
//! Invariant: a commit begins only after each hook of `beforeCommit` has accepted it in the same call. So the question
//! needs no persistence: a commit whose host was killed has not begun, and its repetition asks again.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use super::{Hooks, message::body, receiver::ask, reply::HookReply};
use crate::{
    config::{HookOptions, HookReceiver},
    metadata::HookDocument,
    model::{ErrorName, OperatorError, hook::HookEvent},
    mongo::{Moment, listing},
    session::active::ActiveSync,
};

/// The wait after the first failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The wait for the destination's clock.
const CLOCK_WITHIN: Duration = Duration::from_secs(1);

impl Hooks {
    /// Asks all hooks of `beforeCommit` at the same time.
    ///
    /// # Errors
    ///
    /// `CommitVetoed` if a hook refuses, `HookFailed` if a hook does not answer within its time limit.
    pub(crate) async fn before_commit(&self, active: &ActiveSync) -> Result<(), OperatorError> {
        let event = HookEvent::BeforeCommit;
        let asked: Vec<&Arc<HookOptions>> = self
            .hooks
            .iter()
            .filter(|hook| hook.events.contains(&event))
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let time = listing::local_time(&active.destination.client);
        let time = tokio::time::timeout(CLOCK_WITHIN, time).await;
        let document = HookDocument {
            id: format!("{}:{event}:{}", active.sync_id(), uuid::Uuid::new_v4()),
            event,
            at: time.ok().and_then(Result::ok),
            message: "A commit is requested.".to_owned(),
            details: bson::Document::new(),
            fact: false,
            pending: Vec::new(),
        };
        let body = body(&document, &active.record.get(), &self.instance);
        let answers = asked.iter().map(|hook| ask_in_time(hook, &body));
        let answers = join_all(answers).await;
        for (hook, answer) in asked.into_iter().zip(answers) {
            judge(&hook.name, answer)?;
        }
        Ok(())
    }
}

/// Asks a hook; a webhook that does not answer again and again within the time limit.
async fn ask_in_time(hook: &HookOptions, body: &[u8]) -> Result<HookReply, String> {
    let deadline = Moment::now() + hook.timeout;
    let mut wait = FIRST_WAIT;
    loop {
        let left = deadline.remaining().unwrap_or(Duration::from_millis(1));
        let answer = ask(hook, body, left).await;
        let repeats = matches!(hook.receiver, HookReceiver::Webhook(_))
            && deadline.remaining().is_some_and(|left| left > wait);
        if answer.is_ok() || !repeats {
            return answer;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

fn judge(hook: &str, answer: Result<HookReply, String>) -> Result<(), OperatorError> {
    match answer {
        Ok(HookReply::Accepted) => {
            tracing::info!(hook, "hook accepts the commit");
            Ok(())
        }
        Ok(HookReply::Vetoed(reason)) => {
            let reason = if reason.is_empty() {
                "without a reason".to_owned()
            } else {
                format!("with the reason: {reason}")
            };
            Err(OperatorError::new(
                ErrorName::CommitVetoed,
                format!(
                    "The hook {hook} refuses the commit, {reason}. Nothing was changed, and the sync goes on."
                ),
            ))
        }
        Err(reason) => Err(OperatorError::new(
            ErrorName::HookFailed,
            format!(
                "The hook {hook}, which may refuse a commit, did not answer: {reason}. Nothing was changed, and the \
                 sync goes on. Repair the hook, or take beforeCommit out of its events and start the host again; then \
                 call commit again."
            ),
        )),
    }
}
