//! Every way in which a plugin can fail (scenario 76), in the copy and in change
//! event application, with both policies.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE};

use super::guests::{FAULTY, FAULTY_FIXED, swap, upload_guest};
use crate::steps::{self, count, insert, wait_in_step};

/// The field `fault` of a document, and the name of the error that it causes.
const FAULTS: [(&str, &str); 11] = [
    ("panic", "PluginTrapped"),
    ("loop", "PluginTrapped"),
    ("memory", "PluginTrapped"),
    ("stack", "PluginTrapped"),
    ("miscount", "PluginFailed"),
    ("unknown-verdict", "PluginFailed"),
    ("no-replacement", "PluginFailed"),
    ("invalid-bson", "PluginFailed"),
    ("other-id", "PluginFailed"),
    ("oversize", "PluginFailed"),
    ("refuse", "PluginFailed"),
];

fn with_faulty(digest: &str, on_error: &str) -> Value {
    json!({ "plugins": [{ "component": digest, "config": {}, "onError": on_error }] })
}

fn faulty(fault: &str) -> Document {
    doc! { "_id": format!("asks for {fault}"), "fault": fault, "secret": "never shown" }
}

fn sound(from: i32) -> Vec<Document> {
    (from..from + 50)
        .map(|n| doc! { "_id": n, "n": n })
        .collect()
}

/// Waits for the stop, and checks the messages to the operator.
async fn stopped(rig: &Rig, fault: &str, error: &str) -> Result<()> {
    let progress = rig.host.wait_for_state("PAUSED").await?;
    let warning = progress["warnings"][0].as_str().context("a warning")?;
    ensure!(warning.starts_with(error), "{fault}: {warning}");
    ensure!(
        warning.contains("faulty"),
        "{fault}: no component in {warning}"
    );
    ensure!(
        warning.contains("sha256:"),
        "{fault}: no digest in {warning}"
    );
    ensure!(
        fault == "miscount" || warning.contains(&format!("asks for {fault}")),
        "{fault}: no _id in {warning}"
    );
    ensure!(!warning.contains("never shown"), "{fault}: {warning}");
    Ok(())
}

/// Allows the errors of a faulty plugin in the log.
fn allow_faults(rig: &mut Rig) {
    for text in [
        "the sync has stopped and can be resumed",
        "a plugin trapped",
    ] {
        rig.allow_log(text);
    }
}

/// The copy stops at the document, persists its progress before it, and goes on with a repaired plugin.
#[tokio::test]
async fn s76_a_fault_stops_the_copy() -> Result<()> {
    let mut rig = Rig::start().await?;
    allow_faults(&mut rig);
    let source = rig.source_db("app");
    insert(&source, "c", sound(0)).await?;
    for (run, (fault, error)) in FAULTS.into_iter().enumerate() {
        if run > 0 {
            rig.begin_again(None).await?;
        }
        insert(&source, "c", vec![faulty(fault)]).await?;
        let digest = upload_guest(&rig, FAULTY).await?;
        rig.host.start(with_faulty(&digest, "stop")).await?;
        stopped(&rig, fault, error).await?;
        let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
        swap(&rig, "faulty", &fixed).await?;
        rig.host.resume().await?;
        rig.commit().await?;
        rig.compare().await.with_context(|| fault.to_owned())?;
        steps::delete(&source, "c", format!("asks for {fault}")).await?;
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// The stream stops at the event, its position before it, and goes on with a repaired plugin.
#[tokio::test]
async fn s76_a_fault_stops_change_event_application() -> Result<()> {
    let mut rig = Rig::start().await?;
    allow_faults(&mut rig);
    let source = rig.source_db("app");
    insert(&source, "c", sound(0)).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    rig.host.start(with_faulty(&digest, "stop")).await?;
    rig.host.wait_can_commit().await?;
    for (fault, error) in FAULTS {
        wait_in_step(&rig).await?;
        let inserted = doc! { "insert": "c", "documents": [faulty(fault)] };
        let of_fault = steps::run(&source, inserted)
            .await?
            .get_timestamp("operationTime")?;
        stopped(&rig, fault, error).await?;
        let progress = rig.host.progress().await?;
        let safe = steps::position(&progress, "safe").context("a safe position")?;
        // A position at a time is before the events of that time.
        ensure!(
            safe <= of_fault,
            "{fault}: the position is past the document"
        );
        ensure!(
            steps::find(&rig.destination_db("app"), "c", format!("asks for {fault}"))
                .await?
                .is_none(),
            "{fault}: the document was written"
        );
        // Unchanged, it stops again; repaired, it goes on.
        rig.host.resume().await?;
        stopped(&rig, fault, error).await?;
        swap(&rig, "faulty", &fixed).await?;
        rig.host.resume().await?;
        wait_in_step(&rig).await?;
        rig.compare().await.with_context(|| fault.to_owned())?;
        swap(&rig, "faulty", &digest).await?;
    }
    swap(&rig, "faulty", &fixed).await?;
    rig.finish().await?;
    Ok(())
}

/// Faulty documents are quarantined in the copy and in the stream, and all others arrive.
#[tokio::test]
async fn s76_faults_are_quarantined() -> Result<()> {
    let mut rig = Rig::start().await?;
    allow_faults(&mut rig);
    let source = rig.source_db("app");
    // A plugin that miscounts cannot be asked about any document: it always stops.
    let faults = FAULTS.map(|(fault, _)| fault);
    let faults = || faults.into_iter().filter(|fault| *fault != "miscount");
    insert(&source, "c", sound(0)).await?;
    insert(&source, "c", faults().map(faulty).collect()).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    rig.host.start(with_faulty(&digest, "quarantine")).await?;
    rig.host.wait_can_commit().await?;
    insert(&source, "d", sound(100)).await?;
    insert(&source, "d", faults().map(faulty).collect()).await?;
    let held = faults().count() as u64 * 2;
    rig.host
        .wait_until("all are in quarantine", DEADLINE, |progress| {
            progress["quarantined"] == held
        })
        .await?;
    wait_in_step(&rig).await?;
    for collection in ["c", "d"] {
        ensure!(count(&rig.destination_db("app"), collection).await? == 50);
    }
    let answer = rig.host.call("GET", "/api/v1/quarantine", "").await?;
    let listed = answer.body["quarantine"]["documents"]
        .as_array()
        .context("a list")?;
    ensure!(listed.len() as u64 == held, "{}", answer.body);
    for entry in listed {
        ensure!(entry["component"] == "faulty" && entry["digest"] == digest.as_str());
        ensure!(!entry.to_string().contains("never shown"), "{entry}");
    }
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    swap(&rig, "faulty", &fixed).await?;
    let answer = rig
        .host
        .call("POST", "/api/v1/quarantine/retry", "")
        .await?;
    ensure!(
        answer.body["tried"] == held && answer.body["left"] == 0,
        "{}",
        answer.body
    );
    rig.finish().await?;
    Ok(())
}

/// A plugin that cannot go on stops the sync with either policy.
#[tokio::test]
async fn s76_a_fatal_error_stops_whatever_the_policy() -> Result<()> {
    let mut rig = Rig::start().await?;
    allow_faults(&mut rig);
    let source = rig.source_db("app");
    insert(&source, "c", sound(0)).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    rig.host.start(with_faulty(&digest, "quarantine")).await?;
    rig.host.wait_can_commit().await?;
    for fault in ["fatal", "miscount"] {
        insert(&source, "c", vec![faulty(fault)]).await?;
        let progress = rig.host.wait_for_state("PAUSED").await?;
        let warning = progress["warnings"][0].as_str().context("a warning")?;
        ensure!(warning.starts_with("PluginFailed"), "{fault}: {warning}");
        ensure!(progress["quarantined"] == 0);
        steps::delete(&source, "c", format!("asks for {fault}")).await?;
        let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
        swap(&rig, "faulty", &fixed).await?;
        rig.host.resume().await?;
        wait_in_step(&rig).await?;
        swap(&rig, "faulty", &digest).await?;
    }
    rig.finish().await?;
    Ok(())
}
