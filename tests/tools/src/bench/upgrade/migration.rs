//! How long the metadata of a large sync takes to migrate.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    LogCheck, ReplicaSet, TestDir,
    host::DEADLINE,
    metadata::{Entry, read, restore},
    mongod::workspace,
};

use super::sides;

const PARTITIONS: usize = 10_000;

/// The metadata that is multiplied: of a sync that stays paused.
const CAPTURED: &str = "tests/fixtures/metadata/1/0.1.1/in-step-paused.json";

pub(super) async fn run() -> Result<Value> {
    let directory = TestDir::new()?;
    let source = sides::source(&directory).await?;
    let destination = sides::destination(&directory, "destination").await?;
    let metadata = prepared(&source, &destination).await?;
    restore(&destination, &metadata).await?;
    let host = sides::host(&directory, &source, &destination).await?;
    host.wait_until("the sync is taken over", DEADLINE, |progress| {
        progress.pointer("/lease/ours") == Some(&Value::Bool(true))
    })
    .await?;
    let lines = LogCheck::new(host.log_path()).lines()?;
    let steps: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("metadata migrated"))
        .collect();
    ensure!(
        !steps.is_empty(),
        "no log line says that metadata was migrated"
    );
    let mut elapsed = 0;
    for line in steps {
        elapsed += elapsed_ms(line)?;
    }
    drop((host, source, destination));
    directory.remove();
    Ok(json!({
        "name": "migration",
        "partitions": PARTITIONS,
        "documents": metadata.len(),
        "migration_ms": elapsed,
    }))
}

/// How long a step took, by its log line.
fn elapsed_ms(line: &str) -> Result<u64> {
    let line: Value = serde_json::from_str(line)?;
    let fields = line.get("fields").unwrap_or(&line);
    let value = fields.get("elapsed_ms").or_else(|| line.get("elapsed_ms"));
    let elapsed = value.and_then(Value::as_u64);
    elapsed.context("the log line has no elapsed_ms")
}

/// Captured metadata with as many partitions, as if it were of these clusters.
async fn prepared(source: &ReplicaSet, destination: &ReplicaSet) -> Result<Vec<Entry>> {
    let captured = read(&workspace().join(CAPTURED))?;
    let mut prepared = Vec::new();
    let mut partitions = Vec::new();
    for entry in captured {
        let mut document = entry.to_document()?;
        match entry.collection.as_str() {
            "session" => {
                document.insert("sourceId", identity(source).await?);
                document.insert("destinationId", identity(destination).await?);
                prepared.push(Entry::new("session", &document)?);
            }
            "partitions" => partitions.push(document),
            _ => prepared.push(entry),
        }
    }
    ensure!(!partitions.is_empty(), "{CAPTURED} holds no partitions");
    for (number, partition) in (0..PARTITIONS).zip(partitions.iter().cycle()) {
        let mut partition: Document = partition.clone();
        let namespace = partition.get_str("namespaceId")?.to_owned();
        partition.insert("_id", format!("{namespace}:{number}"));
        prepared.push(Entry::new("partitions", &partition)?);
    }
    prepared.sort_by(|a, b| a.collection.cmp(&b.collection));
    Ok(prepared)
}

/// The identity by which a host recognizes a cluster.
async fn identity(set: &ReplicaSet) -> Result<String> {
    let reply = set.admin(doc! { "replSetGetConfig": 1 }).await?;
    let settings = reply.get_document("config")?.get_document("settings")?;
    Ok(settings.get_object_id("replicaSetId")?.to_hex())
}
