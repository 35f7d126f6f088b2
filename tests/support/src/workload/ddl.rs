//! DDL operations of the writer, in sequence, on collections of their own and sometimes on those of the data set.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::Client;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

pub(super) async fn run(
    client: &Client,
    run: u64,
    every: Duration,
    stop: CancellationToken,
    done: &AtomicU64,
    passes_failures: bool,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(run);
    let mut ticks = tokio::time::interval(every);
    let partial = partial_index(client).await;
    for number in 0_u64.. {
        for (database, command) in story(run, number, partial, &mut rng) {
            if stop.run_until_cancelled(ticks.tick()).await.is_none() {
                return Ok(());
            }
            let shown = command.to_string();
            let ran = client.database(database).run_command(command).await;
            if ran.is_err() && passes_failures {
                continue;
            }
            ran.with_context(|| format!("run {shown} on {database}"))?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// The name of the partial index, which is on the key of another index, too, where the server allows it (5.0).
async fn partial_index(client: &Client) -> &'static str {
    let admin = client.database("admin");
    let info = admin.run_command(doc! { "buildInfo": 1 });
    let is_4 = info.await.is_ok_and(|info| {
        let version = info.get_str("version");
        version.is_ok_and(|version| version.starts_with("4."))
    });
    if is_4 { "at_2" } else { "k_2" }
}

/// The life of a collection as commands. The remains at its end vary.
fn story(run: u64, number: u64, partial: &str, rng: &mut StdRng) -> Vec<(&'static str, Document)> {
    let (first, second) = (
        format!("ddl_{run}_{number}"),
        format!("ddl_renamed_{}", number % 3),
    );
    let documents: Vec<Document> = (0..rng.random_range(1..30))
        .map(|n| doc! { "_id": n, "k": n % 5, "at": number.to_string() })
        .collect();
    let rename = doc! { "renameCollection": format!("crm.{first}"), "to": format!("crm.{second}"),
    "dropTarget": true };
    let validator = doc! { "k": { "$gte": rng.random_range(-9..0) } };
    let mut story = vec![
        (
            "crm",
            doc! { "create": &first, "validator": { "k": { "$exists": true } } },
        ),
        ("crm", doc! { "insert": &first, "documents": documents }),
        ("crm", create_index(&first, "k_1", doc! { "unique": false })),
        ("admin", rename),
        (
            "crm",
            create_index(
                &second,
                partial,
                doc! { "partialFilterExpression": { "k": { "$gt": 1 } } },
            ),
        ),
        (
            "crm",
            doc! { "collMod": &second, "validator": validator, "validationLevel": "moderate" },
        ),
        (
            "crm",
            doc! { "collMod": &second, "index": { "name": "k_1", "hidden": true } },
        ),
        (
            "crm",
            doc! { "insert": &second, "documents": [doc! { "_id": "late", "k": 7 }] },
        ),
        ("crm", doc! { "dropIndexes": &second, "index": partial }),
        ("telemetry", create_index("readings", "at_1", doc! {})),
        (
            "telemetry",
            doc! { "dropIndexes": "readings", "index": "at_1" },
        ),
    ];
    if number % 4 == 3 {
        story.push(("crm", doc! { "drop": &second }));
    }
    story
}

/// `name` is the key and the direction: "k_1".
fn create_index(collection: &str, name: &str, options: Document) -> Document {
    let key = name.split('_').next().unwrap_or(name);
    let mut index = doc! { "key": { key: 1 }, "name": name };
    index.extend(options);
    doc! { "createIndexes": collection, "indexes": [index] }
}
