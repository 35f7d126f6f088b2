//! Documents that plugins could not handle: listed, and tried again.

use tokio::sync::oneshot;

use super::Session;
use crate::{
    metadata::{Phase, QuarantineDocument},
    model::{
        ErrorName, OperatorError, State,
        plugins::{QuarantinedDocument, Retried},
    },
    sync::{self, Wish},
};

impl Session {
    /// Documents in quarantine behind `after`, an id or empty.
    pub async fn quarantined(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<QuarantinedDocument>, OperatorError> {
        let Some(active) = self.active() else {
            return Ok(Vec::new());
        };
        let listed = active.record.store().quarantined(&after, limit).await;
        let listed = listed.map_err(|error| sync::Error::from(error).into_operator())?;
        Ok(listed.into_iter().map(shown).collect())
    }

    /// Looks every quarantined document up on the source and runs it through its plugins again.
    pub async fn retry_quarantined(&self) -> Result<Retried, OperatorError> {
        let _calls = self.calls.lock().await;
        if let Some(standby) = self.standby() {
            return Err(standby.refusal());
        }
        let Some(active) = self.active() else {
            return Err(refusal("no sync has begun"));
        };
        let state = active.state().await;
        if state != State::Running {
            return Err(refusal(&format!("the state is {state}")));
        }
        if active.record.get().await.phase < Phase::ChangeEventApplication {
            return Err(refusal("the initial sync is running"));
        }
        let tried = active.status.quarantined();
        let (answer, answered) = oneshot::channel();
        active.wish(Wish::RetryQuarantined(answer)).await;
        answered
            .await
            .map_err(|_stopped| refusal("the sync has stopped meanwhile"))??;
        Ok(Retried {
            tried,
            left: active.status.quarantined(),
        })
    }
}

fn refusal(why: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "Quarantined documents are tried again in state RUNNING, once the initial sync is over; {why}."
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
