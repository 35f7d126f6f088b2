//! The quarantine through the API: its pages, and the retry.

use super::*;

async fn page(query: &str) -> (StatusCode, Value) {
    let control = ScriptedSession::new(State::Running);
    call(&control, "GET", &format!("/api/v1/quarantine{query}"), "").await
}

fn ids(answer: &Value) -> Vec<&str> {
    let documents = answer["quarantine"]["documents"].as_array();
    let documents = documents.expect("documents").iter();
    documents
        .filter_map(|document| document["id"].as_str())
        .collect()
}

#[tokio::test]
async fn an_entry_says_what_failed_on_which_document_and_why() {
    let (status, answer) = page("?limit=1").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer,
        json!({
            "success": true,
            "quarantine": {
                "documents": [{
                    "id": "a:1",
                    "namespace": "sales.EMEA",
                    "documentId": { "$oid": "507f1f77bcf86cd799439011" },
                    "component": "field-mask",
                    "digest": "sha256:ab",
                    "export": "transform",
                    "reason": "it answered 2 verdicts for 3 documents",
                }],
                "total": 5,
                "next": "a:1",
            },
        })
    );
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    for (query, wanted, next) in [
        ("?limit=3", &["a:1", "a:2", "b&c:3"][..], Some("b&c:3")),
        ("?after=b%26c%3A3&limit=3", &["b&c:4", "b&c:5"], None),
        ("?limit=2&after=b%26c:3", &["b&c:4", "b&c:5"], None),
        ("?after=b%26c:5", &[], None),
        ("", &["a:1", "a:2", "b&c:3", "b&c:4", "b&c:5"], None),
    ] {
        let (status, answer) = page(query).await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        assert_eq!(ids(&answer), wanted, "{query}");
        assert_eq!(answer["quarantine"]["next"], json!(next), "{query}");
        assert_eq!(answer["quarantine"]["total"], 5, "{query}");
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_by_name() {
    for (query, error, holds) in [
        ("?limit=0", "InvalidField", "'limit'"),
        (
            "?limit=1001",
            "InvalidField",
            "from 1 to 1000, found '1001'",
        ),
        ("?limit=ten", "InvalidField", "'limit'"),
        ("?limt=1", "UnknownField", "did you mean 'limit'?"),
    ] {
        let (status, answer) = page(query).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{query}"
        );
        let why = answer["errorDescription"].as_str().expect("a sentence");
        assert!(why.contains(holds), "{query}: {why}");
    }
}

#[tokio::test]
async fn a_retry_answers_what_it_tried_and_what_is_left() {
    for body in ["", DOCUMENTED_EMPTY] {
        let control = ScriptedSession::new(State::Running);
        let (status, answer) = call(&control, "POST", "/api/v1/quarantine/retry", body).await;
        let wanted = json!({ "success": true, "tried": 5, "left": 2 });
        assert_eq!((status, answer), (StatusCode::OK, wanted));
        assert_eq!(control.heard(), ["retry"]);
    }
}
