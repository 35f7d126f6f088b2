//! Handler of `GET /audit`: a paged list of records, newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::control::Control;
use crate::api::error::{Failure, Refusal};
use crate::api::list_query::ListQuery;
use crate::api::request::read_query;
use crate::model::audit::AuditRecord;

/// Records on a page, at most.
const MAX_LIMIT: u32 = 1000;

/// Answer of `GET /audit`.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AuditAnswer {
    success: bool,
    audit: AuditBody,
}

#[derive(Serialize, ToSchema)]
struct AuditBody {
    /// Newest first.
    records: Vec<AuditEntry>,
    /// The `after` of the next page, with older records; null on the last page.
    next: Option<String>,
}

/// A call that changes something, or a refused call.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
struct AuditEntry {
    id: String,
    /// By the host's clock.
    #[schema(example = "2026-11-27T07:12:38.123Z")]
    at: String,
    /// Name of the token, subject of the client certificate, or "local"; null without valid credentials.
    who: Option<String>,
    /// Role of the caller: "viewer", "operator" or "committer".
    role: Option<String>,
    /// Address of the client, with its port.
    from: Option<String>,
    /// Method and path.
    #[schema(example = "POST /api/v1/pause")]
    call: String,
    /// Names of options and namespaces, and short values. No secrets, and no contents of documents.
    parameters: BTreeMap<String, String>,
    outcome: AuditOutcome,
    /// Number of refused calls before this one that have no record, because there were too many.
    unrecorded: u64,
}

#[derive(Serialize, ToSchema)]
struct AuditOutcome {
    /// HTTP status; null while the call is in progress, and for a handover, which ends the host.
    status: Option<u16>,
    /// Name of the error; null for a call that was carried out.
    error: Option<String>,
}

/// The records of calls, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "control", operation_id = "listAudit",
    params(
        ("after" = Option<String>, Query, description = "the `next` of the previous page"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "records on a page; 100 if absent"),
    ),
    responses(
        (status = 200, description = "A page of the list.", body = AuditAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(in crate::api) async fn list<C: Control>(
    State(control): State<Arc<C>>,
    uri: Uri,
) -> Result<Json<AuditAnswer>, Refusal> {
    let query: ListQuery<MAX_LIMIT> = read_query(&uri)?;
    let after = query.after.clone();
    let mut records = control.audit(after, query.read_limit()).await?;
    Ok(Json(AuditAnswer {
        success: true,
        audit: AuditBody {
            next: query.cut(&mut records, |record| &record.id),
            records: records.into_iter().map(AuditEntry::from).collect(),
        },
    }))
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        let at = bson::DateTime::from_millis(record.at_ms);
        Self {
            id: record.id,
            at: at.try_to_rfc3339_string().unwrap_or_default(),
            who: record.who,
            role: record.role,
            from: record.from,
            call: record.call,
            parameters: record.parameters,
            outcome: AuditOutcome {
                status: record.status,
                error: record.error,
            },
            unrecorded: record.unrecorded,
        }
    }
}
