//! The transfer of users and roles through the API and the console.

use super::*;

#[tokio::test]
async fn names_stand_in_their_own_call_alone() {
    let control = ScriptedSession::new(State::Running);
    let (status, answer) = call(&control, "GET", "/api/v1/usersAndRoles", "").await;
    assert_eq!(status, StatusCode::OK);
    let conflicts = json!([
        { "kind": "user", "id": "sales.app", "fate": "stays" },
        { "kind": "user", "id": "sales.writer", "fate": "lacksRole", "role": "hr.audit" },
    ]);
    assert_eq!(answer["conflicts"], conflicts);
    assert_eq!(answer["usersAndRoles"]["clashes"], 1);
    let (_, progress) = call(&control, "GET", "/api/v1/progress", "").await;
    let page = respond(&control, request("GET", "/", "")).await;
    let page = to_bytes(page.into_body(), usize::MAX)
        .await
        .expect("a page");
    let page = String::from_utf8(page.to_vec()).expect("UTF-8");
    assert!(page.contains("Clashes that stay"), "{page}");
    for shown in [progress.to_string(), page] {
        assert!(
            !shown.contains("sales.app") && !shown.contains("hr.audit"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn boxes_of_the_console_ask_for_users_and_roles() {
    for (form, wanted) in [
        (
            "source=cluster0&usersAndRoles=true",
            "\"usersAndRoles\":{\"admin\":false",
        ),
        (
            "source=cluster0&usersAndRoles=true&usersOfAdmin=true",
            "\"usersAndRoles\":{\"admin\":true",
        ),
        (
            "source=cluster0&usersOfAdmin=true",
            "\"usersAndRoles\":{\"admin\":true",
        ),
        ("source=cluster0", "{\"source\":\"cluster0\""),
    ] {
        let control = ScriptedSession::new(State::Idle);
        let response = respond(&control, request("POST", "/console/start", form)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{form}");
        let heard = control.heard().concat();
        assert!(heard.contains(wanted), "{form}: {heard}");
        assert_eq!(
            heard.contains("usersAndRoles"),
            form.contains("users"),
            "{heard}"
        );
    }
}
