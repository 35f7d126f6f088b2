//! Calls that a standby passes on to the leader, and calls of standbys that a leader carries out.
//!
//! A standby admits the caller by its own credentials, and passes name and role on. The leader carries the call out by
//! the same handlers as a call of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::body;
use super::control::Control;
use super::error::Refusal;
use super::parameters;
use super::protection::needed_role;
use crate::model::audit::AuditRecord;
use crate::model::hosts::{PassedAnswer, PassedCall, TakenCall};
use crate::model::{Caller, ErrorName, OperatorError, Role, input};

/// The prefix of calls that are passed on.
const API: &str = "/api/v1/";

/// Uploads are not passed on: they have up to 64 MiB.
const UPLOAD: &str = "/api/v1/plugins";

/// Largest answer of a call that changes something.
const MAX_ANSWER: usize = 1 << 20;

/// Middleware inside the admission: passes a changing call on to the leader, where this host is its standby.
pub(super) async fn pass_on<C: Control>(
    State(control): State<Arc<C>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_passed = request.method() == Method::POST && path.starts_with(API) && path != UPLOAD;
    if !is_passed || control.readiness().role != "standby" {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let received = match body::receive_json(body).await {
        Ok(mut received) => received.take(),
        Err(refusal) => return refusal.into_response(),
    };
    let (caller, record) = (
        parts.extensions.get::<Caller>(),
        parts.extensions.get::<AuditRecord>(),
    );
    if let (Ok(body), Some(caller)) = (std::str::from_utf8(&received), caller) {
        let call = PassedCall {
            path: parts.uri.path().to_owned(),
            body: body.to_owned(),
            who: caller.name.clone(),
            role: caller.role.to_string(),
            record: record.map(|record| record.id.clone()).unwrap_or_default(),
        };
        match control.pass_on(call).await {
            Some(Ok(answer)) => {
                if let Ok(given) = input::parse_json(&received) {
                    parameters::note(parameters::of_body(&given));
                }
                return response(answer);
            }
            Some(Err(error)) => return Refusal::from(error).into_response(),
            None => {}
        }
    }
    next.run(Request::from_parts(parts, Body::from(received)))
        .await
}

/// The answer of the leader, as this host's own.
fn response(answer: PassedAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let error = error_of(&answer.body);
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (status, json, answer.body).into_response();
    if let Some(error) = error {
        // For the log of calls.
        response.extensions_mut().insert(error);
    }
    response
}

fn error_of(body: &str) -> Option<OperatorError> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
    let known = ErrorName::ALL.iter();
    let name = text("error").and_then(|error| known.copied().find(|one| one.as_str() == error))?;
    Some(OperatorError::new(
        name,
        text("errorDescription").unwrap_or_default(),
    ))
}

/// Carries out the calls that standbys pass on, until `stop` is cancelled. Calls under way go on, each in its own task.
pub(super) async fn carry_out<C: Control>(
    control: Arc<C>,
    router: Router,
    stop: CancellationToken,
) {
    loop {
        let taken = tokio::select! {
            taken = control.next_passed_call() => taken,
            () = stop.cancelled() => return,
        };
        let (control, router) = (control.clone(), router.clone());
        tokio::spawn(async move {
            let answer = answer_of(&taken, router).await;
            control.answer_passed_call(taken.id, answer).await;
        });
    }
}

async fn answer_of(taken: &TakenCall, router: Router) -> PassedAnswer {
    let response = match request_of(taken) {
        Some(request) => {
            let Ok(response) = router.oneshot(request).await;
            response
        }
        None => Refusal::new(
            ErrorName::Forbidden,
            "The role of the passed call does not permit it. Nothing was changed.",
        )
        .into_response(),
    };
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), MAX_ANSWER).await;
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    PassedAnswer {
        status,
        body: body.unwrap_or_default(),
    }
}

/// The request of a passed call. `None` if its role does not permit it.
fn request_of(taken: &TakenCall) -> Option<Request> {
    let call = &taken.call;
    let caller = Caller {
        name: call.who.clone(),
        role: Role::of_name(&call.role)?,
    };
    if needed_role(&Method::POST, &call.path).is_some_and(|needed| caller.role < needed) {
        return None;
    }
    let mut request = axum::http::Request::post(call.path.as_str())
        .body(Body::from(call.body.clone()))
        .ok()?;
    request.extensions_mut().insert(PassedRecord {
        id: call.record.clone(),
        from: format!("host {}", taken.instance),
    });
    request.extensions_mut().insert(caller);
    Some(request)
}

/// The record of a passed call: the host that was called has given it its id.
#[derive(Clone, Debug)]
pub(super) struct PassedRecord {
    pub(super) id: String,
    /// The host that was called.
    pub(super) from: String,
}

/// Middleware in place of the admission, for calls that another host has admitted: the answer has the caller among its
/// extensions, as the request has.
pub(super) async fn admitted(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let mut response = next.run(request).await;
    if let Some(caller) = caller {
        response.extensions_mut().insert(caller);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(path: &str, role: &str) -> TakenCall {
        TakenCall {
            id: "1".to_owned(),
            instance: "b".to_owned(),
            call: PassedCall {
                path: path.to_owned(),
                body: "{}".to_owned(),
                who: "ops".to_owned(),
                role: role.to_owned(),
                record: "r".to_owned(),
            },
        }
    }

    #[test]
    fn the_role_of_a_passed_call_has_to_permit_it() {
        assert!(request_of(&taken("/api/v1/pause", "operator")).is_some());
        assert!(request_of(&taken("/api/v1/commit", "committer")).is_some());
        assert!(request_of(&taken("/api/v1/commit", "operator")).is_none());
        assert!(request_of(&taken("/api/v1/pause", "viewer")).is_none());
        assert!(request_of(&taken("/api/v1/pause", "root")).is_none());
    }

    #[test]
    fn the_error_of_the_leader_is_known_by_its_name() {
        let body = r#"{"success":false,"error":"CannotCommit","errorDescription":"The lag."}"#;
        let error = error_of(body).expect("an error");
        assert_eq!(
            (error.name, &*error.message),
            (ErrorName::CannotCommit, "The lag.")
        );
        assert!(error_of(r#"{"success":true}"#).is_none());
    }
}
