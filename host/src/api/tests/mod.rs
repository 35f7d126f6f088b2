//! The API over a scripted session: the calls that it passes on, its answers, and that a refused call does not reach
//! the session.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tower::ServiceExt;

use std::net::Ipv4Addr;

use super::*;
use crate::config::ProtectionOptions;
use crate::model::state::Call;
use crate::model::{StartOptions, State};

mod connections;
mod console;
mod metrics;
mod plugins;
mod progress;
mod protection;
mod quarantine;
mod samples;
mod scripted_session;
mod start;
mod users;
mod verification;

use scripted_session::ScriptedSession;
use start::DOCUMENTED_START;

/// mongosync's documented body of calls without options, verbatim.
const DOCUMENTED_EMPTY: &str = "{ }";

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:27182")
        // The value that `curl --data` sends.
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .expect("a request")
}

/// The protection of a host on a loopback address without callers.
fn open() -> Arc<Protection> {
    let protection = Protection::load(ProtectionOptions {
        bind: Ipv4Addr::LOCALHOST.into(),
        tls: None,
        tokens_file: None,
        allowed_hosts: Vec::new(),
    });
    Arc::new(protection.expect("a protection"))
}

async fn respond(control: &Arc<ScriptedSession>, request: Request<Body>) -> Response {
    router(Arc::clone(control), open())
        .oneshot(request)
        .await
        .expect("infallible")
}

async fn call(
    control: &Arc<ScriptedSession>,
    method: &str,
    path: &str,
    body: impl Into<Body>,
) -> (StatusCode, Value) {
    answer_of(respond(control, request(method, path, body)).await).await
}

async fn answer_of(response: Response) -> (StatusCode, Value) {
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
                let control = ScriptedSession::new(state);
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
    for name in [
        "pause",
        "resume",
        "commit",
        "reverse",
        "quarantine/retry",
        "verification/repair",
        "verification/restart",
    ] {
        let control = ScriptedSession::new(State::Running);
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
async fn a_commit_takes_a_time_and_the_id_of_a_sync() {
    let control = ScriptedSession::new(State::Running);
    let body = r#"{ "maxBlockSeconds": 60, "sync": "a-1.1" }"#;
    let (status, _) = call(&control, "POST", "/api/v1/commit", body).await;
    assert_eq!(status, StatusCode::OK);
    let heard = control.heard().concat();
    assert!(
        heard.contains("Some(60)") && heard.contains("a-1.1"),
        "{heard}"
    );
    for seconds in ["0", "-1", "86401"] {
        let body = format!(r#"{{ "maxBlockSeconds": {seconds} }}"#);
        let (status, answer) = call(&control, "POST", "/api/v1/commit", body).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("InvalidField")),
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn a_load_level_is_a_whole_number_from_1_to_4() {
    let control = ScriptedSession::new(State::Running);
    for (body, error) in [
        (r#"{ "level": 0 }"#, "InvalidField"),
        (r#"{ "level": 5 }"#, "InvalidField"),
        (r#"{ "level": "2" }"#, "InvalidField"),
        (r#"{ "loadLevel": 2 }"#, "UnknownField"),
        ("", "MissingField"),
    ] {
        let (status, answer) = call(&control, "POST", "/api/v1/loadLevel", body).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{body}"
        );
    }
    let (_, answer) = call(&control, "POST", "/api/v1/loadLevel", r#"{ "level": 2 }"#).await;
    assert_eq!(answer, json!({ "success": true }));
    assert_eq!(control.heard(), ["loadLevel 2"]);
}

#[tokio::test]
async fn bodies_paths_methods_and_hosts_out_of_bounds_are_refused_in_the_same_shape() {
    let control = ScriptedSession::new(State::Idle);
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
            request("GET", "/api/v1/upgrade", ""),
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
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
        let (found, answer) = answer_of(respond(&control, request).await).await;
        assert_eq!(found, status, "{error}");
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
        let control = ScriptedSession::new(state);
        assert_eq!(
            call(&control, "GET", "/healthz", "").await.0,
            StatusCode::OK
        );
        assert_eq!(call(&control, "GET", "/readyz", "").await.0, ready);
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_call() {
    let control = ScriptedSession::new(State::Idle);
    let (status, document) = call(&control, "GET", "/api/v1/openapi.json", "").await;
    assert_eq!(status, StatusCode::OK);
    for (path, method) in [
        ("/api/v1/start", "post"),
        ("/api/v1/pause", "post"),
        ("/api/v1/resume", "post"),
        ("/api/v1/commit", "post"),
        ("/api/v1/reverse", "post"),
        ("/api/v1/loadLevel", "post"),
        ("/api/v1/progress", "get"),
        ("/api/v1/plugins", "get"),
        ("/api/v1/plugins", "post"),
        ("/api/v1/plugins/{digest}", "delete"),
        ("/api/v1/upgrade", "post"),
        ("/api/v1/shadow", "post"),
        ("/api/v1/shadow", "get"),
        ("/api/v1/shadow", "delete"),
        ("/api/v1/shadow/contents", "get"),
        ("/api/v1/recopy", "post"),
        ("/api/v1/quarantine", "get"),
        ("/api/v1/quarantine/retry", "post"),
        ("/api/v1/verification", "get"),
        ("/api/v1/verification/mismatches", "get"),
        ("/api/v1/verification/repair", "post"),
        ("/api/v1/verification/restart", "post"),
        ("/api/v1/usersAndRoles", "get"),
        ("/api/v1/openapi.json", "get"),
        ("/metrics", "get"),
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
        ("StartRequest", "documentFilter"),
        ("NamespaceFilter", "databaseRegex"),
        ("NamespaceRemap", "from"),
        ("Plugin", "onError"),
        ("InstalledPlugin", "configSchema"),
        ("UpgradeRequest", "onIncompatible"),
        ("QuarantinedDocument", "documentId"),
        ("PluginProgress", "p99Micros"),
        ("ProgressBody", "estimatedSecondsToCEACatchup"),
        ("ProgressBody", "mongosyncID"),
        ("ProgressBody", "throttle"),
        ("StartRequest", "throttle"),
        ("Failure", "errorDescription"),
    ] {
        assert!(
            schemas[schema]["properties"][field].is_object(),
            "{schema}.{field}: {schemas}"
        );
    }
    let upload = &document["paths"]["/api/v1/plugins"]["post"]["requestBody"]["content"];
    assert!(upload["application/wasm"].is_object(), "{upload}");
}

#[tokio::test]
async fn no_two_calls_of_the_openapi_document_have_one_name() {
    let control = ScriptedSession::new(State::Idle);
    let (_, document) = call(&control, "GET", "/api/v1/openapi.json", "").await;
    let calls = document["paths"].as_object().expect("paths").values();
    let calls = calls.flat_map(|path| path.as_object().expect("calls").values());
    let mut names: Vec<&str> = calls
        .map(|call| call["operationId"].as_str().expect("a name"))
        .collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
}
