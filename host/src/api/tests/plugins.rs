//! Components through the API: list, upload, swap.

use super::*;
use std::io;

/// Largest component, in bytes.
const COMPONENT_LIMIT_BYTES: usize = 64 << 20;

fn installed(bytes: usize) -> Value {
    json!({
        "name": "field-mask",
        "version": "1.0.0",
        "digest": "sha256:ab",
        "abi": "1.0.0",
        "semantics": 1,
        "exports": ["describe", "transform"],
        "scope": "document",
        "configSchema": { "type": "object" },
        "wasi": false,
        "observes": true,
        "shipped": true,
        "signedBy": null,
        "bytes": bytes,
        "inUse": false,
    })
}

#[tokio::test]
async fn installed_components_are_listed_with_their_schema_as_json() {
    let control = ScriptedSession::new(State::Idle);
    let (status, answer) = call(&control, "GET", "/api/v1/plugins", "").await;
    let wanted = json!({ "success": true, "plugins": [installed(4)] });
    assert_eq!((status, answer), (StatusCode::OK, wanted));
}

#[tokio::test]
async fn a_component_is_taken_whatever_its_content_type_and_larger_than_json_may_be() {
    let component = vec![0; 2 * 1024 * 1024];
    for content_type in [
        Some("application/wasm"),
        Some("application/octet-stream"),
        Some("application/x-www-form-urlencoded"),
        None,
    ] {
        let control = ScriptedSession::new(State::Idle);
        let mut upload = request("POST", "/api/v1/plugins", component.clone());
        upload.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(value) = content_type {
            let value = header::HeaderValue::from_static(value);
            upload.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        let (status, answer) = answer_of(respond(&control, upload).await).await;
        let wanted = json!({ "success": true, "plugin": installed(component.len()) });
        assert_eq!((status, answer), (StatusCode::OK, wanted));
        assert_eq!(control.heard(), [format!("add {} bytes", component.len())]);
    }
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_announced_or_not() {
    let control = ScriptedSession::new(State::Idle);
    let announced = Body::from(vec![0; COMPONENT_LIMIT_BYTES + 1]);
    let chunks = std::iter::repeat_n(vec![0; 1024 * 1024], 65).map(Ok::<_, io::Error>);
    let streamed = Body::from_stream(futures::stream::iter(chunks));
    for body in [announced, streamed] {
        let (status, answer) = call(&control, "POST", "/api/v1/plugins", body).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::PAYLOAD_TOO_LARGE, &json!("BodyTooLarge"))
        );
    }
    assert!(control.heard().is_empty());
}

#[tokio::test]
async fn a_component_is_deleted_by_its_digest() {
    let control = ScriptedSession::new(State::Idle);
    let (status, answer) = call(&control, "DELETE", "/api/v1/plugins/sha256:ab", "").await;
    let wanted = json!({ "success": true });
    assert_eq!((status, answer), (StatusCode::OK, wanted));
    assert_eq!(control.heard(), ["remove sha256:ab"]);
    let (status, _) = call(&control, "GET", "/api/v1/plugins/sha256:ab", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_upgrade_passes_its_swaps_on() {
    for (more, copied_again) in [
        ("", ""),
        (r#", "onIncompatible": "refuse""#, ""),
        (r#", "onIncompatible": "recopy""#, ", copying again"),
    ] {
        let control = ScriptedSession::new(State::Running);
        let body = format!(
            r#"{{ "components": [{{ "name": "a", "digest": "sha256:1" }}, {{ "name": "b", "digest": "sha256:2" }}]{more} }}"#
        );
        let (status, answer) = call(&control, "POST", "/api/v1/upgrade", body).await;
        assert_eq!(
            (status, answer),
            (StatusCode::OK, json!({ "success": true }))
        );
        let wanted = ["upgrade a to sha256:1", "upgrade b to sha256:2"];
        assert_eq!(
            control.heard(),
            wanted.map(|heard| format!("{heard}{copied_again}"))
        );
    }
}

// error | text that its description must contain | input.
const BAD_UPGRADES: &str = r#"
MissingField | 'components'                                        | {}
InvalidField | 'components': the array is empty                    | { "components": [] }
InvalidField | 'components[0]': expected an object                 | { "components": ["a"] }
MissingField | 'components[0].digest'                              | { "components": [{ "name": "a" }] }
UnknownField | 'components[0].digst' (did you mean 'digest'?)      | { "components": [{ "name": "a", "digst": "b" }] }
InvalidField | 'components[1].name': the component is named twice  | { "components": [{ "name": "a", "digest": "b" }, { "name": "a", "digest": "c" }] }
UnknownField | 'onIncompatibel' (did you mean 'onIncompatible'?)   | { "components": [], "onIncompatibel": "refuse" }
InvalidField | 'onIncompatible': 'go' is not one of 'refuse', 'recopy' | { "components": [], "onIncompatible": "go" }
"#;

#[tokio::test]
async fn a_bad_upgrade_is_refused_by_name_and_reaches_nobody() {
    for line in BAD_UPGRADES.trim().lines() {
        let cells: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
        let [error, holds, input] = cells[..] else {
            panic!("{line}")
        };
        let control = ScriptedSession::new(State::Running);
        let (status, answer) = call(&control, "POST", "/api/v1/upgrade", input).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{line}: {answer}");
        assert_eq!(answer["error"], error, "{line}: {answer}");
        let why = answer["errorDescription"].as_str().expect("a sentence");
        assert!(why.contains(holds) && why.ends_with('.'), "{line}: {why}");
        assert!(control.heard().is_empty(), "{line}");
    }
}

#[tokio::test]
async fn a_shadow_is_begun_shown_and_ended() {
    let control = ScriptedSession::new(State::Running);
    for (body, error) in [
        (r#"{ "name": "a" }"#, "MissingField"),
        (r#"{ "digest": "sha256:1" }"#, "MissingField"),
        (
            r#"{ "name": "a", "digest": "sha256:1", "component": "sha256:1" }"#,
            "InvalidField",
        ),
        (
            r#"{ "name": "a", "digest": "sha256:1", "contents": 1 }"#,
            "InvalidField",
        ),
        (
            r#"{ "name": "a", "digest": "sha256:1", "content": true }"#,
            "UnknownField",
        ),
    ] {
        let (status, answer) = call(&control, "POST", "/api/v1/shadow", body).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{body}"
        );
    }
    for body in [
        r#"{ "name": "a", "digest": "sha256:1" }"#,
        r#"{ "name": "a", "component": "oci://r/a@sha256:1", "contents": true }"#,
    ] {
        let (_, answer) = call(&control, "POST", "/api/v1/shadow", body).await;
        assert_eq!(answer, json!({ "success": true }));
    }
    let (_, answer) = call(&control, "DELETE", "/api/v1/shadow", "").await;
    assert_eq!(answer, json!({ "success": true }));
    let heard = [
        "shadow a by sha256:1, contents: false",
        "shadow a by oci://r/a@sha256:1, contents: true",
        "end shadows",
    ];
    assert_eq!(control.heard(), heard);

    let (_, answer) = call(&control, "GET", "/api/v1/shadow", "").await;
    let shadow = &answer["shadows"][0];
    let sample = json!({ "namespace": "sales.EMEA", "documentId": 1, "current": "kept", "shadow": "replaced", "paths": ["mail"] });
    assert_eq!(
        (&shadow["slot"], &shadow["different"]),
        (&json!("plugins[0]"), &json!(1))
    );
    assert_eq!(shadow["samples"], json!([sample]));
    assert_eq!(shadow["paths"], json!({ "mail": 1 }));
    assert!(!answer.to_string().contains("ann@"), "{answer}");
    let (_, answer) = call(&control, "GET", "/api/v1/shadow/contents", "").await;
    assert_eq!(answer["documents"][0]["current"]["mail"], "ann@example.com");
    assert_eq!(answer["documents"][0]["shadow"]["mail"], "***");
}
