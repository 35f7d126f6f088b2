//! Errors that an operator meets: connection strings without argv, and bad input of every kind, answered with a
//! stable name and without any change.

use std::{net::TcpListener, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use support::{Rig, host};

/// A host that has exited: its exit code and its output.
struct Ended {
    code: Option<i32>,
    printed: String,
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
    let output = Command::new(host::binary()?)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .context("run the host")?;
    Ok(Ended {
        code: output.status.code(),
        printed: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[test]
fn bad_start_ups_end_with_a_stable_name() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let uri = "mongodb://u:secret@127.0.0.1:1";
    let with = |more: &[&'static str]| [&["--cluster0", uri, "--cluster1", uri], more].concat();
    let cases: Vec<(Vec<&str>, &str, i32)> = vec![
        (
            vec!["--cluster0", "http://u:secret@x", "--cluster1", uri],
            "InvalidUri",
            2,
        ),
        (vec!["--cluster0", uri], "InvalidConfig", 2),
        (with(&["--loadLevel", "9"]), "InvalidConfig", 2),
        (with(&["--loadlevell", "1"]), "InvalidConfig", 2),
        (
            with(&["--config", "/nowhere/tidegate.yaml"]),
            "InvalidConfig",
            2,
        ),
        (
            with(&["--logPath", "/proc/nowhere"]),
            "LogPathNotWritable",
            2,
        ),
        (
            vec!["--cluster0", uri, "--cluster1", uri, "--port", &port],
            "PortInUse",
            2,
        ),
    ];
    for (arguments, name, code) in cases {
        let ended = run(&arguments, &[])?;
        assert!(
            ended.printed.contains(name),
            "{arguments:?} printed {}",
            ended.printed
        );
        assert_eq!(
            ended.code,
            Some(code),
            "{arguments:?} printed {}",
            ended.printed
        );
        assert!(
            !ended.printed.contains("secret"),
            "a password is printed: {}",
            ended.printed
        );
    }
    Ok(())
}

#[test]
fn uris_come_from_the_environment_and_from_files() -> Result<()> {
    let directory = support::TestDir::new()?;
    let file = directory.path().join("cluster1");
    std::fs::write(&file, "mongodb://127.0.0.1:1/?maxPoolSize=0\n")?;
    let environment = [
        (
            "TIDEGATE_CLUSTER0",
            "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300",
        ),
        ("TIDEGATE_CLUSTER1_FILE", path(&file)?),
    ];
    let ended = run(&["--port", "0"], &environment)?;
    assert!(
        ended.printed.contains("option maxPoolSize=0 is refused"),
        "{}",
        ended.printed
    );
    directory.remove();
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// Bodies of `/start`, each with the error that answers it.
fn bad_starts() -> Vec<(String, &'static str)> {
    let start = |more: Value| {
        let mut body = json!({ "source": "cluster0", "destination": "cluster1" });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body.to_string()
    };
    let regex = |pattern: &str| json!({ "includeNamespaces": [{ "databaseRegex": { "pattern": pattern } }] });
    vec![
        ("{".to_owned(), "InvalidJson"),
        ("[]".to_owned(), "InvalidJson"),
        ("{}".to_owned(), "MissingField"),
        (start(json!({ "buildIndex": "never" })), "UnknownField"),
        (start(json!({ "buildIndexes": 7 })), "InvalidField"),
        (start(json!({ "source": "cluster1" })), "InvalidField"),
        (
            start(json!({ "includeNamespaces": [{ "database": "admin" }] })),
            "InvalidField",
        ),
        (start(regex("(")), "InvalidRegex"),
        (start(regex("(?R)")), "InvalidRegex"),
        (start(json!({ "reversible": true })), "InvalidField"),
        (
            start(json!({ "verification": { "enabled": 1 } })),
            "InvalidField",
        ),
        (start(json!({ "documentFilter": [] })), "InvalidField"),
        (start(json!({ "documentFilter": {} })), "InvalidField"),
        (
            start(json!({ "plugins": [{ "component": "nowhere" }] })),
            "PluginNotFound",
        ),
        (
            start(json!({ "plugins": [{ "component": "field-mask", "onEror": "stop" }] })),
            "UnknownField",
        ),
        (
            start(json!({ "plugins": [{ "component": "field-mask", "config": {} }] })),
            "MissingField",
        ),
    ]
}

#[tokio::test]
async fn bad_requests_change_nothing() -> Result<()> {
    let rig = Rig::start().await?;
    for (body, name) in bad_starts() {
        let answer = rig.host.call("POST", "/api/v1/start", &body).await?;
        assert_eq!(answer.error(), name, "{body} answers {}", answer.body);
        assert!(
            (400..500).contains(&answer.status),
            "{body} answers {}",
            answer.status
        );
    }
    refuses_calls_while_idle(&rig).await?;
    let answer = rig.host.call("POST", "/api/v1/plugins", "{}").await?;
    assert_eq!(
        (answer.status, answer.error()),
        (400, "PluginNotSupported"),
        "{}",
        answer.body
    );
    assert_eq!(rig.host.progress().await?["state"], "IDLE");
    let databases = rig.destination.client().list_database_names().await?;
    assert!(
        !databases
            .iter()
            .any(|name| name.starts_with("mongosync_internal_")),
        "{databases:?}"
    );
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn refuses_calls_while_idle(rig: &Rig) -> Result<()> {
    let swap = r#"{ "components": [{ "name": "field-mask", "digest": "sha256:0" }] }"#;
    for (call, body) in [
        ("pause", ""),
        ("resume", ""),
        ("commit", ""),
        ("reverse", ""),
        ("upgrade", swap),
        ("quarantine/retry", ""),
    ] {
        let answer = rig
            .host
            .call("POST", &format!("/api/v1/{call}"), body)
            .await?;
        assert_eq!(
            (answer.status, answer.error()),
            (409, "InvalidStateTransition"),
            "{call}"
        );
    }
    Ok(())
}
