//! Handlers of the verification: its progress, the list of mismatches, their repair, and a new beginning.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, NoOptions, Success, run_to_completion};
use super::error::{Failure, Refusal};
use super::list_query::ListQuery;
use super::progress::Verification;
use super::request::{read_body, read_query};
use crate::model::mismatch::ListedMismatch;

/// The media type of one object a line.
const NDJSON: &str = "application/x-ndjson";

/// Mismatches on a page, at most.
const MAX_LIMIT: u32 = 10_000;

/// Answer of `GET /verification`.
#[derive(Serialize, ToSchema)]
pub(super) struct VerificationAnswer {
    success: bool,
    /// Null where documents are not verified.
    verification: Option<Verification>,
    /// By namespace of the source. Capped collections are compared before commit, and views have no documents.
    collections: Vec<CollectionEntry>,
}

/// How far a collection is verified.
#[derive(Serialize, ToSchema)]
#[schema(as = VerifiedCollection)]
struct CollectionEntry {
    /// Namespace on the source.
    namespace: String,
    /// Documents that were compared and found equal.
    documents: u64,
    /// Whether every document was compared.
    complete: bool,
}

// The fields of `ListedMismatch::to_json`.
/// A difference between the clusters.
#[derive(ToSchema)]
#[schema(as = Mismatch)]
#[expect(
    dead_code,
    reason = "the schema of fields that are shared with lists of one object a line"
)]
struct MismatchBody {
    id: String,
    /// `open`, `repairing`, `repaired` or `gone`.
    state: String,
    /// Namespace on the source.
    namespace: String,
    /// Namespace on the destination, where it is another.
    #[schema(nullable = false)]
    destination: Option<String>,
    /// `document`, `collection`, `view`, `option`, `index` or `naturalOrder`.
    subject: String,
    /// `missing` (on the destination), `extra` (only there) or `differs`.
    kind: String,
    /// Canonical Extended JSON, of a document.
    #[schema(value_type = Value, required = false)]
    _id: Value,
    /// Name of an option or index.
    #[schema(nullable = false)]
    name: Option<String>,
    /// First path at which the bytes differ.
    #[schema(nullable = false)]
    path: Option<String>,
}

/// Answer of `GET /verification/mismatches`.
#[derive(Serialize, ToSchema)]
pub(super) struct MismatchesAnswer {
    success: bool,
    #[schema(value_type = Vec<MismatchBody>)]
    mismatches: Vec<Map<String, Value>>,
    /// The `after` of the next page; null on the last page.
    next: Option<String>,
}

/// How far the verification is, by collection.
#[utoipa::path(
    get, path = "/api/v1/verification", tag = "verification", operation_id = "verification",
    responses((status = 200, description = "The progress.", body = VerificationAnswer)),
)]
pub(super) async fn progress<C: Control>(
    State(control): State<Arc<C>>,
) -> Json<VerificationAnswer> {
    let progress = control.progress().await;
    let collections = progress.verified_collections.into_iter();
    Json(VerificationAnswer {
        success: true,
        verification: progress.verification.map(Verification::from),
        collections: collections
            .map(|(namespace, collection)| CollectionEntry {
                namespace: namespace.to_string(),
                documents: collection.documents,
                complete: collection.complete,
            })
            .collect(),
    })
}

/// Documents that differ or have differed, without contents. With `Accept: application/x-ndjson` one object a line.
#[utoipa::path(
    get, path = "/api/v1/verification/mismatches", tag = "verification", operation_id = "listMismatches",
    params(
        ("after" = Option<String>, Query, description = "the `next` of the previous page, or the `id` of its last line"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10000, description = "mismatches on a page; 100 if absent"),
    ),
    responses(
        (status = 200, description = "A page of the list.", body = MismatchesAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn mismatches<C: Control>(
    State(control): State<Arc<C>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query: ListQuery<MAX_LIMIT> = read_query(&uri)?;
    let after = query.after.clone().unwrap_or_default();
    let mut listed = control.mismatches(after, query.read_limit()).await?;
    let next = query.cut(&mut listed, |mismatch| &mismatch.id);
    let mismatches: Vec<_> = listed.iter().map(ListedMismatch::to_json).collect();
    let accept = headers
        .get(header::ACCEPT)
        .map(header::HeaderValue::as_bytes);
    if accept == Some(NDJSON.as_bytes()) {
        let lines: String = mismatches
            .into_iter()
            .map(|mismatch| format!("{}\n", json!(mismatch)))
            .collect();
        return Ok(([(header::CONTENT_TYPE, NDJSON)], lines).into_response());
    }
    let answer = MismatchesAnswer {
        success: true,
        mismatches,
        next,
    };
    Ok(Json(answer).into_response())
}

/// Writes all documents that differ again from the source. Answers at once; the list shows what has become of them.
#[utoipa::path(
    post, path = "/api/v1/verification/repair", tag = "verification", operation_id = "repairMismatches",
    request_body = NoOptions,
    responses(
        (status = 200, description = "The repair has begun.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn repair<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.repair_mismatches().await })
        .await
        .map(Success::json)
}

/// Verifies all documents again, from the beginning.
#[utoipa::path(
    post, path = "/api/v1/verification/restart", tag = "verification", operation_id = "restartVerification",
    request_body = NoOptions,
    responses(
        (status = 200, description = "The verification begins again.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn restart<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    read_body::<NoOptions>(body).await?;
    run_to_completion(async move { control.verify_again().await })
        .await
        .map(Success::json)
}
