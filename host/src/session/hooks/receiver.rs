//! Receivers of occurrences.

use std::time::Duration;

use super::{program, reply::HookReply, webhook};
use crate::config::{HookOptions, HookReceiver};

/// Sends a body to a receiver, once, and waits for its reply for at most `limit`.
///
/// # Errors
/// The reason for the lack of a reply, as the end of a sentence.
pub(super) async fn ask(
    hook: &HookOptions,
    body: &[u8],
    limit: Duration,
) -> Result<HookReply, String> {
    match &hook.receiver {
        HookReceiver::Webhook(options) => webhook::post(options, body.to_vec(), limit).await,
        HookReceiver::Program { program, arguments } => {
            program::run(program, arguments, body, limit).await
        }
    }
}
