//! Clusters that change while they are compared.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{
    Rig, Writer,
    workload::{self, Pace, dataset},
};
use tokio::task::JoinHandle;

use crate::{Pair, operations, run};

/// Writes until it is dropped.
struct Hammer(JoinHandle<Result<()>>);

impl Hammer {
    fn start(collection: mongodb::Collection<Document>) -> Self {
        Self(tokio::spawn(async move {
            for n in 0_i64.. {
                let change = doc! { "$set": { "n": n } };
                collection.update_one(doc! { "_id": "hot" }, change).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }))
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A sync of tidegate applies changes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn f157_a_running_sync_is_verified_under_writes() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), 10_000, 57).await?;
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    let start = rig.host.log_path().join("start.json");
    let mut options = dataset::filters();
    options["source"] = "cluster0".into();
    options["destination"] = "cluster1".into();
    std::fs::write(&start, options.to_string())?;
    let start = start.to_string_lossy().into_owned();
    let pace = Pace {
        operations_per_second: 50,
        ddl_every: None,
    };
    let writer = Writer::start(rig.source.client(), 10_000, 57, pace);
    let uris = (rig.source.uri(), rig.destination.uri());
    // Longer than the lag of a sync on a busy machine, which has been 14 s.
    let arguments = ["--start", &start, "--before-commit", "--settle", "40s"];
    let verified = run((&uris.0, &uris.1), &arguments, &[]).await?.expect(0)?;
    ensure!(verified.lines.is_empty(), "{:?}", verified.texts());

    // A change on the destination alone is found under the same writes.
    let orders = rig
        .destination_db("crm")
        .collection::<Document>("customers");
    let changed = orders.find_one(doc! {}).await?.context("no customer")?;
    let id = doc! { "_id": changed.get("_id").cloned() };
    orders
        .update_one(id.clone(), doc! { "$set": { "tampered": true } })
        .await?;
    let written = writer.counts().total();
    let verified = run((&uris.0, &uris.1), &arguments, &[]).await?;
    ensure!(
        writer.counts().total() > written,
        "nothing was written meanwhile"
    );
    let texts = verified.texts();
    // The writer may have written over it.
    let is_there = orders
        .find_one(doc! { "_id": id.get("_id").cloned(), "tampered": true })
        .await?
        .is_some();
    ensure!(
        texts.len() == usize::from(is_there) && verified.code == Some(i32::from(is_there)),
        "{texts:?}"
    );
    writer.stop().await?;
    orders
        .update_one(id, doc! { "$unset": { "tampered": 1 } })
        .await?;
    rig.commit().await?;
    run((&uris.0, &uris.1), &["--start", &start], &[])
        .await?
        .expect(0)?;
    rig.abandon();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f158_keys_that_keep_changing_are_unsettled_and_others_are_decided() -> Result<()> {
    let pair = Pair::start().await?;
    let of = |set: &support::ReplicaSet| set.db("app").collection::<Document>("x");
    for set in [&pair.source, &pair.destination] {
        let documents = (0..500).map(|n| doc! { "_id": n, "v": n });
        of(set).insert_many(documents.collect::<Vec<_>>()).await?;
        of(set).insert_one(doc! { "_id": "hot", "n": -1 }).await?;
        of(set).insert_one(doc! { "_id": "late", "v": 1 }).await?;
    }
    let arguments = ["--settle", "4s", "--patience", "8s"];
    let hammer = Hammer::start(of(&pair.source));
    let verified = pair.verify(&arguments).await?.expect(2)?;
    ensure!(
        verified.texts() == ["app.x document hot unsettled n"],
        "{:?}",
        verified.texts()
    );
    ensure!(verified.summary["unsettled"] == 1 && verified.summary["verdict"] == "notVerified");

    // A settled difference beside it, and a change that arrives within the time to settle.
    of(&pair.destination).delete_one(doc! { "_id": 77 }).await?;
    of(&pair.source)
        .update_one(doc! { "_id": "late" }, doc! { "$set": { "v": 2 } })
        .await?;
    let late = of(&pair.destination);
    let arrival = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        late.update_one(doc! { "_id": "late" }, doc! { "$set": { "v": 2 } })
            .await
    });
    let verified = pair.verify(&arguments).await?.expect(1)?;
    arrival.await??;
    let expected = [
        r#"app.x document hot unsettled n"#,
        r#"app.x document {"$numberInt":"77"} missing"#,
    ];
    ensure!(verified.texts() == expected, "{:?}", verified.texts());
    drop(hammer);

    // A collection is created on both sides while the run waits for a difference to settle.
    of(&pair.source).delete_one(doc! { "_id": "hot" }).await?;
    of(&pair.destination)
        .delete_one(doc! { "_id": "hot" })
        .await?;
    let create = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        for set in [&pair.source, &pair.destination] {
            set.db("app")
                .collection("new")
                .insert_one(doc! { "_id": 1, "of": set.name() })
                .await?;
        }
        Ok(())
    };
    let (verified, ()) = tokio::try_join!(pair.verify(&arguments), create)?;
    let verified = verified.expect(1)?;
    let expected = [
        r#"app.new document {"$numberInt":"1"} differs of"#,
        r#"app.x document {"$numberInt":"77"} missing"#,
    ];
    ensure!(verified.texts() == expected, "{:?}", verified.texts());
    ensure!(operations(&pair.source).await? > 0);
    pair.end();
    Ok(())
}
