//! Several hosts, one sync: registration, calls to any host, and live upgrades with three processes.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc};
use field_mask::FieldMask;
use mongodb::Collection;
use serde_json::{Value, json};
use support::{
    Host, Rig, Writer,
    chain::Chain,
    host::{self, Answer, DEADLINE, number, text},
    proxy::commands,
    release,
    rig::Options,
    wait::Look,
    wait_until,
    workload::{self, Pace, dataset},
};

use crate::steps::{self, insert};

const DOCUMENTS: u64 = 3_000;

/// Two more hosts with the same arguments.
async fn two_more(rig: &mut Rig) -> Result<[Host; 2]> {
    Ok([
        steps::second(rig, "b").await?,
        steps::second(rig, "c").await?,
    ])
}

async fn call(host: &Host, name: &str, body: &Value) -> Result<Answer> {
    let path = format!("/api/v1/{name}");
    host.call("POST", &path, &body.to_string()).await
}

fn ok(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    Ok(())
}

/// Instances and roles of the registered hosts.
fn registered(progress: &Value) -> Vec<(String, String)> {
    let hosts = progress["hosts"].as_array().cloned().unwrap_or_default();
    let named = |host: &Value| {
        (
            text(host, "instance").to_owned(),
            text(host, "role").to_owned(),
        )
    };
    let mut hosts: Vec<_> = hosts.iter().map(named).collect();
    hosts.sort();
    hosts
}

async fn wait_for_hosts(host: &Host, number: usize) -> Result<Value> {
    let are_all = |progress: &Value| {
        let hosts = registered(progress);
        let leaders = hosts.iter().filter(|(_, role)| role == "leader").count();
        hosts.len() == number && leaders == 1
    };
    host.wait_until(
        &format!("{number} hosts, one of which leads"),
        DEADLINE,
        are_all,
    )
    .await
}

/// A call to any host is carried out by the leader, and every host tells of all hosts.
#[tokio::test]
async fn f232_a_call_to_any_host_is_carried_out_by_the_leader() -> Result<()> {
    let mut rig = Rig::start().await?;
    let documents = (0..200).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    // A host alone refuses what is done already, as mongosync does.
    let alone = call(&rig.host, "resume", &json!({})).await?;
    ensure!(alone.error() == "InvalidStateTransition", "{}", alone.body);
    let [b, c] = two_more(&mut rig).await?;
    for host in [&rig.host, &b, &c] {
        wait_for_hosts(host, 3).await?;
    }
    // mongosync's scripts call each process.
    for (name, state) in [("pause", "PAUSED"), ("resume", "RUNNING")] {
        for host in [&b, &rig.host, &c] {
            ok(&call(host, name, &json!({})).await?).with_context(|| name.to_owned())?;
            rig.host.wait_for_state(state).await?;
        }
    }
    ok(&call(&b, "start", &steps::start_body(json!({}))).await?)?;
    ok(&call(&c, "loadLevel", &json!({ "level": 2 })).await?)?;
    // A refusal comes with the leader's own words.
    let unknown = json!({ "namespaces": [{ "database": "none" }] });
    let refused = call(&b, "recopy", &unknown).await?;
    ensure!(
        refused.status == 404 && refused.error() == "NamespaceNotFound",
        "{}: {}",
        refused.status,
        refused.body
    );
    let other = call(
        &c,
        "start",
        &steps::start_body(json!({ "buildIndexes": "never" })),
    )
    .await?;
    ensure!(other.error() == "OptionsMismatch", "{}", other.body);
    recorded_once(&rig.host).await?;
    rig.host.wait_can_commit().await?;
    for host in [&c, &rig.host, &b] {
        ok(&call(host, "commit", &json!({})).await?)?;
    }
    rig.host.wait_for_state("COMMITTED").await?;
    drop((b, c));
    rig.close().await.map(drop)
}

/// Each passed call has one record, with the host that was called.
async fn recorded_once(leader: &Host) -> Result<()> {
    wait_until("the records of passed calls", DEADLINE, async || {
        let answer = leader.call("GET", "/api/v1/audit?limit=1000", "").await?;
        let records = answer.body["records"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let passed = |record: &&Value| {
            let from = record.to_string();
            record.to_string().contains("loadLevel") && from.contains("host c")
        };
        Ok(match records.iter().filter(passed).count() {
            1 => Look::Done(()),
            _ => Look::NotYet(answer.body.to_string()),
        })
    })
    .await
}

/// The leader dies, is handed over from a standby, and is stopped: the hosts go on, and the list follows.
#[tokio::test]
async fn f233_a_handover_by_a_standby_makes_another_host_lead() -> Result<()> {
    let mut rig = Rig::start().await?;
    let documents = (0..200).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let [b, c] = two_more(&mut rig).await?;
    wait_for_hosts(&b, 3).await?;
    ok(&call(&b, "handover", &json!({})).await?)?;
    ensure!(rig.host.wait_for_end().await?.success());
    let shown = wait_for_hosts(&b, 2).await?;
    let leads = registered(&shown)
        .into_iter()
        .find(|(_, role)| role == "leader");
    let leads = leads.context("a leader")?.0;
    let (mut leader, other) = match leads == "b" {
        true => (b, c),
        false => (c, b),
    };
    rig.host.restart().await?;
    wait_for_hosts(&rig.host, 3).await?;
    // A leader that dies stays registered for one lease.
    leader.kill()?;
    wait_for_hosts(&other, 2).await?;
    ok(&call(&rig.host, "pause", &json!({})).await?)?;
    ok(&call(&other, "resume", &json!({})).await?)?;
    other.wait_can_commit().await?;
    ok(&call(&rig.host, "commit", &json!({})).await?)?;
    other.wait_for_state("COMMITTED").await?;
    drop((leader, other));
    rig.close().await.map(drop)
}

// ---- the steps of a live upgrade, in mongosync's words

/// Three processes of `binary` at work on a sync that is written to.
async fn three_processes(binary: PathBuf) -> Result<(Rig, Vec<Host>, Writer)> {
    let mut rig = Rig::with(Options {
        host_binary: Some(binary),
        ..Options::default()
    })
    .await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, 1).await?;
    rig.host.start(dataset::filters()).await?;
    let more = two_more(&mut rig).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 1, Pace::default());
    Ok((rig, more.into(), writer))
}

/// "Use your operating system to stop each running process." "Install the new binaries." "Initialize the processes."
async fn replace_each(rig: &mut Rig, more: &mut [Host]) -> Result<()> {
    let mut all: Vec<&mut Host> = std::iter::once(&mut rig.host).chain(more).collect();
    for process in &mut all {
        ensure!(process.terminate().await?.success(), "the end of a process");
    }
    for process in &mut all {
        process.arguments_mut().binary = host::binary()?;
    }
    for process in all {
        process.restart().await?;
    }
    Ok(())
}

async fn finish(rig: Rig, more: Vec<Host>, writer: Writer) -> Result<()> {
    wait_for_hosts(&rig.host, 3).await?;
    writer.stop().await?;
    rig.host.wait_can_commit().await?;
    ok(&call(&rig.host, "commit", &json!({})).await?)?;
    rig.host.wait_for_state("COMMITTED").await?;
    drop(more);
    rig.close().await.map(drop)
}

/// "Run pause on each running process", stop each, install, initialize each, "run resume on all processes".
#[tokio::test]
async fn f234_the_five_steps_with_three_processes_that_are_paused() -> Result<()> {
    for old in [release::binary("0.6.0")?, host::binary()?] {
        let is_this = old == host::binary()?;
        let (mut rig, mut more, writer) = three_processes(old).await?;
        if is_this {
            wait_for_hosts(&rig.host, 3).await?;
        }
        for process in std::iter::once(&rig.host).chain(&more) {
            let answer = call(process, "pause", &json!({})).await?;
            // Release 0.6.0 passes no call on.
            let is_refused = !is_this && answer.error() == "StandbyInstance";
            ensure!(answer.status == 200 || is_refused, "{}", answer.body);
        }
        rig.host.wait_for_state("PAUSED").await?;
        replace_each(&mut rig, &mut more).await?;
        for process in std::iter::once(&rig.host).chain(&more) {
            process.wait_for_state("PAUSED").await?;
        }
        for process in std::iter::once(&rig.host).chain(&more) {
            ok(&call(process, "resume", &json!({})).await?)?;
        }
        rig.host.wait_for_state("RUNNING").await?;
        finish(rig, more, writer).await?;
    }
    Ok(())
}

/// The same without the optional pause.
#[tokio::test]
async fn f235_the_five_steps_with_three_processes_that_are_not_paused() -> Result<()> {
    let (mut rig, mut more, writer) = three_processes(release::binary("0.6.0")?).await?;
    replace_each(&mut rig, &mut more).await?;
    rig.host.wait_for_state("RUNNING").await?;
    finish(rig, more, writer).await
}

/// One process after another, while the others work.
#[tokio::test]
async fn f236_three_processes_are_replaced_one_by_one() -> Result<()> {
    let (mut rig, mut more, writer) = three_processes(release::binary("0.6.0")?).await?;
    for number in 0..3 {
        let process = match number {
            0 => &mut rig.host,
            number => &mut more[number - 1],
        };
        ensure!(process.terminate().await?.success(), "the end of a process");
        process.arguments_mut().binary = host::binary()?;
        process.restart().await?;
        process.wait_for_state("RUNNING").await?;
    }
    finish(rig, more, writer).await
}

// ---- items of the verification

const COLLECTIONS: i32 = 12;

fn items(rig: &Rig) -> Collection<Document> {
    rig.destination_db(steps::METADATA).collection("items")
}

/// Three hosts, and a sync with a plugin whose collections are verified. A document of each differs on the destination,
/// and nothing is verified.
async fn differing(options: Options) -> Result<(Rig, [Host; 2])> {
    let mut rig = Rig::with(options).await?;
    rig.allow_log("a document differs");
    let mask = json!({ "rules": [{ "path": "name", "action": "drop" }] });
    rig.expect(Chain::of(|_, _| true).then::<FieldMask>(&mask)?);
    let person = |n: i32| doc! { "_id": n, "n": n, "name": "Grace" };
    for number in 0..COLLECTIONS {
        let people = (0..500).map(person).collect();
        insert(&rig.source_db("app"), &format!("c{number}"), people).await?;
    }
    let plugins = json!([{ "component": "field-mask", "config": mask }]);
    rig.host
        .start(json!({ "plugins": plugins, "verification": true }))
        .await?;
    rig.host.wait_can_commit().await?;
    let more = two_more(&mut rig).await?;
    wait_for_hosts(&rig.host, 3).await?;
    rig.host.pause().await?;
    for number in 0..COLLECTIONS {
        let collection = format!("c{number}");
        let changed = doc! { "$set": { "n": -1 } };
        steps::update(&rig.destination_db("app"), &collection, number, changed).await?;
    }
    // So the documents are found by reading all, and not by the destination's oplog.
    let verified = rig.destination_db(steps::METADATA);
    let verified = verified.collection::<Document>("verifiedCollections");
    verified.delete_many(doc! {}).await?;
    Ok((rig, more))
}

async fn wait_for_mismatches(rig: &Rig, count: u64) -> Result<()> {
    let are_counted = |progress: &Value| {
        progress["verification"].is_object()
            && number(progress, "/verification/mismatches") == count
    };
    let counted = rig.host.wait_until("mismatches", DEADLINE, are_counted);
    counted.await.map(drop)
}

async fn repair_and_finish(rig: Rig, more: [Host; 2]) -> Result<()> {
    ok(&call(&more[1], "verification/repair", &json!({})).await?)?;
    wait_for_mismatches(&rig, 0).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    drop(more);
    rig.close().await.map(drop)
}

/// Workers compare a part of the collections, with the plugin, and each difference is found.
#[tokio::test]
async fn f237_other_hosts_verify_a_part_of_the_collections() -> Result<()> {
    let (rig, more) = differing(Options::default()).await?;
    let reports = items(&rig);
    let reported = wait_until("a report of a worker", DEADLINE, async || {
        let found = reports.find_one(doc! { "state": "reported" }).await?;
        Ok(match found {
            Some(item) => Look::Done(item),
            None => Look::NotYet("no item is reported".to_owned()),
        })
    });
    let resumed = async { rig.host.resume().await };
    let (item, ()) = tokio::try_join!(reported, resumed)?;
    let report = item.get_document("report")?;
    ensure!(report.get("failure").is_none(), "{item}");
    ensure!(!report.get_array("collections")?.is_empty(), "{item}");
    wait_for_mismatches(&rig, COLLECTIONS as u64).await?;
    repair_and_finish(rig, more).await
}

/// A worker is frozen while it has an item, past the end of its slice. Its report then arrives, and counts for nothing.
#[tokio::test]
async fn f237_a_frozen_worker_and_its_late_report_change_nothing() -> Result<()> {
    let (rig, more) = differing(Options {
        proxied: true,
        host_environment: vec![("TIDEGATE_SLICE_SECONDS".to_owned(), "1".to_owned())],
        ..Options::default()
    })
    .await?;
    let reports = commands("findAndModify").of("mongosync_internal_tidegate.items");
    let destination = &rig.proxies()?.destination;
    let held = destination.on(reports.first()).hold();
    rig.host.resume().await?;
    held.seen().await?;
    for worker in &more {
        worker.process()?.freeze()?;
    }
    // The slice ends without the reports, and the leader compares the rest by itself.
    wait_for_mismatches(&rig, COLLECTIONS as u64).await?;
    let answer = held.release().await?;
    ensure!(
        answer.get("value").is_none_or(|value| *value == Bson::Null),
        "a late report counts: {answer}"
    );
    for worker in &more {
        worker.process()?.thaw()?;
    }
    wait_for_hosts(&rig.host, 3).await?;
    repair_and_finish(rig, more).await
}
