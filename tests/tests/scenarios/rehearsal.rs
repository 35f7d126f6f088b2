//! `tidegate plan`: what a start would do, without a change on either cluster.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use bson::{Timestamp, doc};
use futures::TryStreamExt;
use serde_json::{Value, json};
use support::{
    Document, ReplicaSet, Rig, compare::Expectation, guide, rig::Options, workload::dataset,
};

use crate::steps::insert;

/// Databases whose contents the server changes by itself.
const SERVERS: [&str; 3] = ["admin", "config", "local"];

/// Output and exit code of `tidegate plan` with a file that holds `start`.
fn plan(rig: &Rig, start: &str, more: &[&str]) -> Result<(String, Option<i32>)> {
    let host = rig.host.arguments();
    let file: PathBuf = rig.host.log_path().join("start.json");
    std::fs::write(&file, start)?;
    let ended = Command::new(&host.binary)
        .args(["plan", "--start"])
        .arg(&file)
        .args(more)
        .env("TIDEGATE_CLUSTER0", &host.cluster0)
        .env("TIDEGATE_CLUSTER1", &host.cluster1)
        .output()
        .context("run tidegate plan")?;
    let printed = [ended.stdout, ended.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    Ok((printed, ended.status.code()))
}

fn plan_json(rig: &Rig, start: &Value) -> Result<(Value, Option<i32>)> {
    let (printed, code) = plan(rig, &start.to_string(), &["--json"])?;
    let plan = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    Ok((plan, code))
}

/// All databases but the server's own, each with the hashes of its collections, and the newest entry of the oplog.
async fn contents(set: &ReplicaSet) -> Result<(Vec<Document>, Timestamp)> {
    let mut hashes = Vec::new();
    for name in set.client().list_database_names().await? {
        if SERVERS.contains(&name.as_str()) {
            continue;
        }
        let hash = set.db(&name).run_command(doc! { "dbHash": 1 }).await?;
        hashes.push(doc! { "database": name, "hashes": hash.get_document("collections")?.clone() });
    }
    let newest = set.db("local").collection::<Document>("oplog.rs");
    let newest = newest
        .find_one(doc! {})
        .sort(doc! { "$natural": -1 })
        .await?;
    Ok((hashes, newest.context("an oplog")?.get_timestamp("ts")?))
}

/// Entries of the oplog after `since` that the server does not write by itself.
async fn written_since(set: &ReplicaSet, since: Timestamp) -> Result<Vec<Document>> {
    let oplog = set.db("local").collection::<Document>("oplog.rs");
    let entries: Vec<Document> = oplog
        .find(doc! { "ts": { "$gt": since } })
        .await?
        .try_collect()
        .await?;
    let is_servers = |entry: &Document| {
        entry
            .get_str("ns")
            .is_ok_and(|ns| ns == "config.system.sessions")
            || entry
                .get_document("o")
                .is_ok_and(|o| o.get_str("msg").is_ok_and(|msg| msg == "periodic noop"))
    };
    Ok(entries
        .into_iter()
        .filter(|entry| !is_servers(entry))
        .collect())
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|entry| entry[field].as_str())
        .collect()
}

/// Fills the source with a collection of each kind.
async fn fill(rig: &Rig) -> Result<()> {
    let app = rig.source_db("app");
    let documents: Vec<_> = (0..100)
        .map(|n| doc! { "_id": n, "text": "x".repeat(1000) })
        .collect();
    insert(&app, "users", documents).await?;
    app.run_command(doc! { "createIndexes": "users", "indexes": [
        { "key": { "text": 1 }, "name": "text_1" },
        { "key": { "at": 1 }, "name": "at_1", "expireAfterSeconds": 3600 },
    ] })
    .await?;
    app.run_command(doc! { "create": "log", "capped": true, "size": 1 << 20 })
        .await?;
    app.run_command(doc! { "create": "short", "viewOn": "users", "pipeline": [{ "$limit": 1 }] })
        .await?;
    insert(&rig.source_db("other"), "x", vec![doc! { "_id": 1 }]).await?;
    Ok(())
}

/// The scope of the options below.
fn start() -> Value {
    json!({
        "source": "cluster0", "destination": "cluster1",
        "includeNamespaces": [{ "database": "app" }],
        "namespaceRemap": [{ "from": { "database": "app" }, "to": { "database": "moved" } }],
    })
}

/// The destination that the options above ask for.
struct Moved;

impl Expectation for Moved {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        (database == "app").then(|| ("moved".to_owned(), collection.to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f140_a_rehearsal_says_what_a_start_does_and_changes_nothing() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.host.kill()?;
    fill(&rig).await?;
    let before = (
        contents(&rig.source).await?,
        contents(&rig.destination).await?,
    );

    let (planned, code) = plan_json(&rig, &start())?;
    ensure!(
        code == Some(0) && planned["couldStart"] == true,
        "{planned:#}"
    );
    let (text, code) = plan(&rig, &start().to_string(), &[])?;
    ensure!(code == Some(0) && text.contains("could start"), "{text}");

    let after = (
        contents(&rig.source).await?,
        contents(&rig.destination).await?,
    );
    ensure!(after.0.0 == before.0.0, "the source has changed: {after:?}");
    ensure!(
        after.1.0 == before.1.0,
        "the destination has changed: {after:?}"
    );
    for (set, since) in [(&rig.source, before.0.1), (&rig.destination, before.1.1)] {
        let written = written_since(set, since).await?;
        ensure!(written.is_empty(), "written on {}: {written:?}", set.name());
    }

    let namespaces = &planned["namespaces"];
    ensure!(
        names(namespaces, "source") == ["app.log", "app.short", "app.users"]
            && names(namespaces, "destination") == ["moved.log", "moved.short", "moved.users"],
        "{namespaces:#}"
    );
    ensure!(namespaces[0]["capped"] == true && namespaces[1]["type"] == "view");
    ensure!(
        namespaces[2]["indexes"] == json!(["at_1", "text_1"]),
        "{namespaces:#}"
    );
    ensure!(namespaces[2]["documents"] == 100 && namespaces[2]["bytes"].as_u64() > Some(100_000));
    ensure!(planned["notInScope"] == json!(["other.x"]), "{planned:#}");
    ensure!(planned["oplog"]["windowSeconds"].is_u64(), "{planned:#}");
    ensure!(planned["missingPrivileges"] == json!([]), "{planned:#}");
    ensure!(names(&planned["components"], "name") == ["namespace-filter", "namespace-remap"]);
    for word in ["moved.users", "text_1", "other.x", "20 MB/s"] {
        ensure!(text.contains(word), "{word} is missing: {text}");
    }

    // The start does what the plan says.
    rig.expect(Moved);
    rig.host.restart().await?;
    rig.host.start(start()).await?;
    rig.commit().await?;
    let mut synced = rig.destination_db("moved").list_collection_names().await?;
    synced.retain(|name| !name.starts_with("system."));
    synced.sort();
    ensure!(synced == ["log", "short", "users"], "{synced:?}");
    let (refused, code) = plan_json(&rig, &start())?;
    ensure!(code == Some(1), "{refused:#}");
    ensure!(
        names(&refused["refusals"], "error") == ["InvalidStateTransition"],
        "{refused:#}"
    );
    rig.close().await?;
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
#[tokio::test(flavor = "multi_thread")]
async fn f141_a_rehearsal_names_every_reason_against_a_start() -> Result<()> {
    let rig = Rig::start().await?;
    let app = rig.source_db("app");
    // A rewrite cannot express what these read.
    for name in ["metrics", "weather"] {
        let reads = doc! { "$lookup": { "from": "a", "as": "a", "pipeline": [] } };
        app.run_command(doc! { "create": name, "viewOn": "b", "pipeline": [reads] })
            .await?;
    }
    app.run_command(doc! { "create": "series", "timeseries": { "timeField": "t" } })
        .await?;
    insert(&app, "a", vec![doc! { "_id": 1 }]).await?;
    insert(&app, "b", vec![doc! { "_id": 1 }]).await?;
    insert(&rig.destination_db("mine"), "x", vec![doc! { "_id": 1 }]).await?;
    let rule = json!({
        "from": { "database": "app", "collection": "a" },
        "to": { "database": "app", "collection": "b" },
    });
    let start =
        json!({ "source": "cluster0", "destination": "cluster1", "namespaceRemap": [rule] });
    let before = (
        contents(&rig.source).await?.0,
        contents(&rig.destination).await?.0,
    );
    let (refused, code) = plan_json(&rig, &start)?;
    ensure!(
        code == Some(1) && refused["couldStart"] == false,
        "{refused:#}"
    );
    let reasons = [
        "DestinationNotEmpty",
        "CollectionNotSupported",
        "CollectionNotSupported",
        "NamespaceCollision",
    ];
    ensure!(
        names(&refused["refusals"], "error") == reasons,
        "{refused:#}"
    );
    let listed = names(&refused["namespaces"], "source");
    ensure!(listed.contains(&"app.series"), "{listed:?}");
    ensure!(
        !refused.to_string().contains("system.buckets"),
        "{refused:#}"
    );
    // The start itself names the first of these.
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &start.to_string())
        .await?;
    ensure!(
        answer.body["errorDescription"] == refused["refusals"][0]["errorDescription"],
        "{}",
        answer.body
    );
    let after = (
        contents(&rig.source).await?.0,
        contents(&rig.destination).await?.0,
    );
    ensure!(before == after);

    let (text, code) = plan(&rig, &start.to_string(), &[])?;
    ensure!(
        code == Some(1) && text.contains("app.weather") && text.contains("would be refused"),
        "{text}"
    );
    // A body that the call refuses is refused here by the same name.
    let (refused, code) = plan_json(
        &rig,
        &json!({ "source": "cluster0", "destination": "cluster1", "plugin": [] }),
    )?;
    ensure!(
        code == Some(1) && names(&refused["refusals"], "error") == ["UnknownField"],
        "{refused:#}"
    );
    let missing = Command::new(&rig.host.arguments().binary)
        .args([
            "plan",
            "--start",
            "/does/not/exist",
            "--cluster0",
            "mongodb://a",
            "--cluster1",
            "mongodb://b",
        ])
        .output()?;
    ensure!(missing.status.code() == Some(2), "{missing:?}");
    rig.abandon();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f142_a_rehearsal_lists_missing_privileges_of_both_sides() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    rig.set_scope(dataset::in_scope);
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    insert(&rig.source_db("app"), "users", vec![doc! { "_id": 1 }]).await?;
    let start = json!({ "source": "cluster0", "destination": "cluster1" });
    let (planned, code) = plan_json(&rig, &start)?;
    ensure!(
        code == Some(0) && planned["missingPrivileges"] == json!([]),
        "{planned:#}"
    );

    let all = doc! { "db": "", "collection": "" };
    for (set, role, resource, action) in [
        (&rig.source, "tidegateSource", all.clone(), "changeStream"),
        (
            &rig.source,
            "tidegateSource",
            doc! { "cluster": true },
            "appendOplogNote",
        ),
        (&rig.destination, "tidegateDestination", all, "collMod"),
    ] {
        let privilege = doc! { "resource": resource, "actions": [action] };
        set.admin(doc! { "revokePrivilegesFromRole": role, "privileges": [privilege] })
            .await?;
    }
    let (refused, code) = plan_json(&rig, &start)?;
    ensure!(code == Some(1), "{refused:#}");
    ensure!(
        names(&refused["refusals"], "error") == ["MissingPrivileges"],
        "{refused:#}"
    );
    let missing: Vec<_> = refused["missingPrivileges"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|gap| {
            (
                gap["cluster"].as_str(),
                gap["actions"][0].as_str(),
                gap["required"].as_bool(),
            )
        })
        .collect();
    ensure!(
        missing
            == [
                (Some("cluster0"), Some("changeStream"), Some(true)),
                (Some("cluster0"), Some("appendOplogNote"), Some(false)),
                (Some("cluster1"), Some("collMod"), Some(true)),
            ],
        "{refused:#}"
    );
    // Namespaces are read where the privileges allow it.
    ensure!(
        names(&refused["namespaces"], "source") == ["app.users"],
        "{refused:#}"
    );
    let (text, _) = plan(&rig, &start.to_string(), &[])?;
    ensure!(
        text.contains("optional: without it") && !text.contains("pw@"),
        "{text}"
    );
    rig.abandon();
    Ok(())
}
