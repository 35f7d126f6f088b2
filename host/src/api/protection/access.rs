//! Roles that calls need.

use axum::http::Method;

use crate::model::Role;

/// Calls that show no data: probes of an orchestrator have no credentials.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Changing calls of the operator. Any other change needs the committer, so that a new call is not open by mistake.
const OF_OPERATOR: [&str; 21] = [
    "/api/v1/start",
    "/api/v1/pause",
    "/api/v1/resume",
    "/api/v1/handover",
    "/api/v1/loadLevel",
    "/api/v1/upgrade",
    "/api/v1/shadow",
    "/api/v1/recopy",
    "/api/v1/quarantine/retry",
    "/api/v1/verification/repair",
    "/api/v1/verification/restart",
    "/console/start",
    "/console/pause",
    "/console/resume",
    "/console/handover",
    "/console/loadLevel",
    "/console/upgrade",
    "/console/recopy",
    "/console/retryQuarantine",
    "/console/repair",
    "/console/verifyAgain",
];

/// Reading calls of the operator: they name users, and show contents of documents.
const READ_BY_OPERATOR: [&str; 2] = ["/api/v1/usersAndRoles", "/api/v1/shadow/contents"];

/// The lowest role that may make a call; `None` for an open call.
pub(in crate::api) fn needed_role(method: &Method, path: &str) -> Option<Role> {
    match *method {
        Method::GET | Method::HEAD if OPEN.contains(&path) => None,
        Method::GET | Method::HEAD if READ_BY_OPERATOR.contains(&path) => Some(Role::Operator),
        Method::GET | Method::HEAD => Some(Role::Viewer),
        Method::DELETE if path == "/api/v1/shadow" => Some(Role::Operator),
        Method::POST if OF_OPERATOR.contains(&path) => Some(Role::Operator),
        _ => Some(Role::Committer),
    }
}
