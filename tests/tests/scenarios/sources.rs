//! The source as a set of members, and the commands that hosts send.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;
use serde_json::json;
use support::{Rig, host::DEADLINE, replica_set, rig::Options, wait::Look, wait_until};

use crate::{
    findings_writes::proxied,
    steps::{insert, run, wait_in_step},
};

/// Commands of servers later than 6.0.
const OF_LATER_SERVERS: [&str; 1] = ["bulkWrite"];

async fn fail_point(member: &Client, name: &str, mode: &str) -> Result<()> {
    let command = doc! { "configureFailPoint": name, "mode": mode };
    run(&member.database("admin"), command).await.map(drop)
}

/// The commands of clients called `name…` that a member has served on the database `app`.
async fn served(member: &Client, name: &str) -> Result<u64> {
    let profile = member
        .database("app")
        .collection::<Document>("system.profile");
    let of_name = doc! { "appName": { "$regex": format!("^{name}") } };
    Ok(profile.count_documents(of_name).await?)
}

/// A secondary that answers, and is behind. The connection string asks for reads from secondaries.
#[tokio::test(flavor = "multi_thread")]
async fn s26_a_lagging_secondary_costs_no_event() -> Result<()> {
    let mut rig = Rig::with(Options {
        source: replica_set::Options::with_fail_points().of_three(),
        ..Options::default()
    })
    .await?;
    rig.allow_log("an option of the connection string");
    let app = rig.source_db("app");
    for first in [0, 500] {
        let documents =
            (first..first + 500).map(|id| doc! { "_id": id, "n": 0, "x": "x".repeat(1_000) });
        insert(&app, "c", documents.collect()).await?;
    }
    let place = rig.source.secondary().await?;
    let address = rig.source.addresses().swap_remove(place);
    let direct = |name: &str| {
        format!(
            "mongodb://{address}/?directConnection=true&readPreference=secondary&appName={name}"
        )
    };
    let secondary = replica_set::client(&direct("check")).await?;
    wait_for_documents(&secondary, 1_000).await?;
    fail_point(&secondary, "rsSyncApplyStop", "alwaysOn").await?;
    run(&secondary.database("app"), doc! { "profile": 2 }).await?;
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 += "&readPreference=secondary&readConcernLevel=local";
    rig.host.restart().await?;
    change(&rig, 1).await?;
    rig.host.start(json!({})).await?;
    change(&rig, 2).await?;
    rig.host.wait_can_commit().await?;
    change(&rig, 3).await?;
    wait_in_step(&rig).await?;
    wait_for_documents(&secondary, 1_000).await?;
    ensure!(
        served(&secondary, "check").await? > 0,
        "the profile holds nothing"
    );
    ensure!(
        served(&secondary, "tidegate").await? == 0,
        "the host reads from the secondary"
    );
    fail_point(&secondary, "rsSyncApplyStop", "off").await?;
    wait_for_documents(&secondary, 1_300).await?;
    rig.source.step_down().await?;
    rig.source.wait_for_primary().await?;
    change(&rig, 4).await?;
    rig.finish().await.map(drop)
}

async fn change(rig: &Rig, round: i32) -> Result<()> {
    let app = rig.source_db("app");
    let documents = (0..100).map(|id| doc! { "_id": 10_000 * round + id });
    insert(&app, "c", documents.collect()).await?;
    let update = doc! { "update": "c", "updates": [{ "q": { "n": { "$exists": true } }, "u": { "$inc": { "n": 1 } }, "multi": true }] };
    run(&app, update).await.map(drop)
}

async fn wait_for_documents(member: &Client, number: u64) -> Result<()> {
    let collection = member.database("app").collection::<Document>("c");
    wait_until(&format!("{number} documents"), DEADLINE, async || {
        Ok(match collection.count_documents(doc! {}).await {
            Ok(found) if found == number => Look::Done(()),
            Ok(found) => Look::NotYet(format!("{found} documents")),
            // The member has just been started.
            Err(error) => Look::NotYet(error.to_string()),
        })
    })
    .await
}

/// The commands of a whole sync, in the copy, in step and at commit, are those of a server of 6.0.
#[tokio::test(flavor = "multi_thread")]
async fn s67_no_host_sends_a_command_of_later_servers() -> Result<()> {
    let rig = Rig::with(proxied()).await?;
    let app = rig.source_db("app");
    insert(
        &app,
        "c",
        (0..500).map(|id| doc! { "_id": id, "a": [] }).collect(),
    )
    .await?;
    let unique = doc! { "key": { "_id": 1, "u": 1 }, "name": "u", "unique": true };
    run(&app, doc! { "createIndexes": "c", "indexes": [unique] }).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let updates = vec![
        doc! { "q": { "_id": { "$lt": 300 } }, "u": { "$push": { "a": 1 } }, "multi": true },
        doc! { "q": { "_id": 7 }, "u": { "whole": true } },
    ];
    run(&app, doc! { "update": "c", "updates": updates }).await?;
    let deletes = vec![doc! { "q": { "_id": { "$gt": 400 } }, "limit": 0 }];
    run(&app, doc! { "delete": "c", "deletes": deletes }).await?;
    rig.source
        .admin(doc! { "renameCollection": "app.c", "to": "app.d" })
        .await?;
    rig.commit().await?;
    let proxies = rig.proxies()?;
    for proxy in [&proxies.source, &proxies.destination] {
        let journal = proxy.journal();
        let sent: BTreeSet<&str> = journal
            .iter()
            .map(|command| command.name.as_str())
            .collect();
        ensure!(
            sent.contains("find") || sent.contains("aggregate"),
            "{sent:?}"
        );
        for name in OF_LATER_SERVERS {
            ensure!(!sent.contains(name), "{sent:?}");
        }
    }
    let journal = proxies.destination.journal();
    for name in ["insert", "update", "delete", "renameCollection"] {
        let sent = journal.iter().find(|command| command.name == name);
        sent.with_context(|| format!("no {name} was sent"))?;
    }
    rig.close().await.map(drop)
}
