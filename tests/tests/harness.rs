//! The harness itself, on real clusters: a comparison that misses a difference
//! would make every other suite worthless.

use anyhow::Result;
use futures::{TryFutureExt, future::BoxFuture};
use mongodb::Database;
use support::{
    Comparison, Document, ReplicaSet, TestDir, Writer, compare::compare, doc, replica_set::Options,
    workload,
};

const DOCUMENTS: u64 = 2000;

struct Pair {
    source: ReplicaSet,
    destination: ReplicaSet,
    directory: TestDir,
}

impl Pair {
    async fn start() -> Result<Self> {
        let directory = TestDir::new()?;
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start(
                "source",
                directory.path().join("source"),
                Options::default()
            ),
            ReplicaSet::start(
                "destination",
                directory.path().join("destination"),
                Options::default()
            ),
        )?;
        Ok(Self {
            source,
            destination,
            directory,
        })
    }

    async fn compare(&self) -> Result<Comparison> {
        compare(
            self.source.client(),
            self.destination.client(),
            &|_: &str, _: &str| true,
        )
        .await
    }

    fn pass(self) {
        drop((self.source, self.destination));
        self.directory.remove();
    }
}

/// A change of the destination that a comparison has to see, and how to take it back.
struct Change {
    name: &'static str,
    seen_as: &'static str,
    make: fn(&Database) -> BoxFuture<'_, mongodb::error::Result<Document>>,
}

const CHANGES: &[Change] = &[
    Change {
        name: "a changed byte",
        seen_as: "title",
        make: |db| {
            run(
                db,
                doc! { "update": "products", "updates": [
                { "q": { "_id": "product/000007" }, "u": { "$set": { "title": "changed" } } }] },
            )
        },
    },
    Change {
        name: "another number type",
        seen_as: "attributes",
        make: |db| {
            run(
                db,
                doc! { "update": "products", "updates": [
                { "q": { "_id": "product/000008" }, "u": { "$set": { "attributes.weight": 1_i64 } } }] },
            )
        },
    },
    Change {
        name: "another field order",
        seen_as: "sku",
        make: |db| {
            run(
                db,
                doc! { "update": "products", "updates": [
                { "q": { "_id": "product/000009" },
                  "u": [{ "$replaceWith": { "$mergeObjects": [
                    { "_id": "$_id", "price": "$price", "sku": "$sku" }, "$$ROOT"] } }] }] },
            )
        },
    },
    Change {
        name: "a missing document",
        seen_as: "is not on the destination",
        make: |db| {
            run(
                db,
                doc! { "delete": "products", "deletes": [
                { "q": { "_id": "product/000010" }, "limit": 1 }] },
            )
        },
    },
    Change {
        name: "an extra document",
        seen_as: "is on the destination only",
        make: |db| {
            run(
                db,
                doc! { "insert": "products", "documents": [
                { "_id": "product/000010x", "sku": "extra", "price": 1 }] },
            )
        },
    },
    Change {
        name: "an extra document at the end",
        seen_as: "is on the destination only",
        make: |db| {
            run(
                db,
                doc! { "insert": "products", "documents": [
                { "_id": "product/zzz", "sku": "extra2", "price": 1 }] },
            )
        },
    },
    Change {
        name: "an option",
        seen_as: "validationLevel",
        make: |db| {
            run(
                db,
                doc! { "collMod": "products", "validationLevel": "strict" },
            )
        },
    },
    Change {
        name: "an index option",
        seen_as: "hidden",
        make: |db| {
            run(
                db,
                doc! { "collMod": "products", "index": { "name": "sku_1", "hidden": true } },
            )
        },
    },
    Change {
        name: "a missing index",
        seen_as: "index attributes",
        make: |db| {
            run(
                db,
                doc! { "dropIndexes": "products", "index": "attributes" },
            )
        },
    },
    Change {
        name: "a view's pipeline",
        seen_as: "pipeline",
        make: |db| {
            run(
                db,
                doc! { "collMod": "expensive", "viewOn": "orders", "pipeline": [] },
            )
        },
    },
    Change {
        name: "an extra collection",
        seen_as: "shop.more: is on the destination only",
        make: |db| run(db, doc! { "create": "more" }),
    },
];

fn run(db: &Database, command: Document) -> BoxFuture<'_, mongodb::error::Result<Document>> {
    Box::pin(db.run_command(command).into_future())
}

#[tokio::test]
async fn the_comparison_sees_every_kind_of_difference() -> Result<()> {
    let pair = Pair::start().await?;
    workload::load(pair.source.client(), DOCUMENTS, 1).await?;
    workload::load(pair.destination.client(), DOCUMENTS, 1).await?;
    // Carts hold the time of their making.
    for set in [&pair.source, &pair.destination] {
        set.db("shop")
            .collection::<Document>("carts")
            .drop()
            .await?;
    }
    let equal = pair.compare().await?.into_result()?;
    assert!(equal.documents > DOCUMENTS * 9 / 10, "{equal:?}");
    for change in CHANGES {
        (change.make)(&pair.destination.db("shop"))
            .map_err(|error| anyhow::anyhow!("{}: {error}", change.name))
            .await?;
        let found = pair.compare().await?;
        let seen = found
            .differences
            .iter()
            .any(|d| d.to_string().contains(change.seen_as));
        assert!(seen, "{} is not seen: {found:?}", change.name);
    }
    assert_eq!(pair.compare().await?.differences.len(), CHANGES.len());
    pair.pass();
    Ok(())
}

#[tokio::test]
async fn the_writer_keeps_writing_and_a_set_survives_kill_and_step_down() -> Result<()> {
    let mut pair = Pair::start().await?;
    workload::load(pair.source.client(), DOCUMENTS, 1).await?;
    let pace = workload::Pace {
        operations_per_second: 2000,
        ddl_every: Some(std::time::Duration::from_millis(50)),
    };
    let writer = Writer::start(pair.source.client(), DOCUMENTS, 1, pace);
    support::wait_until(
        "every kind of write",
        std::time::Duration::from_secs(60),
        async || {
            let counts = writer.counts();
            let fewest = [
                counts.inserts,
                counts.updates,
                counts.replaces,
                counts.deletes,
                counts.transactions,
                counts.ddl,
            ];
            Ok(if fewest.iter().all(|&count| count > 25) {
                support::wait::Look::Done(())
            } else {
                support::wait::Look::NotYet(format!("{counts:?}"))
            })
        },
    )
    .await?;
    writer.stop().await?;
    pair.source.step_down().await?;
    pair.source.kill()?;
    pair.source.restart().await?;
    pair.source.stop().await?;
    pair.source.restart().await?;
    let compared = compare(
        pair.source.client(),
        pair.source.client(),
        &|_: &str, _: &str| true,
    )
    .await?;
    assert!(compared.into_result()?.documents > DOCUMENTS);
    pair.pass();
    Ok(())
}

#[tokio::test]
async fn a_set_speaks_tls_and_asks_for_a_password() -> Result<()> {
    let directory = TestDir::new()?;
    let set =
        ReplicaSet::start("secure", directory.path().join("secure"), Options::secure()).await?;
    set.db("app")
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .await?;
    let stranger = support::replica_set::client(&set.uri_of("root", "wrong")).await?;
    assert!(stranger.list_database_names().await.is_err());
    drop(set);
    directory.remove();
    Ok(())
}
