//! Handlers of the quarantine: a paged list of its documents, without their contents, and the retry of all documents.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Control;
use super::answer::{NoOptions, run_to_completion};
use super::error::{Failure, Refusal};
use super::list_query::ListQuery;
use super::request::{read_body, read_query};
use crate::model::plugins::QuarantinedDocument;

/// Documents on a page, at most.
const MAX_LIMIT: u32 = 1000;

/// Answer of `GET /quarantine`.
#[derive(Serialize, ToSchema)]
pub(super) struct QuarantineAnswer {
    success: bool,
    quarantine: QuarantineBody,
}

#[derive(Serialize, ToSchema)]
struct QuarantineBody {
    documents: Vec<QuarantineEntry>,
    /// Number of documents in quarantine, on all pages.
    total: u64,
    /// The `after` of the next page; null on the last page.
    next: Option<String>,
}

/// A document that a plugin could not handle.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuarantinedDocument)]
struct QuarantineEntry {
    /// Id of this entry, not of the document.
    id: String,
    /// Namespace on the source.
    #[schema(example = "sales.EMEA")]
    namespace: String,
    /// `_id` of the document, as relaxed Extended JSON.
    document_id: Value,
    /// Name of the component that failed.
    component: String,
    /// Digest of the component that failed.
    digest: String,
    /// Function that failed.
    export: String,
    /// The field and the type of its value, never the value.
    reason: String,
}

/// Answer of `POST /quarantine/retry`.
#[derive(Serialize, ToSchema)]
#[schema(as = RetriedAnswer)]
pub(super) struct RetryAnswer {
    success: bool,
    /// Number of documents in quarantine before the retry.
    tried: u64,
    /// Number of documents in quarantine after the retry.
    left: u64,
}

/// The documents in quarantine.
#[utoipa::path(
    get, path = "/api/v1/quarantine", tag = "plugins", operation_id = "listQuarantine",
    params(
        ("after" = Option<String>, Query, description = "the `next` of the previous page"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "documents on a page; 100 if absent"),
    ),
    responses(
        (status = 200, description = "A page of the list.", body = QuarantineAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn list<C: Control>(
    State(control): State<Arc<C>>,
    uri: Uri,
) -> Result<Json<QuarantineAnswer>, Refusal> {
    let query: ListQuery<MAX_LIMIT> = read_query(&uri)?;
    let after = query.after.clone().unwrap_or_default();
    let mut documents = control.quarantined(after, query.read_limit()).await?;
    Ok(Json(QuarantineAnswer {
        success: true,
        quarantine: QuarantineBody {
            next: query.cut(&mut documents, |document| &document.id),
            documents: documents.into_iter().map(QuarantineEntry::from).collect(),
            total: control.progress().await.quarantined,
        },
    }))
}

/// Gives every document in quarantine to its plugins once more. Answers when all are processed.
#[utoipa::path(
    post, path = "/api/v1/quarantine/retry", tag = "plugins", operation_id = "retryQuarantine",
    request_body = NoOptions,
    responses(
        (status = 200, description = "Done.", body = RetryAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn retry<C: Control>(
    State(control): State<Arc<C>>,
    body: Body,
) -> Result<Json<RetryAnswer>, Refusal> {
    read_body::<NoOptions>(body).await?;
    let retried = run_to_completion(async move { control.retry_quarantined().await }).await?;
    Ok(Json(RetryAnswer {
        success: true,
        tried: retried.tried,
        left: retried.left,
    }))
}

impl From<QuarantinedDocument> for QuarantineEntry {
    fn from(document: QuarantinedDocument) -> Self {
        Self {
            id: document.id,
            namespace: document.namespace.to_string(),
            document_id: document.document_id,
            component: document.component,
            digest: document.digest,
            export: document.export,
            reason: document.reason,
        }
    }
}
