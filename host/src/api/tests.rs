//! The API over a scripted sync: what it passes on, what it answers, and that a
//! refused call reaches nobody.

use std::sync::{Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::model::options::{BuildIndexes, NamespaceFilter, Regex};
use crate::model::progress::{CollectionProgress, CopyProgress, Endpoint, IndexProgress};
use crate::model::state::Call;
use crate::model::{
    ClusterTime, ErrorName, Namespace, OperatorError, Progress, StartOptions, State,
};

mod progress;
mod start;

use start::DOCUMENTED_START;

/// mongosync's documented body of the calls without options, verbatim.
const DOCUMENTED_EMPTY: &str = "{ }";

/// Stands in for the session: allows what its state allows, and writes down
/// what it was asked.
struct Scripted {
    state: State,
    heard: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state,
            heard: Mutex::default(),
        })
    }

    fn hear(&self, call: Call, what: &str) -> Result<(), OperatorError> {
        if !self.state.allows(call) {
            let why = format!("{call} is not allowed in state {}.", self.state);
            return Err(OperatorError::new(ErrorName::InvalidStateTransition, why));
        }
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{call}{what}"));
        Ok(())
    }

    fn heard(&self) -> Vec<String> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Control for Scripted {
    async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        let options = serde_json::to_string(&options).expect("options");
        self.hear(Call::Start, &format!(" {options}"))
    }
    async fn pause(&self) -> Result<(), OperatorError> {
        self.hear(Call::Pause, "")
    }
    async fn resume(&self) -> Result<(), OperatorError> {
        self.hear(Call::Resume, "")
    }
    async fn commit(&self) -> Result<(), OperatorError> {
        self.hear(Call::Commit, "")
    }
    async fn reverse(&self) -> Result<(), OperatorError> {
        self.hear(Call::Reverse, "")
    }
    async fn progress(&self) -> Progress {
        sample_progress(self.state)
    }
    fn is_ready(&self) -> bool {
        self.state == State::Running
    }
}

fn sample_progress(state: State) -> Progress {
    Progress {
        state,
        info: Some("change event application"),
        cannot_commit: Some("Lag is 31 seconds.".to_owned()),
        can_write: false,
        lag_seconds: Some(31),
        total_events_applied: 12,
        copy: CopyProgress {
            total_bytes: 694,
            copied_bytes: 695,
            copied_documents: 7,
        },
        indexes: IndexProgress {
            built: 1,
            total: 2,
            collections_finished: 3,
            collections_total: 4,
        },
        seconds_to_catch_up: Some(5),
        oplog_seconds_remaining: Some(12 * 3600),
        warnings: vec!["Data is not verified.".to_owned()],
        source: Endpoint {
            cluster: "cluster0",
            address: "localhost:27017".to_owned(),
            ping_ms: Some(2),
        },
        destination: Endpoint {
            cluster: "cluster1",
            address: "localhost:27018".to_owned(),
            ping_ms: None,
        },
        safe: Some(ClusterTime {
            seconds: 9,
            increment: 1,
        }),
        reported: Some(ClusterTime {
            seconds: 10,
            increment: 2,
        }),
        mongosync_id: "coordinator".to_owned(),
        coordinator_id: "coordinator".to_owned(),
        collections: vec![CollectionProgress {
            namespace: Namespace::new("sales", "EMEA"),
            destination: Namespace::new("sales", "EMEA"),
            state: "copied",
            documents: 7,
            bytes: 694,
        }],
    }
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:27182")
        // What `curl --data` sends.
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .expect("a request")
}

async fn respond(control: &Arc<Scripted>, request: Request<Body>) -> Response {
    router(Arc::clone(control))
        .oneshot(request)
        .await
        .expect("infallible")
}

async fn call(
    control: &Arc<Scripted>,
    method: &str,
    path: &str,
    body: impl Into<Body>,
) -> (StatusCode, Value) {
    let response = respond(control, request(method, path, body)).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

#[tokio::test]
async fn each_state_allows_its_calls_and_no_other() {
    let states = [
        State::Idle,
        State::Running,
        State::Paused,
        State::Committing,
        State::Committed,
        State::Reversing,
    ];
    for state in states {
        for name in [
            Call::Start,
            Call::Pause,
            Call::Resume,
            Call::Commit,
            Call::Reverse,
        ] {
            for empty in ["", DOCUMENTED_EMPTY] {
                let body = if name == Call::Start {
                    DOCUMENTED_START
                } else {
                    empty
                };
                let control = Scripted::new(state);
                let (status, answer) =
                    call(&control, "POST", &format!("/api/v1/{name}"), body).await;
                if state.allows(name) {
                    assert_eq!(
                        (status, answer),
                        (StatusCode::OK, json!({ "success": true }))
                    );
                    assert_eq!(control.heard().len(), 1);
                } else {
                    assert_eq!(status, StatusCode::CONFLICT);
                    assert_eq!(answer["error"], "InvalidStateTransition", "{state} {name}");
                    assert!(control.heard().is_empty());
                }
            }
        }
    }
}

#[tokio::test]
async fn calls_without_options_take_none() {
    for name in ["pause", "resume", "commit", "reverse"] {
        let control = Scripted::new(State::Running);
        let path = format!("/api/v1/{name}");
        let (status, answer) = call(&control, "POST", &path, r#"{ "force": true }"#).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("UnknownField"))
        );
        assert!(control.heard().is_empty());
    }
}

#[tokio::test]
async fn bodies_paths_methods_and_hosts_out_of_bounds_are_refused_in_the_same_shape() {
    let control = Scripted::new(State::Idle);
    let too_long = vec![b' '; 1024 * 1024 + 1];
    let foreign = |name, value| {
        let mut foreign = request("POST", "/api/v1/start", DOCUMENTED_START);
        foreign
            .headers_mut()
            .insert(name, header::HeaderValue::from_static(value));
        foreign
    };
    for (request, status, error) in [
        (
            request("POST", "/api/v1/start", too_long),
            StatusCode::PAYLOAD_TOO_LARGE,
            "BodyTooLarge",
        ),
        (
            request("GET", "/api/v1/start", ""),
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
        ),
        (
            request("POST", "/api/v1/post", "{ }"),
            StatusCode::NOT_FOUND,
            "NotFound",
        ),
        (
            request("GET", "/api/v1/progress?collections=1", ""),
            StatusCode::BAD_REQUEST,
            "InvalidField",
        ),
        (
            foreign(header::HOST, "evil.example"),
            StatusCode::FORBIDDEN,
            "HostNotAllowed",
        ),
        (
            foreign(header::ORIGIN, "https://evil.example"),
            StatusCode::FORBIDDEN,
            "HostNotAllowed",
        ),
    ] {
        let response = respond(&control, request).await;
        assert_eq!(response.status(), status, "{error}");
        let bytes = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a body");
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(
            (&answer["success"], &answer["error"]),
            (&json!(false), &json!(error))
        );
        assert!(answer["errorDescription"].is_string());
    }
    assert!(control.heard().is_empty());
}

#[tokio::test]
async fn health_and_readiness() {
    for (state, ready) in [
        (State::Running, StatusCode::OK),
        (State::Idle, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let control = Scripted::new(state);
        assert_eq!(
            call(&control, "GET", "/healthz", "").await.0,
            StatusCode::OK
        );
        assert_eq!(call(&control, "GET", "/readyz", "").await.0, ready);
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_call() {
    let control = Scripted::new(State::Idle);
    let (status, document) = call(&control, "GET", "/api/v1/openapi.json", "").await;
    assert_eq!(status, StatusCode::OK);
    for (path, method) in [
        ("/api/v1/start", "post"),
        ("/api/v1/pause", "post"),
        ("/api/v1/resume", "post"),
        ("/api/v1/commit", "post"),
        ("/api/v1/reverse", "post"),
        ("/api/v1/progress", "get"),
        ("/api/v1/openapi.json", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    ] {
        assert!(
            document["paths"][path][method].is_object(),
            "{method} {path}"
        );
    }
    let schemas = &document["components"]["schemas"];
    for (schema, field) in [
        ("StartRequest", "excludeNamespaces"),
        ("NamespaceFilter", "databaseRegex"),
        ("ProgressBody", "estimatedSecondsToCEACatchup"),
        ("ProgressBody", "mongosyncID"),
        ("Failure", "errorDescription"),
    ] {
        assert!(
            schemas[schema]["properties"][field].is_object(),
            "{schema}.{field}: {schemas}"
        );
    }
}
