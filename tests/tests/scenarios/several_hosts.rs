//! Several hosts, one sync: registration, calls to any host, and live upgrades with three processes.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Host, Rig, Writer,
    host::{self, Answer, DEADLINE, text},
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
pub(crate) async fn two_more(rig: &mut Rig) -> Result<[Host; 2]> {
    Ok([
        steps::second(rig, "b").await?,
        steps::second(rig, "c").await?,
    ])
}

pub(crate) async fn call(host: &Host, name: &str, body: &Value) -> Result<Answer> {
    let path = format!("/api/v1/{name}");
    host.call("POST", &path, &body.to_string()).await
}

pub(crate) fn ok(answer: &Answer) -> Result<()> {
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

pub(crate) async fn wait_for_hosts(host: &Host, number: usize) -> Result<Value> {
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

/// The host that holds the lease.
pub(crate) async fn leader_of<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Result<&'a Host> {
    let hosts: Vec<_> = hosts.into_iter().collect();
    wait_until("a host leads", DEADLINE, async || {
        for host in &hosts {
            if host.progress().await?["lease"]["ours"] == true {
                return Ok(Look::Done(*host));
            }
        }
        Ok(Look::NotYet("no host holds the lease".to_owned()))
    })
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
        let records = answer.body["audit"]["records"]
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
    leader_of([&rig.host, &other])
        .await?
        .wait_can_commit()
        .await?;
    ok(&call(&rig.host, "commit", &json!({})).await?)?;
    other.wait_for_state("COMMITTED").await?;
    drop((leader, other));
    rig.close().await.map(drop)
}

/// A call that the network delivers after its time is not carried out: the server has its end, which was taken before it was
/// sent.
#[tokio::test]
async fn f239_a_call_that_arrives_after_its_time_is_not_carried_out() -> Result<()> {
    let mut rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    let documents = (0..200).map(|n| doc! { "_id": n }).collect();
    insert(&rig.source_db("app"), "c", documents).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let b = steps::second(&mut rig, "b").await?;
    wait_for_hosts(&b, 2).await?;
    let passes = commands("update").of("mongosync_internal_tidegate.passedCalls");
    let held = rig.proxies()?.destination.on(passes.first()).hold();
    let begun = Instant::now();
    let answer = call(&b, "pause", &json!({})).await?;
    ensure!(answer.error() == "ConnectionFailed", "{}", answer.body);
    wait_until("the end of the call's time", DEADLINE, async || {
        Ok(match begun.elapsed() > Duration::from_secs(5) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{:?}", begun.elapsed())),
        })
    })
    .await?;
    let arrived = held.release().await?;
    // The leader has looked for calls when it has carried out the next.
    ok(&call(&b, "loadLevel", &json!({ "level": 2 })).await?)?;
    let calls = rig.destination_db(steps::METADATA);
    let calls = calls.collection::<Document>("passedCalls");
    let late = calls.find_one(doc! { "path": "/api/v1/pause" }).await?;
    match late {
        Some(late) => ensure!(late.get_str("state")? == "waiting", "{late}"),
        // A later write of its session has begun: the server refuses it.
        None => ensure!(arrived.get_i32("code")? == 225, "{arrived}"),
    }
    ensure!(text(&rig.host.progress().await?, "state") == "RUNNING");
    drop(b);
    rig.finish().await.map(drop)
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
    let leader = leader_of(std::iter::once(&rig.host).chain(&more)).await?;
    leader.wait_can_commit().await?;
    ok(&call(&rig.host, "commit", &json!({})).await?)?;
    leader.wait_for_state("COMMITTED").await?;
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
