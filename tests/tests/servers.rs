//! Sources before MongoDB 6.0: their change streams carry no DDL but renames and drops, no UUIDs and, before 5.0.32, no
//! deltas; before 5.0 they read snapshots in transactions alone. `cargo xtask servers` runs these tests, with the server that `MONGOD_SOURCE` names.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON of the tests' own, and what they have seen"
)]

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, Timestamp};
use mongodb::{Database, IndexModel};
use serde_json::{Value, json};
use support::{
    Rig, Writer, doc, guide, hidden_ddl,
    rig::Options,
    workload::{self, Pace, dataset},
};

const DOCUMENTS: u64 = 4_000;

/// Partitions of a few documents, so that small collections have many.
const SMALL_PARTITIONS: (&str, &str) = ("TIDEGATE_PARTITION_BYTES", "20000");

async fn rig() -> Result<Rig> {
    let (name, bytes) = SMALL_PARTITIONS;
    Rig::with(Options {
        host_environment: vec![(name.to_owned(), bytes.to_owned())],
        ..Options::default()
    })
    .await
}

async fn insert(database: &Database, collection: &str, ids: std::ops::Range<i32>) -> Result<()> {
    let documents = ids.map(|id| doc! { "_id": id, "text": "x".repeat(100), "n": id % 7 });
    database
        .collection(collection)
        .insert_many(documents)
        .await?;
    Ok(())
}

async fn index(database: &Database, collection: &str, key: Document) -> Result<()> {
    let index = IndexModel::builder().keys(key).build();
    database
        .collection::<Document>(collection)
        .create_index(index)
        .await?;
    Ok(())
}

/// In step, with `app.c` of a thousand documents.
async fn in_step() -> Result<Rig> {
    let rig = rig().await?;
    insert(&rig.source_db("app"), "c", 0..1_000).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    Ok(rig)
}

/// The answer of a start that is refused.
async fn refusal(rig: &Rig, mut options: Value) -> Result<String> {
    options["source"] = json!("cluster0");
    options["destination"] = json!("cluster1");
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &options.to_string())
        .await?;
    ensure!(
        rig.host.progress().await?["state"] == "IDLE",
        "the sync has begun"
    );
    Ok(format!(
        "{} {}",
        answer.error(),
        answer.body["errorDescription"]
    ))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f180_every_kind_of_collection_is_copied_under_writes() -> Result<()> {
    let mut rig = rig().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, 180).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 180, Pace::default());
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    rig.host.kill()?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    let counts = writer.stop().await?;
    ensure!(counts.total() > 0, "nothing was written");
    hidden_ddl::finish(rig).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f181_renames_and_drops_are_applied_as_events() -> Result<()> {
    let rig = in_step().await?;
    let app = rig.source_db("app");
    for name in ["from", "target", "dropped", "capped_later"] {
        app.create_collection(name).await?;
        insert(&app, name, 0..50).await?;
    }
    rig.source_db("gone").create_collection("c").await?;
    // The collections are created without an event.
    hidden_ddl::in_step_again(&rig, &Value::Null).await?;
    let rename = |from: &str, to: &str, drop: bool| {
        doc! { "renameCollection": format!("app.{from}"), "to": format!("app.{to}"), "dropTarget": drop }
    };
    rig.source.admin(rename("from", "target", true)).await?;
    rig.source.admin(rename("c", "renamed", false)).await?;
    insert(&app, "renamed", 1_000..1_100).await?;
    insert(&app, "target", 50..60).await?;
    app.collection::<Document>("dropped").drop().await?;
    app.run_command(doc! { "convertToCapped": "capped_later", "size": 1_048_576 })
        .await?;
    rig.source_db("gone").drop().await?;
    let pipeline = [doc! { "$match": { "n": 3 } }, doc! { "$out": "written" }];
    app.collection::<Document>("renamed")
        .aggregate(pipeline)
        .await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f182_ddl_that_no_event_shows_arrives_by_a_resync() -> Result<()> {
    let rig = in_step().await?;
    let app = rig.source_db("app");
    index(&app, "c", doc! { "n": 1 }).await?;
    insert(&app, "implicit", 0..500).await?;
    app.run_command(doc! { "create": "view", "viewOn": "c", "pipeline": [] })
        .await?;
    let capped = doc! { "create": "capped", "capped": true, "size": 65_536 };
    app.run_command(capped).await?;
    insert(&app, "capped", 0..100).await?;
    hidden_ddl::in_step_again(&rig, &Value::Null).await?;
    let first = rig.host.progress().await?;
    let names = rig.destination_db("app").list_collection_names().await?;
    ensure!(names.iter().any(|name| name == "implicit"), "{names:?}");
    app.collection::<Document>("c").drop_index("n_1").await?;
    app.run_command(doc! { "collMod": "implicit", "validator": { "n": { "$gte": 0 } } })
        .await?;
    hidden_ddl::in_step_again(&rig, &first).await?;
    insert(&app, "implicit", 500..600).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f183_a_commit_after_hidden_ddl_is_undone_by_name() -> Result<()> {
    let mut rig = in_step().await?;
    index(&rig.source_db("app"), "c", doc! { "text": 1 }).await?;
    hidden_ddl::undone_commit(&mut rig).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f184_what_an_old_source_cannot_have_is_refused_by_name() -> Result<()> {
    let rig = rig().await?;
    let app = rig.source_db("app");
    insert(&app, "c", 0..10).await?;
    let both = json!({ "enableUserWriteBlocking": "sourceAndDestination" });
    let mut reversible = both.clone();
    reversible["reversible"] = json!(true);
    for options in [both, reversible] {
        let refused = refusal(&rig, options.clone()).await?;
        ensure!(
            refused.starts_with("ServerVersionNotSupported"),
            "{options}: {refused}"
        );
    }
    let version = app.run_command(doc! { "buildInfo": 1 }).await?;
    if version.get_str("version")?.starts_with("4.4.") {
        // It has no time-series collections.
        rig.abandon();
        return Ok(());
    }
    let series = doc! { "create": "series", "timeseries": { "timeField": "at" } };
    app.run_command(series).await?;
    let refused = refusal(&rig, json!({})).await?;
    ensure!(refused.starts_with("TimeSeriesNotSupported"), "{refused}");
    let but_series =
        json!({ "excludeNamespaces": [{ "database": "app", "collections": ["series"] }] });
    rig.host.start(but_series).await?;
    rig.host.wait_can_commit().await?;
    rig.abandon();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f185_keys_under_a_collation_and_empty_timestamps_arrive() -> Result<()> {
    let rig = rig().await?;
    let app = rig.source_db("app");
    let create = doc! { "create": "collated", "collation": { "locale": "de", "strength": 2 } };
    app.run_command(create).await?;
    let collated = app.collection::<Document>("collated");
    let key = |number: i32| {
        format!(
            "{}ä{number}",
            ["k", "L", "m"][number.unsigned_abs() as usize % 3]
        )
    };
    let documents = (0..1_500).map(|number| doc! { "_id": key(number), "text": "x".repeat(100) });
    collated.insert_many(documents).await?;
    let empty = Bson::Timestamp(Timestamp {
        time: 0,
        increment: 0,
    });
    let nested = doc! { "_id": 1, "nested": { "at": empty.clone() } };
    app.collection("timestamps").insert_one(nested).await?;
    let writes = async {
        for number in 0..1_500 {
            let set = doc! { "$set": { "changed": number } };
            collated
                .update_one(doc! { "_id": key(number) }, set)
                .await?;
            if number % 5 == 0 {
                collated.delete_one(doc! { "_id": key(number) }).await?;
            }
        }
        let set = doc! { "$set": { "at": empty } };
        app.collection::<Document>("timestamps")
            .update_one(doc! { "_id": 1 }, set)
            .await?;
        anyhow::Ok(())
    };
    let (written, started) = tokio::join!(writes, rig.host.start(json!({})));
    written.and(started)?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f186_an_old_source_with_users_needs_one_more_privilege() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    insert(&rig.source_db("app"), "c", 0..100).await?;
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateOldSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    rig.host.restart().await?;
    let reads = |change: &str| {
        let reads = doc! { "resource": { "cluster": true }, "actions": ["useUUID"] };
        doc! { change: "tidegateOldSource", "privileges": [reads] }
    };
    rig.source.admin(reads("revokePrivilegesFromRole")).await?;
    let refused = refusal(&rig, json!({})).await?;
    ensure!(
        refused.contains("MissingPrivileges") && refused.contains("useUUID"),
        "{refused}"
    );
    rig.source.admin(reads("grantPrivilegesToRole")).await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    insert(&rig.source_db("app"), "c", 100..200).await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a source before 6.0: cargo xtask servers"]
async fn f187_an_old_source_is_compared_by_verify() -> Result<()> {
    let rig = in_step().await?;
    rig.commit().await?;
    let verify = async || {
        let mut command = std::process::Command::new(support::host::binary()?);
        let arguments = rig.host.arguments();
        command.args(["verify", "--json", "--settle", "0"]);
        command.args([
            "--cluster0",
            &arguments.cluster0,
            "--cluster1",
            &arguments.cluster1,
        ]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let printed = String::from_utf8(output.stdout)?;
        anyhow::Ok((output.status.code().context("an exit status")?, printed))
    };
    let (code, printed) = verify().await?;
    ensure!(code == 0, "{printed}");
    let tampered = rig.destination_db("app").collection::<Document>("c");
    tampered.delete_one(doc! { "_id": 7 }).await?;
    let (code, printed) = verify().await?;
    ensure!(
        code == 1 && printed.contains("missing"),
        "{code}: {printed}"
    );
    rig.abandon();
    Ok(())
}
