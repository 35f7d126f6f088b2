//! Copies that the last release before this metadata leaves in the middle, with partitions in each state, under
//! changes of documents in all of them. Hosts of that release apply no change events before the copy has ended.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Binary, Document, doc, spec::BinarySubtype};
use mongodb::Collection;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use support::{
    Rig,
    host::{self, DEADLINE},
    metadata::dump,
    release::{self, COPY_BEFORE_STREAM},
    replica_set,
    rig::Options,
    upgrade::Manner,
    wait::{Look, wait_until},
};
use tokio::{sync::watch, task::JoinHandle};

/// Documents of 64 KiB: five partitions of 16 MiB, each of several batches.
const DOCUMENTS: i32 = 1_280;
const BYTES: usize = 64 << 10;

/// Time of each insert of the copy while the old host works.
const INSERT_MS: i32 = 1_500;

/// Changes of documents until it is stopped.
struct Load {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Load {
    fn start(collection: Collection<Document>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut rng = StdRng::seed_from_u64(78);
            for next in 0.. {
                change(&collection, &mut rng, next).await?;
                if *stopped.borrow() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            Ok(())
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        self.task.await.context("join the load")?
    }
}

/// Changes a document anywhere. The updates show whether one was applied twice, to a newer document or never: by
/// counts, elements of an array and the order of fields.
async fn change(collection: &Collection<Document>, rng: &mut StdRng, next: i32) -> Result<()> {
    let id = doc! { "_id": rng.random_range(0..DOCUMENTS) * 2 };
    match rng.random_range(0..10) {
        0 => {
            collection.delete_one(id).await?;
        }
        1 => {
            let new = doc! { "$setOnInsert": { "list": [], "n": next } };
            collection.update_one(id, new).upsert(true).await?;
        }
        2 => {
            // Between the documents of the copy, and above them.
            let new = doc! { "_id": next * 2 + 1, "list": [next], "n": 0 };
            collection.insert_one(new).await?;
        }
        3 => {
            let replaced = doc! { "list": [next], "replaced": true, "n": next };
            collection.replace_one(id, replaced).await?;
        }
        4 => {
            collection
                .update_one(id, doc! { "$unset": { "a": 1, "list.0": 1 } })
                .await?;
        }
        5 => {
            let pop = doc! { "$pop": { "list": -1 }, "$set": { "b": next } };
            collection.update_one(id, pop).await?;
        }
        _ => {
            let push =
                doc! { "$push": { "list": next }, "$inc": { "n": 1 }, "$set": { "a": next } };
            collection.update_one(id, push).await?;
        }
    }
    Ok(())
}

async fn load_documents(collection: &Collection<Document>) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(1);
    for first in (0..DOCUMENTS).step_by(128) {
        let documents = (first..first + 128).map(|number| {
            let mut bytes = vec![0; BYTES];
            rng.fill(bytes.as_mut_slice());
            let subtype = BinarySubtype::Generic;
            doc! { "_id": number * 2, "list": [], "n": 0, "bytes": Binary { subtype, bytes } }
        });
        collection.insert_many(documents).await?;
    }
    Ok(())
}

/// Clusters with a collection under this name, and the old host with one copy worker, whose inserts into
/// `app.large` are slow.
async fn slow_copies(name: &str) -> Result<(Rig, Collection<Document>)> {
    let rig = Rig::with(Options {
        destination: replica_set::Options::with_fail_points(),
        host_arguments: vec!["--loadLevel".to_owned(), "1".to_owned()],
        host_binary: Some(release::binary(COPY_BEFORE_STREAM)?),
        ..Options::default()
    })
    .await?;
    let data = doc! {
        "failCommands": ["insert"], "namespace": "app.large", "blockConnection": true,
        "blockTimeMS": INSERT_MS,
    };
    let slow = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
    rig.destination.admin(slow).await?;
    let collection = rig.source_db("app").collection(name);
    load_documents(&collection).await?;
    Ok((rig, collection))
}

/// Waits until partitions are unseen, in work with documents, and done.
async fn wait_for_all_states(rig: &Rig) -> Result<()> {
    wait_until("partitions in all states", DEADLINE, async || {
        let (mut unseen, mut in_work, mut done) = (0, 0, 0);
        for entry in dump(&rig.destination).await? {
            if entry.collection != "copyPartitions" {
                continue;
            }
            let partition = entry.to_document()?;
            match partition.get_bool("done")? {
                true => done += 1,
                false if partition.contains_key("lastId") => in_work += 1,
                false if !partition.contains_key("begun") => unseen += 1,
                false => {}
            }
        }
        Ok(match unseen > 0 && in_work > 0 && done > 0 {
            true => Look::Done(()),
            false => Look::NotYet(format!("{unseen} unseen, {in_work} in work, {done} done")),
        })
    })
    .await
}

/// The old host goes, and a host of this build goes on with the sync.
async fn replace(rig: &mut Rig, manner: Manner) -> Result<()> {
    if manner == Manner::PauseFirst {
        rig.host.pause().await?;
    }
    if manner == Manner::Kill {
        rig.host.kill()?;
    } else {
        ensure!(rig.host.terminate().await?.success());
    }
    let fast = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    rig.destination.admin(fast).await?;
    rig.host.arguments_mut().binary = host::binary()?;
    rig.host.restart().await?;
    if manner == Manner::PauseFirst {
        rig.host.resume().await?;
    }
    Ok(())
}

/// The old host is replaced while partitions are in all states, and the sync ends.
async fn end_with_a_new_host(mut rig: Rig, load: Load, manner: Manner) -> Result<()> {
    wait_for_all_states(&rig).await?;
    replace(&mut rig, manner).await?;
    rig.host.wait_can_commit().await?;
    load.stop().await?;
    rig.finish().await?;
    Ok(())
}

async fn a_first_copy_goes_on(manner: Manner) -> Result<()> {
    let (rig, collection) = slow_copies("large").await?;
    rig.host.start(json!({})).await?;
    let load = Load::start(collection);
    end_with_a_new_host(rig, load, manner).await
}

#[tokio::test]
async fn f78_partitions_of_a_killed_host_go_on_from_their_states() -> Result<()> {
    a_first_copy_goes_on(Manner::Kill).await
}

#[tokio::test]
async fn f78_partitions_of_a_stopped_host_go_on_from_their_states() -> Result<()> {
    a_first_copy_goes_on(Manner::Terminate).await
}

/// A collection that a rename has brought into scope is copied before another event is applied. The position is
/// clean after a pause, although the finished partitions were read after it.
async fn a_late_copy_goes_on(manner: Manner) -> Result<()> {
    let (rig, _) = slow_copies("outside").await?;
    let small = rig.source_db("app").collection::<Document>("small");
    small.insert_one(doc! { "_id": 1 }).await?;
    let names = json!({ "database": "app", "collections": ["small", "large"] });
    let scope = json!({ "includeNamespaces": [names] });
    rig.host.start(scope).await?;
    rig.host.wait_can_commit().await?;
    let rename = doc! { "renameCollection": "app.outside", "to": "app.large" };
    rig.source.admin(rename).await?;
    let load = Load::start(rig.source_db("app").collection("large"));
    end_with_a_new_host(rig, load, manner).await
}

#[tokio::test]
async fn f79_a_late_copy_of_a_killed_host_goes_on() -> Result<()> {
    a_late_copy_goes_on(Manner::Kill).await
}

#[tokio::test]
async fn f79_a_late_copy_of_a_paused_host_goes_on() -> Result<()> {
    a_late_copy_goes_on(Manner::PauseFirst).await
}
