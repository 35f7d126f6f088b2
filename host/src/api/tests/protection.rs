//! Each call with each role, and the records of calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::model::audit::AuditRecord;

const TOKENS: &str = "- { name: vera, role: viewer, token: viewer-0123456789 }\n\
                      - { name: otto, role: operator, token: operator-0123456789 }\n\
                      - { name: cora, role: committer, token: committer-0123456789 }\n";

fn protected() -> Arc<Protection> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tokens");
    fs::write(&path, TOKENS).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    let protection = Protection::load(ProtectionOptions {
        bind: Ipv4Addr::LOCALHOST.into(),
        tls: None,
        tokens_file: Some(path),
        allowed_hosts: Vec::new(),
    });
    Arc::new(protection.expect("a protection"))
}

async fn send(
    protection: &Arc<Protection>,
    control: &Arc<ScriptedSession>,
    (method, path): (&str, &str),
    authorization: Option<&str>,
) -> Response {
    let mut request = request(method, path, "");
    if let Some(value) = authorization {
        let value = header::HeaderValue::from_str(value).expect("a value");
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let router = router(Arc::clone(control), Arc::clone(protection));
    router.oneshot(request).await.expect("infallible")
}

/// The calls of the OpenAPI document, with the role that docs/api.md names.
async fn calls() -> Vec<(String, String, &'static str)> {
    let control = ScriptedSession::new(State::Idle);
    let (_, document) = call(&control, "GET", "/api/v1/openapi.json", "").await;
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            let role = match (method.as_str(), path.as_str()) {
                ("GET", "/healthz" | "/readyz") => "open",
                ("GET", "/api/v1/usersAndRoles" | "/api/v1/shadow/contents") => "operator",
                ("GET", _) => "viewer",
                (_, "/api/v1/commit" | "/api/v1/reverse") => "committer",
                (_, path) if path.starts_with("/api/v1/plugins") => "committer",
                _ => "operator",
            };
            calls.push((method, path.replace("{digest}", "sha256:0"), role));
        }
    }
    calls
}

#[tokio::test]
async fn each_call_needs_its_role() {
    let protection = protected();
    let rank = |role: &str| {
        ["open", "viewer", "operator", "committer"]
            .iter()
            .position(|known| *known == role)
    };
    let calls = calls().await;
    assert!(calls.len() > 20, "{calls:?}");
    for (method, path, needed) in calls {
        for role in ["open", "viewer", "operator", "committer"] {
            let token = format!("Bearer {role}-0123456789");
            let token = (role != "open").then_some(token.as_str());
            let control = ScriptedSession::new(State::Running);
            let answer = send(&protection, &control, (&method, &path), token).await;
            let status = answer.status();
            let challenged = answer.headers().contains_key(header::WWW_AUTHENTICATE);
            let wanted = match token {
                _ if rank(role) >= rank(needed) => None,
                None => Some(StatusCode::UNAUTHORIZED),
                Some(_) => Some(StatusCode::FORBIDDEN),
            };
            match wanted {
                Some(wanted) => {
                    assert_eq!(status, wanted, "{method} {path} as {role}");
                    assert!(control.heard().is_empty(), "{method} {path} as {role}");
                    let (_, body) = answer_of(answer).await;
                    let text = body["errorDescription"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    assert!(token.is_none() || text.contains(needed), "{text}");
                }
                None => assert!(
                    ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
                    "{method} {path} as {role}: {status}"
                ),
            }
            assert_eq!(challenged, wanted == Some(StatusCode::UNAUTHORIZED));
        }
    }
}

#[tokio::test]
async fn a_token_is_also_a_password_and_nothing_else_is() {
    use base64::Engine;
    let protection = protected();
    let basic = |text: &str| {
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    };
    for (value, status) in [
        (basic("any:viewer-0123456789"), 200),
        (basic(":viewer-0123456789"), 200),
        ("bearer viewer-0123456789".to_owned(), 200),
        (basic("viewer-0123456789:"), 401),
        (basic("viewer-0123456789"), 401),
        ("Bearer viewer-012345678".to_owned(), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        ("Digest viewer-0123456789".to_owned(), 401),
        ("Basic %%%".to_owned(), 401),
    ] {
        let control = ScriptedSession::new(State::Running);
        let answer = send(
            &protection,
            &control,
            ("GET", "/api/v1/progress"),
            Some(&value),
        )
        .await;
        assert_eq!(answer.status().as_u16(), status, "{value}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_bounded() {
    let protection = protected();
    let control = ScriptedSession::new(State::Running);
    let call = async |token| send(&protection, &control, ("POST", "/api/v1/pause"), token).await;
    for _ in 0..10 {
        assert_eq!(
            call(Some("Bearer wrong")).await.status(),
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(call(None).await.status(), StatusCode::UNAUTHORIZED);
    }
    let answer = call(Some("Bearer operator-0123456789")).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    let (_, body) = answer_of(answer).await;
    assert_eq!(body["error"], "TooManyRequests");
    assert!(control.heard().is_empty());
}

#[tokio::test]
async fn changing_and_refused_calls_are_recorded() {
    let protection = protected();
    let control = ScriptedSession::new(State::Running);
    let send = async |call, token| send(&protection, &control, call, token).await;
    let (otto, vera) = (
        Some("Bearer operator-0123456789"),
        Some("Bearer viewer-0123456789"),
    );
    send(("GET", "/api/v1/progress"), otto).await;
    send(("GET", "/api/v1/progress"), None).await;
    send(("POST", "/api/v1/pause"), otto).await;
    send(("POST", "/api/v1/pause"), vera).await;
    send(("POST", "/api/v1/loadLevel"), otto).await;
    send(("GET", "/metrics"), Some("Bearer wrong")).await;
    let records: Vec<AuditRecord> = control.audit(None, 10).await.expect("records");
    let shown = records.iter().rev().map(|record| {
        format!(
            "{} {:?} {:?} {:?} {:?}",
            record.call, record.who, record.role, record.status, record.error
        )
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            r#"POST /api/v1/pause Some("otto") Some("operator") Some(200) None"#,
            r#"POST /api/v1/pause Some("vera") Some("viewer") Some(403) Some("Forbidden")"#,
            r#"POST /api/v1/loadLevel Some("otto") Some("operator") Some(400) Some("MissingField")"#,
            r#"GET /metrics None None Some(401) Some("Unauthorized")"#,
        ]
    );
}

#[tokio::test]
async fn a_record_shows_the_parameters_of_its_call() {
    let control = ScriptedSession::new(State::Running);
    call(&control, "POST", "/api/v1/loadLevel", r#"{ "level": 2 }"#).await;
    let (status, answer) = call(&control, "GET", "/api/v1/audit?limit=1", "").await;
    assert_eq!(status, StatusCode::OK);
    let record = &answer["audit"]["records"][0];
    assert_eq!(record["who"], "local");
    assert_eq!(record["parameters"], json!({ "level": "2" }));
    assert_eq!(record["outcome"], json!({ "status": 200, "error": null }));
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "before=1",
        "limit=1&limit=1",
    ] {
        let (status, _) = call(&control, "GET", &format!("/api/v1/audit?{query}"), "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// The console shows the forms that the role of its reader permits, and its forms need the roles of the calls.
#[tokio::test]
async fn the_console_keeps_to_the_role_of_its_reader() {
    let protection = protected();
    for (role, may_pause, may_commit) in [
        ("viewer", false, false),
        ("operator", true, false),
        ("committer", true, true),
    ] {
        let token = format!("Bearer {role}-0123456789");
        let control = ScriptedSession::new(State::Running);
        let page = send(&protection, &control, ("GET", "/"), Some(&token)).await;
        assert_eq!(page.status(), StatusCode::OK);
        let bytes = to_bytes(page.into_body(), usize::MAX)
            .await
            .expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        for (call, may) in [("pause", may_pause), ("commit", may_commit)] {
            let form = format!("action=\"/console/{call}\"");
            assert_eq!(text.contains(&form), may, "{call} as {role}");
            let path = format!("/console/{call}");
            let sent = send(&protection, &control, ("POST", &path), Some(&token)).await;
            let is_forbidden = sent.status() == StatusCode::FORBIDDEN;
            assert_eq!(is_forbidden, !may, "{call} as {role}: {}", sent.status());
        }
    }
    let control = ScriptedSession::new(State::Running);
    let page = send(&protection, &control, ("GET", "/"), None).await;
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
}
