//! Items that the leader of a sync assigns to other hosts: collections to verify.

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use field_mask::FieldMask;
use mongodb::Collection;
use serde_json::{Value, json};
use support::{
    Host, Rig,
    chain::Chain,
    host::{DEADLINE, number},
    proxy::commands,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    several_hosts::{call, leader_of, ok, two_more, wait_for_hosts},
    steps::{self, insert},
};

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

// ---- deaths

/// A sync of three hosts, of which the leader or a worker kills itself at `point`. The hosts that are left verify everything,
/// and commit.
async fn with_a_death(point: &str, is_leader: bool) -> Result<()> {
    let kill_at = is_leader.then(|| point.to_owned());
    let mut rig = Rig::with(Options {
        kill_at,
        ..Options::default()
    })
    .await?;
    rig.allow_log(steps::DEATH);
    let mask = json!({ "rules": [{ "path": "name", "action": "drop" }] });
    rig.expect(Chain::of(|_, _| true).then::<FieldMask>(&mask)?);
    for number in 0..COLLECTIONS {
        let people = (0..200).map(|n| doc! { "_id": n, "name": "Grace" });
        insert(
            &rig.source_db("app"),
            &format!("c{number}"),
            people.collect(),
        )
        .await?;
    }
    let arguments = rig.host.arguments().clone();
    let mut more = Vec::new();
    for name in ["b", "c"] {
        let mut arguments = arguments.clone();
        arguments.log_path = arguments.log_path.with_file_name(format!("log-{name}"));
        arguments.more.extend(["--id".to_owned(), name.to_owned()]);
        let kill_at = (!is_leader && name == "b").then_some(point);
        more.push(Host::spawn_to_be_killed(arguments, kill_at).await?);
    }
    let plugins = json!([{ "component": "field-mask", "config": mask }]);
    rig.host
        .start(json!({ "plugins": plugins, "verification": true }))
        .await?;
    let mut looks = 0_u32;
    wait_until("the death of a host", DEADLINE, async || {
        if looks.is_multiple_of(50) {
            // A small sync may be verified before the others have joined.
            let _ = call(&rig.host, "verification/restart", &json!({})).await;
        }
        looks += 1;
        let dies = match is_leader {
            true => &mut rig.host,
            false => &mut more[0],
        };
        Ok(match dies.has_ended() {
            true => Look::Done(()),
            false => Look::NotYet(format!("{point} was not passed")),
        })
    })
    .await?;
    let leader = match is_leader {
        true => leader_of(&more).await?,
        false => &rig.host,
    };
    leader.wait_can_commit().await?;
    leader.commit().await?;
    leader.wait_for_state("COMMITTED").await?;
    drop(more);
    rig.close().await.map(drop)
}

/// Between the assignment of items and their reports, and between the reports and their end.
#[tokio::test]
async fn f238_a_leader_that_dies_around_its_items_costs_nothing() -> Result<()> {
    for point in ["items_assigned", "items_reported"] {
        with_a_death(point, true).await?;
    }
    Ok(())
}

/// Before the work of an item, and between the work and the report.
#[tokio::test]
async fn f238_a_worker_that_dies_around_its_item_costs_nothing() -> Result<()> {
    for point in ["item_begun", "item_done"] {
        with_a_death(point, false).await?;
    }
    Ok(())
}
