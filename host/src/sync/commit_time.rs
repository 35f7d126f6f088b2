//! The cluster time that a commit drains to.

use std::time::Duration;

use tokio::time::timeout;

use super::{Error, context::SOURCE};
use crate::{
    model::{ClusterTime, ErrorName, OperatorError},
    mongo::{Client, Delivery, append_oplog_note, listing},
};

/// The time that a commit call waits for the source.
const COMMIT_ANSWER: Duration = Duration::from_secs(3);

/// The source's current cluster time: every acknowledged write is at or before it. A note in the
/// oplog moves an idle source past that time at once, if the user may write one.
///
/// # Errors
/// `ConnectionFailed` if the source does not answer within 3 s.
pub async fn take_commit_time(source: &Client) -> Result<ClusterTime, Error> {
    let source = source.with_name(SOURCE);
    let taken = timeout(COMMIT_ANSWER, listing::operation_time(&source));
    let time = taken.await.map_err(|_elapsed| no_commit_time())??;
    let data = bson::doc! { "tidegate": "commit" };
    match append_oplog_note(&source, data, COMMIT_ANSWER).await {
        Ok(Delivery::Done(())) => {}
        Ok(Delivery::Unknown(error)) | Err(error) => {
            tracing::info!(error = %error, "oplog note failed; an idle source moves on within ten seconds");
        }
    }
    Ok(time)
}

fn no_commit_time() -> OperatorError {
    OperatorError::new(
        ErrorName::ConnectionFailed,
        format!(
            "The source has not answered for {} s, so no commit time could be taken. Nothing was changed, and the \
             sync goes on. Call commit again when the source answers.",
            COMMIT_ANSWER.as_secs()
        ),
    )
}
