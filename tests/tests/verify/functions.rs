//! Stored functions, which `tidegate verify` compares like documents.

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use serde_json::json;
use support::ReplicaSet;

use crate::Pair;

async fn store(set: &ReplicaSet, database: &str, name: &str, code: &str) -> Result<()> {
    let functions = set.db(database).collection::<Document>("system.js");
    let value = Bson::JavaScriptCode(code.to_owned());
    functions
        .replace_one(doc! { "_id": name }, doc! { "_id": name, "value": value })
        .upsert(true)
        .await?;
    Ok(())
}

/// Functions that differ, are missing or extra are named; those of a database out of scope, an empty collection beside a
/// missing one, and functions before a commit are not.
#[tokio::test(flavor = "multi_thread")]
async fn f200_stored_functions_are_compared() -> Result<()> {
    let pair = Pair::start().await?;
    for set in [&pair.source, &pair.destination] {
        for database in ["app", "empty", "listed", "lone"] {
            let documents = set.db(database).collection::<Document>("c");
            documents.insert_one(doc! { "_id": 1 }).await?;
        }
        for name in ["same", "other"] {
            store(set, "app", name, "function() { return 1 }").await?;
        }
    }
    store(&pair.destination, "empty", "f", "gone").await?;
    let emptied = pair.destination.db("empty");
    let emptied = emptied.collection::<Document>("system.js");
    emptied.delete_one(doc! { "_id": "f" }).await?;
    pair.verify(&["--settle", "0"]).await?.expect(0)?;
    store(&pair.destination, "app", "other", "function() { return 2 }").await?;
    store(&pair.destination, "app", "extra", "f").await?;
    store(&pair.source, "app", "missing", "f").await?;
    store(&pair.source, "lone", "f", "f").await?;
    store(&pair.source, "listed", "f", "f").await?;
    let namespaces = json!([
        { "database": "app" }, { "database": "empty" }, { "database": "lone" },
        { "database": "listed", "collections": ["c"] },
    ]);
    let start =
        json!({ "source": "cluster0", "destination": "cluster1", "includeNamespaces": namespaces });
    let file = pair.directory.path().join("start.json");
    std::fs::write(&file, start.to_string())?;
    let file = file.to_string_lossy();
    let arguments = ["--settle", "0", "--start", &file];
    let verified = pair.verify(&arguments).await?.expect(1)?;
    let texts = verified.texts();
    let expected = [
        "app.system.js document extra extra",
        "app.system.js document missing missing",
        "app.system.js document other differs value",
        "lone.system.js collection missing",
    ];
    ensure!(texts == expected, "{texts:?}");
    pair.verify(&["--settle", "0", "--before-commit", "--start", &file])
        .await?
        .expect(0)?;
    pair.end();
    Ok(())
}
