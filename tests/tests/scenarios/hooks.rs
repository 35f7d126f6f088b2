//! Hooks: occurrences of a sync at a web server and a program of the operator.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{
    Rig, TestDir,
    host::{DEADLINE, text},
    replica_set,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    findings_state::{STOPPED, disk_full},
    hook_listener::{HookListener, HttpAnswer},
    steps::{heal, insert, refused, second, start_and_die},
};

const KEY: &str = "MARK-key-8d1c";
const DOCUMENT: &str = "MARK-document-77";
const ALL: &str = "[copied, caughtUp, canWrite, committed, failed, upgraded]";
const WHOLE: [&str; 4] = ["copied", "caughtUp", "canWrite", "committed"];

/// A hooks file and its folder.
struct HooksFile {
    directory: TestDir,
}

impl HooksFile {
    fn new(text: &str) -> Result<Self> {
        let directory = TestDir::new()?;
        fs::write(directory.path().join("key"), format!("{KEY}\n"))?;
        let file = Self { directory };
        file.write(text)?;
        Ok(file)
    }

    /// A webhook of all events but beforeCommit.
    fn webhook(port: u16) -> Result<Self> {
        Self::new(&webhook(port, ALL))
    }

    fn write(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.path(), text)?)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("hooks.yaml")
    }

    fn program(&self, name: &str, script: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    fn options(&self) -> Options {
        Options {
            host_arguments: vec!["--hooksFile".to_owned(), self.path().display().to_string()],
            ..Options::default()
        }
    }

    async fn rig(&self) -> Result<Rig> {
        let rig = Rig::with(self.options()).await?;
        fill(&rig).await?;
        Ok(rig)
    }
}

fn webhook(port: u16, events: &str) -> String {
    format!(
        "- name: chat\n  events: {events}\n  url: http://127.0.0.1:{port}/MARK-path\n  secretFile: key\n"
    )
}

async fn fill(rig: &Rig) -> Result<()> {
    let documents = (0..500).map(|n| doc! { "_id": n, "text": DOCUMENT });
    insert(&rig.source_db("app"), "c", documents.collect()).await
}

/// The signature that a receiver computes, as docs/hooks.md says.
fn signature(body: &[u8], directory: &Path) -> Result<String> {
    let file = directory.join("body");
    fs::write(&file, body)?;
    let output = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", KEY])
        .arg(&file)
        .output()
        .context("run openssl")?;
    let printed = String::from_utf8(output.stdout)?;
    let code = printed.trim().rsplit(' ').next().unwrap_or_default();
    Ok(format!("sha256={code}"))
}

fn warnings(progress: &Value) -> String {
    progress["warnings"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn f144_hooks_receive_a_sync_from_its_copy_to_its_commit() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::new("")?;
    let program = file.program("note.sh", "printf '%s\\n' \"$(cat)\" >> \"$1\"")?;
    let noted = file.directory.path().join("noted");
    let all = "[copied, caughtUp, beforeCommit, canWrite, committed, failed, upgraded, mismatch]";
    file.write(&format!(
        "{}- name: note\n  events: {all}\n  program: [{}, {}]\n",
        webhook(listener.port, all),
        program.display(),
        noted.display()
    ))?;
    let mut rig = file.rig().await?;
    rig.host.start(json!({})).await?;
    listener.wait_for(&["copied", "caughtUp"]).await?;
    rig.commit().await?;
    let whole = [
        "copied",
        "caughtUp",
        "beforeCommit",
        "canWrite",
        "committed",
    ];
    listener.wait_for(&whole).await?;

    let lines = wait_until("the program's notes", DEADLINE, async || {
        let text = fs::read_to_string(&noted).unwrap_or_default();
        let lines: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Ok(match lines.len() == whole.len() {
            true => Look::Done(lines),
            false => Look::NotYet(text),
        })
    })
    .await?;
    for request in &listener.received().await {
        // Each receiver has an order of its own.
        let id = &request.json["id"];
        ensure!(lines.iter().any(|line| line["id"] == *id), "{lines:?}");
        let signed = signature(&request.body, file.directory.path())?;
        ensure!(
            request.signature.as_deref() == Some(signed.as_str()),
            "{signed}"
        );
        let body = String::from_utf8_lossy(&request.body);
        ensure!(!body.contains("MARK"), "{body}");
        ensure!(
            request.json["release"].is_string() && request.json["at"].is_string(),
            "{body}"
        );
        ensure!(
            request.json["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("tidegate "))
        );
    }
    let log = rig.log.lines()?.join("\n");
    ensure!(!log.contains("MARK"), "the log holds a secret");

    // Another start of the host sends nothing new.
    rig.host.restart().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let received = listener.received().await;
    let ids: std::collections::HashSet<_> = received
        .iter()
        .map(|request| request.json["id"].to_string())
        .collect();
    ensure!(ids.len() == whole.len(), "{ids:?}");
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f145_occurrences_outlive_a_kill_before_their_delivery() -> Result<()> {
    // Before the occurrence is persisted, before it is sent, before its receipt is persisted; of `copied` and of the
    // last two.
    for point in ["hook_occurred", "hook_recorded", "hook_received"] {
        let listener = HookListener::start().await?;
        let file = HooksFile::webhook(listener.port)?;
        let mut rig = Rig::with(Options {
            kill_at: Some(point.to_owned()),
            ..file.options()
        })
        .await?;
        fill(&rig).await?;
        rig.allow_log("killed by TIDEGATE_KILL_AT");
        start_and_die(&mut rig, json!({})).await.context(point)?;
        let before = listener.received().await.len();
        ensure!(
            before == usize::from(point == "hook_received"),
            "{point}: {before}"
        );
        rig.host.restart().await?;
        rig.host.wait_can_commit().await?;
        listener.wait_for(&WHOLE[..2]).await?;

        // The host dies again, now at an occurrence after the commit, or at one that the death before has left.
        rig.host.restart_to_be_killed(Some(point)).await?;
        let _ = rig.host.wait_can_commit().await;
        let _ = rig.host.commit().await;
        rig.host.wait_for_end().await?;
        rig.host.restart().await?;
        if text(&rig.host.progress().await?, "state") == "RUNNING" {
            rig.commit().await?;
        }
        rig.host.wait_for_state("COMMITTED").await?;
        listener.wait_for(&WHOLE).await.context(point)?;
        let received = listener.received().await;
        let repeats = received.len() - WHOLE.len();
        ensure!(repeats <= 3, "{point}: {repeats} repeats");
        rig.close().await?;
        file.directory.remove();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f145_the_next_host_sends_what_a_dead_host_has_left() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::webhook(listener.port)?;
    let mut rig = Rig::with(Options {
        kill_at: Some("hook_recorded".to_owned()),
        ..file.options()
    })
    .await?;
    fill(&rig).await?;
    rig.allow_log("killed by TIDEGATE_KILL_AT");
    let standby = second(&mut rig, "b").await?;
    start_and_die(&mut rig, json!({})).await?;
    listener.wait_for(&WHOLE[..2]).await?;
    let received = listener.received().await;
    ensure!(
        received
            .iter()
            .all(|request| request.json["instance"] == "b"),
        "{}",
        received[0].json
    );
    standby.wait_can_commit().await?;
    standby.commit().await?;
    standby.wait_for_state("COMMITTED").await?;
    listener.wait_for(&WHOLE).await?;
    drop(standby);
    rig.host.restart().await?;
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f146_a_hook_that_is_down_stops_nothing() -> Result<()> {
    let port = HookListener::start().await?.port;
    let file = HooksFile::webhook(port)?;
    let rig = file.rig().await?;
    rig.host.start(json!({})).await?;
    rig.commit().await?;
    let told = |progress: &Value| warnings(progress).contains("The hook chat has not received");
    let progress = rig.host.wait_until("a warning", DEADLINE, told).await?;
    ensure!(!warnings(&progress).contains("MARK"), "{progress:#}");

    // A server that refuses, then a server that answers.
    let listener = HookListener::at(port).await?;
    listener
        .answer(HttpAnswer {
            status: 500,
            ..HttpAnswer::default()
        })
        .await;
    let refuses = |progress: &Value| warnings(progress).contains("it answered with status 500");
    rig.host.wait_until("the status", DEADLINE, refuses).await?;
    listener.answer(HttpAnswer::default()).await;
    listener.wait_for(&WHOLE).await?;
    let silent = |progress: &Value| !warnings(progress).contains("The hook chat");
    rig.host.wait_until("no warning", DEADLINE, silent).await?;
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f146_an_occurrence_is_given_up_in_the_end() -> Result<()> {
    let given_up = "an occurrence is not sent to a hook any more";
    let port = HookListener::start().await?.port;
    let file = HooksFile::webhook(port)?;
    let mut rig = Rig::with(Options {
        host_environment: vec![("TIDEGATE_HOOK_SECONDS".to_owned(), "1".to_owned())],
        ..file.options()
    })
    .await?;
    fill(&rig).await?;
    rig.allow_log(given_up);
    rig.host.start(json!({})).await?;
    let told = |progress: &Value| warnings(progress).contains("It is not sent any more");
    rig.host.wait_until("a warning", DEADLINE, told).await?;
    rig.host.wait_can_commit().await?;
    wait_until("both are given up", DEADLINE, async || {
        let lines = rig.log.lines()?;
        let count = lines.iter().filter(|line| line.contains(given_up)).count();
        Ok(match count {
            2 => Look::Done(()),
            count => Look::NotYet(format!("{count} are")),
        })
    })
    .await?;
    let listener = HookListener::at(port).await?;
    rig.commit().await?;
    listener.wait_for(&WHOLE[2..]).await?;
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f146_the_end_of_a_host_waits_for_the_hooks_of_a_commit() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::webhook(listener.port)?;
    let mut rig = file.rig().await?;
    rig.host.start(json!({})).await?;
    rig.commit().await?;
    let ended = rig.host.terminate().await?;
    ensure!(ended.success(), "{ended}");
    ensure!(
        listener.events().await == WHOLE,
        "{:?}",
        listener.events().await
    );
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
#[tokio::test(flavor = "multi_thread")]
async fn f147_a_hook_refuses_a_commit() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::new("")?;
    let program = file.program(
        "guard.sh",
        "test ! -e \"$1\" || { echo a backup runs; exit 3; }",
    )?;
    let backup = file.directory.path().join("backup");
    fs::write(&backup, "")?;
    file.write(&format!(
        "{}- name: guard\n  events: [beforeCommit]\n  program: [{}, {}]\n",
        webhook(listener.port, "[beforeCommit]") + "  timeoutSeconds: 3\n",
        program.display(),
        backup.display()
    ))?;
    let rig = file.rig().await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;

    let answer = rig.host.call("POST", "/api/v1/commit", "{}").await?;
    ensure!(
        answer.status == 409 && answer.error() == "CommitVetoed",
        "{}",
        answer.body
    );
    ensure!(
        text(&answer.body, "errorDescription")
            .contains("guard refuses the commit, with the reason: a backup runs")
    );
    fs::remove_file(&backup)?;

    // A veto of the web server, with a reason.
    let veto = HttpAnswer {
        status: 409,
        body: r#"{"reason": "not on Fridays"}"#,
        after: Duration::ZERO,
    };
    listener.answer(veto).await;
    let answer = rig.host.call("POST", "/api/v1/commit", "{}").await?;
    ensure!(answer.error() == "CommitVetoed", "{}", answer.body);
    ensure!(
        text(&answer.body, "errorDescription").contains("not on Fridays"),
        "{}",
        answer.body
    );

    // A server that does not answer in time; other calls do not wait for it.
    listener
        .answer(HttpAnswer {
            after: Duration::from_secs(60),
            ..HttpAnswer::default()
        })
        .await;
    let begun = Instant::now();
    let (late, paused) = tokio::join!(rig.host.call("POST", "/api/v1/commit", "{}"), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        rig.host.pause().await?;
        Ok::<_, anyhow::Error>(asked.elapsed())
    });
    ensure!(paused? < Duration::from_secs(2), "a pause waits for a hook");
    let late = late?;
    ensure!(
        late.status == 409 && late.error() == "HookFailed",
        "{}",
        late.body
    );
    ensure!(
        text(&late.body, "errorDescription").contains("no answer within"),
        "{}",
        late.body
    );
    ensure!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );

    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;
    listener
        .answer(HttpAnswer {
            status: 500,
            ..HttpAnswer::default()
        })
        .await;
    refused(&rig, "commit", json!({}), "HookFailed").await?;
    ensure!(text(&rig.host.progress().await?, "state") == "RUNNING");

    // Each question has an id of its own, and a sync that nobody objects to is committed.
    listener.answer(HttpAnswer::default()).await;
    rig.commit().await?;
    rig.close().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f148_hooks_receive_failures_and_upgrades() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::new(&webhook(listener.port, "[failed, upgraded]"))?;
    let mut rig = Rig::with(Options {
        destination: replica_set::Options::with_fail_points(),
        ..file.options()
    })
    .await?;
    fill(&rig).await?;
    rig.allow_log(STOPPED);
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    disk_full(&rig, "update", "streamPosition").await?;
    listener.wait_for(&["failed"]).await?;
    let failed = &listener.received().await[0].json;
    ensure!(
        failed["details"]["error"] == "DestinationRefused",
        "{failed:#}"
    );
    heal(&rig.destination).await?;
    rig.host.resume().await?;
    rig.host.wait_can_commit().await?;

    // As an earlier release has left it.
    rig.host.kill()?;
    rig.destination_db(crate::steps::METADATA)
        .collection::<bson::Document>("session")
        .update_one(doc! {}, doc! { "$set": { "writtenBy": "0.4.0-earlier" } })
        .await?;
    rig.host.restart().await?;
    listener.wait_for(&["failed", "upgraded"]).await?;
    let upgraded = &listener.received().await[1].json;
    ensure!(
        upgraded["details"]["from"] == "0.4.0-earlier",
        "{upgraded:#}"
    );
    rig.finish().await?;
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f148_hooks_receive_mismatches() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::new(&webhook(listener.port, "[mismatch]"))?;
    let rig = file.rig().await?;
    rig.host
        .start(json!({ "verification": { "enabled": true } }))
        .await?;
    rig.host.wait_can_commit().await?;
    let changed = doc! { "$set": { "text": "MARK-changed" } };
    rig.destination_db("app")
        .collection::<bson::Document>("c")
        .update_one(doc! { "_id": 7 }, changed)
        .await?;
    listener.wait_for(&["mismatch"]).await?;
    let request = &listener.received().await[0];
    ensure!(
        request.json["details"]["mismatches"] == 1,
        "{}",
        request.json
    );
    let body = String::from_utf8_lossy(&request.body);
    ensure!(!body.contains("MARK"), "{body}");
    rig.abandon();
    file.directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f148_a_destination_that_is_gone_does_not_hide_the_failure() -> Result<()> {
    let listener = HookListener::start().await?;
    let file = HooksFile::new(&webhook(listener.port, "[failed]"))?;
    let mut rig = Rig::with(Options {
        host_environment: vec![("TIDEGATE_OUTAGE_SECONDS".to_owned(), "3".to_owned())],
        ..file.options()
    })
    .await?;
    fill(&rig).await?;
    for line in [STOPPED, "cluster does not answer", "not answer"] {
        rig.allow_log(line);
    }
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    rig.destination.kill()?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": "later" }]).await?;
    listener.wait_for(&["failed"]).await?;
    rig.destination.restart().await?;
    rig.host.restart().await?;
    rig.host.resume().await.ok();
    rig.finish().await?;
    file.directory.remove();
    Ok(())
}

/// The page's commands, with a chat that listens.
#[tokio::test(flavor = "multi_thread")]
async fn f149_the_page_posts_to_a_chat() -> Result<()> {
    use support::guide::{blocks, script};
    let page = fs::read_to_string(support::mongod::workspace().join("docs/hooks.md"))?;
    let listener = HookListener::start().await?;
    let mut rig = Rig::start().await?;
    rig.host.kill()?;
    fill(&rig).await?;
    let folder = TestDir::new()?;
    let binary = support::host::binary()?;
    fs::create_dir(folder.path().join("bin"))?;
    std::os::unix::fs::symlink(
        std::path::absolute(binary)?,
        folder.path().join("bin/tidegate"),
    )?;
    let path = format!(
        "{}:{}",
        folder.path().join("bin").display(),
        std::env::var("PATH")?
    );
    let script = script(&blocks(&page))?;
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("TIDEGATE_CLUSTER0", rig.source.uri())
        .env("TIDEGATE_CLUSTER1", rig.destination.uri())
        .env("TIDEGATE_PORT", support::process::free_port()?.to_string())
        .env(
            "CHAT_URL",
            format!("http://127.0.0.1:{}/chat", listener.port),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = bash.output().await.context("run bash")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(
        output.status.success(),
        "a command of docs/hooks.md failed:\n{said}"
    );
    let posted = listener.received().await;
    let texts: Vec<&str> = posted
        .iter()
        .filter_map(|post| post.json["text"].as_str())
        .collect();
    for message in [
        "All documents are copied",
        "a commit is possible",
        "The sync is committed",
    ] {
        ensure!(
            texts.iter().any(|text| text.contains(message)),
            "{message}: {texts:?}\n{said}"
        );
    }
    rig.compare().await?;
    rig.abandon();
    folder.remove();
    Ok(())
}
