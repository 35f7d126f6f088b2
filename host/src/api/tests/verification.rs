//! The verification through the API: its mismatches as pages and as lines, and its collections.

use super::*;

#[tokio::test]
async fn mismatches_come_in_pages_and_as_lines() {
    let control = ScriptedSession::new(State::Running);
    let path = "/api/v1/verification/mismatches?limit=2";
    let (status, answer) = call(&control, "GET", path, "").await;
    assert_eq!(status, StatusCode::OK);
    let first = json!({
        "id": "a:1", "state": "open", "namespace": "sales.EMEA", "subject": "document",
        "_id": { "$numberInt": "7" }, "kind": "differs", "path": "a.b",
    });
    assert_eq!(answer["mismatches"][0], first);
    assert_eq!(
        (
            answer["mismatches"].as_array().map(Vec::len),
            &answer["next"]
        ),
        (Some(2), &json!("a:2"))
    );
    let (_, rest) = call(&control, "GET", &format!("{path}&after=a:2"), "").await;
    assert_eq!(
        (rest["mismatches"].as_array().map(Vec::len), &rest["next"]),
        (Some(1), &json!(null))
    );
    let (status, refused) = call(
        &control,
        "GET",
        "/api/v1/verification/mismatches?limit=0",
        "",
    )
    .await;
    assert_eq!(
        (status, &refused["error"]),
        (StatusCode::BAD_REQUEST, &json!("InvalidField"))
    );
}

#[tokio::test]
async fn collections_say_how_far_they_are_and_calls_arrive() {
    let control = ScriptedSession::new(State::Running);
    let (_, answer) = call(&control, "GET", "/api/v1/verification", "").await;
    assert_eq!(
        answer["collections"],
        json!([{ "namespace": "sales.EMEA", "documents": 31, "complete": true }])
    );
    assert_eq!(answer["verification"]["repaired"], 3);
    for name in ["repair", "restart"] {
        let (status, _) = call(
            &control,
            "POST",
            &format!("/api/v1/verification/{name}"),
            "",
        )
        .await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(control.heard(), ["repair", "verify again"]);
}
