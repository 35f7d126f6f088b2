//! Plugins that log and count (`tidegate:plugin/observe`): what operators see of it, its bounds, and older hosts.

use std::fs;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{Rig, TestDir, host::DEADLINE, release, rig::Options};

use super::guests::{OBSERVER, component, upload_guest};
use crate::steps::{count, insert, wait_in_step};

/// A secret of the plugin's configuration.
const SECRET: &str = "f216-only-the-plugin-knows-this";

/// A rig whose plugins may write these log lines, and the directory of its secret.
async fn rig(logs: &[&str]) -> Result<(Rig, TestDir)> {
    let directory = TestDir::new()?;
    fs::write(directory.path().join("key"), SECRET)?;
    let secrets = [
        "--secretsDir".to_owned(),
        directory.path().display().to_string(),
    ];
    let logs = logs.iter().map(|argument| (*argument).to_owned());
    let options = Options {
        host_arguments: secrets.into_iter().chain(logs).collect(),
        ..Options::default()
    };
    Ok((Rig::with(options).await?, directory))
}

fn plugins(digest: &str) -> Value {
    let config = json!({ "key": { "$secret": "key" } });
    json!({ "plugins": [
        { "component": "field-mask", "config": { "rules": [{ "path": "mail", "action": "drop" }] } },
        { "component": digest, "config": config, "onError": "quarantine" },
    ] })
}

/// The lines of plugins in the log.
fn lines(rig: &Rig) -> Result<Vec<Value>> {
    let lines = rig.log.lines()?;
    let values = lines.iter().map(|line| serde_json::from_str(line));
    let values = values.collect::<Result<Vec<Value>, _>>()?;
    let is_plugins = |value: &Value| value["may_hold_data"] == true;
    Ok(values.into_iter().filter(is_plugins).collect())
}

/// Documents that ask for every kind of misuse, and a flood of 256 MiB last: it takes all lines.
fn misuse() -> Vec<Document> {
    let mut documents = vec![
        doc! { "_id": 1, "log": "a\nb\r\n{\"level\":\"ERROR\"}\u{1b}[31m\u{2028}\u{202e} {key}" },
        doc! { "_id": 2, "count": "mails", "by": 3_i64 },
        doc! { "_id": 3, "count": "mails\"} 7\ntidegate_up 0 #" },
        doc! { "_id": 4, "count": "Mails" },
        doc! { "_id": 5, "count": "{key}" },
        doc! { "_id": 6, "count": "huge", "by": -1_i64 },
        doc! { "_id": 7, "count": "huge", "by": -1_i64 },
        doc! { "_id": 8, "count": "x".repeat(1 << 20) },
    ];
    documents.extend((0..40).map(|n| doc! { "_id": 100 + n, "count": format!("n{n}") }));
    documents.push(doc! { "_id": 200, "log": "y".repeat(1 << 20), "times": 256_i64 });
    documents
}

/// Both figures, in every place where operators see them.
async fn check_figures(rig: &Rig, progress: &Value) -> Result<()> {
    let [mask, stage] = [&progress["plugins"][0], &progress["plugins"][1]];
    let silent = json!({ "written": 0, "dropped": 0, "notAllowed": 0 });
    ensure!(
        mask["counts"] == json!({}) && mask["logLines"] == silent,
        "{mask}"
    );
    let counts = stage["counts"].as_object().context("counters")?;
    ensure!(counts.len() == 32 && counts["mails"] == 3, "{stage}");
    ensure!(counts["huge"] == i64::MAX && counts["n0"] == 1, "{stage}");
    // An invalid name, one that is not lower-case, the secret, one that is too long; and ten counters too many.
    ensure!(stage["countsDropped"] == 4 + 10, "{stage}");
    let lines = &stage["logLines"];
    ensure!(lines["written"].as_u64() <= Some(20), "{stage}");
    ensure!(lines["dropped"].as_u64() >= Some(236), "{stage}");

    let metrics = rig.host.call("GET", "/metrics", "").await?.body.to_string();
    let console = rig.host.call("GET", "/", "").await?.body.to_string();
    for name in [
        "tidegate_plugin_counts_total",
        "count=\\\"mails\\\"",
        "tidegate_plugin_log_lines_total",
    ] {
        ensure!(metrics.contains(name), "{name} is missing");
    }
    ensure!(
        !metrics.contains("\\ntidegate_up 0"),
        "a name broke out of its label"
    );
    ensure!(console.contains("Counted by observer"), "{console}");
    Ok(())
}

/// A plugin may log and count. It forges no line and no label, says no secret, and its flood is bounded.
#[tokio::test]
async fn f216_a_plugin_logs_and_counts_within_its_bounds() -> Result<()> {
    let (mut rig, directory) = rig(&["--pluginLogs", "info"]).await?;
    rig.allow_log("a plugin trapped");
    rig.allow_log("a plugin warns");
    let source = rig.source_db("app");
    insert(&source, "c", misuse()).await?;
    let digest = upload_guest(&rig, OBSERVER).await?;
    rig.host.start(plugins(&digest)).await?;
    let progress = rig.host.wait_can_commit().await?;
    check_figures(&rig, &progress).await?;

    let written = lines(&rig)?;
    let first = written.first().context("a line")?;
    ensure!(
        first["plugin"] == "observer" && first["plugin_digest"] == digest.as_str(),
        "{first}"
    );
    let forged = r#"a\nb\r\n{"level":"ERROR"}\u{1b}[31m\u{2028}\u{202e} ****"#;
    ensure!(
        first["line"] == forged && first["level"] == "INFO",
        "{first}"
    );
    ensure!(written.len() <= 17, "of one call: {}", written.len());
    ensure!(rig.log.lines()?.concat().len() < 1 << 20, "the log is long");
    ensure!(!rig.log.has("configured\"")?, "configure was heard");
    ensure!(!rig.log.has(SECRET)?, "the log holds the secret");

    // A trap discards the counts of its call and keeps the line before it.
    insert(
        &source,
        "c",
        vec![doc! { "_id": 300, "count": "mails", "warn": "before", "then": "panic" }],
    )
    .await?;
    insert(
        &source,
        "c",
        vec![doc! { "_id": 301, "count": "mails", "then": "garble" }],
    )
    .await?;
    insert(&source, "c", vec![doc! { "_id": 302, "count": "mails" }]).await?;
    wait_in_step(&rig).await?;
    let held = |progress: &Value| {
        progress["quarantined"] == 2 && progress["plugins"][1]["counts"]["mails"] == 4
    };
    rig.host
        .wait_until("two in quarantine, one counted", DEADLINE, held)
        .await?;
    let warned = |line: &Value| line["line"] == "before" && line["level"] == "WARN";
    ensure!(
        lines(&rig)?.iter().any(warned),
        "the line before the trap is missing"
    );
    ensure!(count(&rig.destination_db("app"), "c").await? == misuse().len() as u64 + 1);
    rig.log.check()?;
    rig.abandon();
    directory.remove();
    Ok(())
}

/// Without the option nothing that a plugin logs is written; `warn` allows warnings alone. Both are counted.
#[tokio::test]
async fn f217_plugins_write_no_line_that_the_operator_does_not_allow() -> Result<()> {
    let (mut rig, directory) = rig(&[]).await?;
    let source = rig.source_db("app");
    let documents =
        |from: i32| vec![doc! { "_id": from, "log": "a-told-line", "warn": "a-warned-line" }];
    insert(&source, "c", documents(1)).await?;
    let digest = upload_guest(&rig, OBSERVER).await?;
    rig.host.start(plugins(&digest)).await?;
    let progress = rig.host.wait_can_commit().await?;
    let found = |progress: &Value| progress["plugins"][1]["logLines"].clone();
    let none = json!({ "written": 0, "dropped": 0, "notAllowed": 2 });
    ensure!(found(&progress) == none, "{progress:#}");
    ensure!(!rig.log.has("-line\"")?, "a line was written");

    let warn = ["--pluginLogs".to_owned(), "warn".to_owned()];
    rig.host.arguments_mut().more.extend(warn);
    rig.allow_log("a plugin warns");
    rig.host.restart().await?;
    insert(&source, "c", documents(2)).await?;
    let one = json!({ "written": 1, "dropped": 0, "notAllowed": 1 });
    rig.host
        .wait_until("one line of two", DEADLINE, |progress| {
            found(progress) == one
        })
        .await?;
    let written = lines(&rig)?;
    ensure!(
        written.len() == 1 && written[0]["line"] == "a-warned-line",
        "{written:?}"
    );
    rig.finish().await?;
    directory.remove();
    Ok(())
}

/// A host that knows version 1.0.0 alone refuses a component that logs or counts, by the name of the import, and runs its syncs on.
#[tokio::test]
async fn f218_an_older_host_refuses_a_component_that_logs_by_name() -> Result<()> {
    let rig = Rig::with(Options {
        host_binary: Some(release::binary("0.6.0")?),
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    let answer = rig
        .host
        .upload("/api/v1/plugins", component(OBSERVER)?)
        .await?;
    ensure!(answer.error() == "PluginNotSupported", "{}", answer.body);
    let text = answer.body.to_string();
    ensure!(text.contains("tidegate:plugin/observe@1.1.0"), "{text}");
    rig.host.start(json!({})).await?;
    rig.finish().await?;
    Ok(())
}
