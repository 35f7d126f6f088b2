//! Roles and credentials, without a socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::http::Method;

use super::*;
use crate::model::Role;

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

#[test]
fn every_call_of_the_document_has_a_role() {
    let roles = |method, path| needed_role(&method, path);
    assert_eq!(roles(Method::GET, "/healthz"), None);
    assert_eq!(roles(Method::GET, "/metrics"), Some(Role::Viewer));
    assert_eq!(roles(Method::POST, "/healthz"), Some(Role::Committer));
    assert_eq!(roles(Method::POST, "/api/v1/pause"), Some(Role::Operator));
    assert_eq!(
        roles(Method::POST, "/api/v1/plugins"),
        Some(Role::Committer)
    );
    assert_eq!(
        roles(Method::DELETE, "/api/v1/plugins/x"),
        Some(Role::Committer)
    );
    assert_eq!(roles(Method::POST, "/api/v1/commit"), Some(Role::Committer));
    assert_eq!(roles(Method::POST, "/api/v1/later"), Some(Role::Committer));
}

#[test]
fn a_broken_file_keeps_the_previous_callers() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tokens");
    write(
        &path,
        "- { name: a, role: viewer, token: 0123456789abcdef }",
    );
    let protection = Protection::load(ProtectionOptions {
        bind: IpAddr::from([127, 0, 0, 1]),
        tls: None,
        tokens_file: Some(path.clone()),
        allowed_hosts: Vec::new(),
    });
    let protection = protection.expect("a protection");
    let knows = |token: &str| {
        let files = protection.files();
        let callers = files.callers.as_ref().expect("callers");
        callers
            .with_token(token.as_bytes())
            .map(|caller| caller.role)
    };
    assert_eq!(knows("0123456789abcdef"), Some(Role::Viewer));
    write(&path, "- { name: a, role: root, token: 0123456789abcdef }");
    protection.reread();
    assert_eq!(knows("0123456789abcdef"), Some(Role::Viewer));
    write(
        &path,
        "- { name: a, role: operator, token: abcdef0123456789 }",
    );
    assert!(Stamp::of(&protection.options) != *protection.stamp.lock());
    protection.reread();
    assert_eq!(knows("0123456789abcdef"), None);
    assert_eq!(knows("abcdef0123456789"), Some(Role::Operator));
}
