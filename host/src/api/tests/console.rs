//! The console over the scripted session.

use super::*;
use axum::http::HeaderMap;

const STATES: [State; 6] = [
    State::Idle,
    State::Running,
    State::Paused,
    State::Committing,
    State::Committed,
    State::Reversing,
];

async fn page(state: State, path: &str) -> (StatusCode, HeaderMap, String) {
    let control = ScriptedSession::new(state);
    text_of(respond(&control, request("GET", path, "")).await).await
}

async fn text_of(response: Response) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (parts.status, parts.headers, text)
}

/// The status, the target of a redirect, and the calls that were heard.
async fn submitted(
    state: State,
    call: &str,
    form: &'static str,
) -> (StatusCode, String, Vec<String>) {
    let control = ScriptedSession::new(state);
    let path = format!("/console/{call}");
    let response = respond(&control, request("POST", &path, form)).await;
    let target = response.headers().get(header::LOCATION);
    let target = target.map(|target| target.to_str().expect("a path").to_owned());
    (
        response.status(),
        target.unwrap_or_default(),
        control.heard(),
    )
}

#[tokio::test]
async fn the_page_is_whole_in_every_state_and_loads_nothing_from_elsewhere() {
    for state in STATES {
        let (status, headers, text) = page(state, "/").await;
        assert_eq!(status, StatusCode::OK, "{state}");
        let policy = headers
            .get(header::CONTENT_SECURITY_POLICY)
            .expect("a policy");
        assert!(
            policy
                .to_str()
                .expect("text")
                .starts_with("default-src 'none'")
        );
        for section in [
            "verdict",
            "controls",
            "warnings",
            "phases",
            "charts",
            "verification",
            "collections",
            "indexes",
            "plugins",
            "versions",
            "hosts",
            "options",
            "timeline",
        ] {
            assert!(
                text.contains(&format!("id=\"{section}\"")),
                "{section} in {state}"
            );
        }
        // Inline code and style would be refused by the policy, addresses of other servers as well.
        for forbidden in [
            " style=",
            "<style",
            " onclick",
            "http://",
            "https://",
            "javascript:",
        ] {
            assert!(!text.contains(forbidden), "{forbidden} in {state}: {text}");
        }
    }
}

#[tokio::test]
async fn the_verdict_stands_first() {
    let (_, _, text) = page(State::Committed, "/").await;
    assert!(
        text.contains("<h1>Cut over: applications may write to"),
        "{text}"
    );
    let (_, _, text) = page(State::Running, "/").await;
    assert!(text.contains("<h1>Safe to cut over: "), "{text}");
}

#[tokio::test]
async fn forms_stand_for_the_calls_that_the_state_allows() {
    for (state, call, is_shown) in [
        (State::Idle, "start", true),
        (State::Idle, "pause", false),
        (State::Running, "pause", true),
        (State::Running, "commit", true),
        (State::Running, "resume", false),
        (State::Paused, "resume", true),
        (State::Paused, "commit", false),
        (State::Committing, "pause", false),
        (State::Committed, "reverse", true),
        (State::Committed, "commit", false),
    ] {
        let (_, _, text) = page(state, "/").await;
        let form = format!("action=\"/console/{call}\"");
        assert_eq!(text.contains(&form), is_shown, "{call} in {state}");
    }
}

#[tokio::test]
async fn a_form_makes_its_call_and_returns_to_the_page() {
    for (state, call, form, heard) in [
        (State::Running, "pause", "", "pause"),
        (State::Paused, "resume", "", "resume"),
        (State::Running, "loadLevel", "level=2", "loadLevel 2"),
        (State::Running, "handover", "", "handover"),
    ] {
        let (status, target, all) = submitted(state, call, form).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{call}");
        assert_eq!(target, format!("/?done={call}"));
        assert_eq!(all, [heard]);
    }
    let form = "source=cluster1&blocking=sourceAndDestination&reversible=true&options=%7B%22includeNamespaces%22%3A%5B%7B%22database%22%3A%22shop%22%7D%5D%7D";
    let (status, _, heard) = submitted(State::Idle, "start", form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let heard = heard.concat();
    for part in [
        "\"source\":\"cluster1\"",
        "\"destination\":\"cluster0\"",
        "\"shop\"",
        "\"reversible\":true",
    ] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    let (status, _, heard) =
        submitted(State::Running, "commit", "sync=abc&maxBlockSeconds=60").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(heard.concat().contains("abc"), "{heard:?}");
}

#[tokio::test]
async fn commit_and_reverse_ask_for_the_name_of_the_sync() {
    for (state, call, form) in [
        (State::Running, "commit", "sync="),
        (State::Running, "commit", "sync=+&maxBlockSeconds=60"),
        (State::Committed, "reverse", ""),
        (State::Committed, "reverse", "sync=another"),
    ] {
        let (status, _, heard) = submitted(state, call, form).await;
        assert!(status.is_client_error(), "{call} {form}: {status}");
        assert!(heard.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_refused_form_shows_the_page_with_the_error() {
    for (state, call, form, name) in [
        (
            State::Idle,
            "start",
            "source=cluster0&options=%7B",
            "InvalidJson",
        ),
        (
            State::Idle,
            "start",
            "source=cluster0&options=%7B%22a%22%3A1%7D",
            "UnknownField",
        ),
        (State::Idle, "pause", "", "InvalidStateTransition"),
        (State::Running, "loadLevel", "level=9", "InvalidField"),
        (State::Running, "pause", "unknown=1", "InvalidField"),
        (State::Running, "nothing", "", "NotFound"),
    ] {
        let control = ScriptedSession::new(state);
        let path = format!("/console/{call}");
        let response = respond(&control, request("POST", &path, form)).await;
        let (status, _, text) = text_of(response).await;
        assert!(status.is_client_error(), "{call} {form}: {status}");
        assert!(
            text.contains(&format!("href=\"/console/errors/{name}\"")),
            "{name} in {text}"
        );
        assert!(text.contains("id=\"verdict\""), "{text}");
        assert!(control.heard().is_empty());
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_submit_a_form() {
    let control = ScriptedSession::new(State::Running);
    let mut foreign = request("POST", "/console/pause", "");
    let origin = "http://evil.example".parse().expect("a value");
    foreign.headers_mut().insert(header::ORIGIN, origin);
    let response = respond(&control, foreign).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(control.heard().is_empty());
}

#[tokio::test]
async fn texts_of_the_query_are_escaped() {
    let (_, _, text) = page(State::Running, "/?filter=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!text.contains("<script>alert"), "{text}");
    let (status, _, _) = page(State::Running, "/?page=x&sort=bytes&filter=EM").await;
    assert_eq!(status, StatusCode::OK);
    let (status, _, _) = page(State::Running, "/?unknown=1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (_, _, text) = page(State::Running, "/?done=%3Cb%3E").await;
    assert!(!text.contains("accepted"), "{text}");
}

#[tokio::test]
async fn each_error_has_its_page_here_too() {
    for name in ErrorName::ALL {
        let (status, _, text) = page(State::Idle, &format!("/console/errors/{name}")).await;
        assert_eq!(status, StatusCode::OK, "{name}");
        assert!(text.contains(&format!("<h1>{name}</h1>")), "{text}");
    }
    let (status, _, _) = page(State::Idle, "/console/errors/..%2FREADME").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn thousands_of_collections_are_shown_by_pages() {
    let control = ScriptedSession::with_collections(10_000);
    let get = async |path: &str| {
        let (status, _, text) = text_of(respond(&control, request("GET", path, "")).await).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        text
    };
    let text = get("/").await;
    assert!(text.contains("Shown: 10,001 of 10,001") && text.contains("Page 1 of 101"));
    assert!(text.len() < 120_000, "{} bytes", text.len());
    assert!(text.contains("many.part00099</th>") && !text.contains("many.part00100</th>"));
    let text = get("/?page=101").await;
    assert!(text.contains("sales.EMEA</th>") && !text.contains("many.part00099</th>"));
    let text = get("/?filter=part0777&sort=documents").await;
    assert!(text.contains("Shown: 10 of 10,001"));
    let (first, second) = (text.find("part07779</th>"), text.find("part07778</th>"));
    assert!(first.is_some() && first < second);
    // A page beyond the last is the last.
    assert!(get("/?page=999").await.contains("Page 101 of 101"));
}

#[tokio::test]
async fn failed_index_builds_are_named() {
    let (_, _, text) = page(State::Running, "/").await;
    let section = text.split("id=\"indexes\"").nth(1).expect("a section");
    assert!(
        section.contains("Not built: 1") && section.contains("sku_1") && section.contains("E11000")
    );
}
