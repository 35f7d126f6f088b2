//! The quarantine: documents that plugins could not handle.

use tokio::sync::oneshot;

use super::{
    active::ActiveSync,
    progress::{
        deadline::{ClusterLabel, while_answering, within_deadline},
        monitor::Monitor,
    },
};
use crate::{
    metadata::{self, Phase, QuarantineDocument},
    model::{
        ErrorName, OperatorError, State,
        plugins::{QuarantinedDocument, RetrySummary},
    },
    mongo,
    sync::WorkRequest,
};

/// Removes documents that a release up to 0.3.0 has stored in the quarantine. Runs in the background, because
/// they can be gigabytes and the sync should not wait. After a crash the next takeover continues.
pub(super) fn remove_stored_documents(store: &metadata::Store) {
    let store = store.clone();
    tokio::spawn(async move {
        match store.remove_stored_documents().await {
            Ok(0) | Err(mongo::Error::Fenced) => {}
            Ok(documents) => {
                tracing::info!(
                    documents,
                    "removed the documents that an older release has stored in the quarantine"
                );
            }
            Err(error) => {
                tracing::warn!(error = %error, "documents that an older release has stored stay in the quarantine until the next takeover");
            }
        }
    });
}

/// Up to `limit` documents in quarantine with ids after `after`; an empty `after` begins the list.
pub(super) async fn list(
    active: &ActiveSync,
    monitor: &Monitor,
    after: &str,
    limit: u32,
) -> Result<Vec<QuarantinedDocument>, OperatorError> {
    let destination = ClusterLabel::destination(active.destination.name);
    let listed = within_deadline(monitor, destination, "Nothing was read.", async {
        Ok(active.record.store().quarantined(after, limit).await?)
    });
    Ok(listed.await?.into_iter().map(shown).collect())
}

/// Retries every document in quarantine: reads it from the source and runs it through its plugins.
pub(super) async fn retry(
    active: Option<&ActiveSync>,
    monitor: &Monitor,
) -> Result<RetrySummary, OperatorError> {
    let active = active.ok_or_else(|| refusal("no sync has been started"))?;
    let state = active.state().public();
    if state != State::Running {
        return Err(refusal(&format!("the state is {state}")));
    }
    if active.record.get().phase < Phase::ChangeEventApplication {
        return Err(refusal("the initial sync is running"));
    }
    let tried = active.status.quarantined();
    let (answer, answered) = oneshot::channel();
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    let left_undone = "Documents may have been retried: see total of GET /api/v1/quarantine.";
    while_answering(monitor, clusters, left_undone, async {
        active.request(WorkRequest::RetryQuarantined(answer)).await;
        answered
            .await
            .map_err(|_stopped| refusal("the sync has stopped meanwhile"))?
    })
    .await?;
    Ok(RetrySummary {
        tried,
        left: active.status.quarantined(),
    })
}

fn refusal(why: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "Documents in quarantine can be retried in state RUNNING, after the initial sync; {why}."
        ),
    )
}

fn shown(document: QuarantineDocument) -> QuarantinedDocument {
    let document_id =
        bson::deserialize_from_slice::<bson::Document>(document.document_id.as_bytes())
            .ok()
            .and_then(|id| id.get("_id").cloned())
            .map_or(serde_json::Value::Null, bson::Bson::into_relaxed_extjson);
    QuarantinedDocument {
        id: document.id,
        namespace: document.source,
        document_id,
        component: document.component,
        digest: document.digest,
        export: document.export,
        reason: document.reason,
    }
}
