//! The tools for authors, and their guide: docs/plugins.md is run as it stands,
//! command by command, between two real clusters.

mod builds;
mod publishing;
mod watching;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::Value;
use support::{
    ReplicaSet, TestDir,
    guide::{Block, blocks, script},
    host,
    mongod::workspace,
    process::free_port,
    replica_set,
};

/// A folder under `target/` with an empty folder `name`, so that later runs reuse the artifacts of cargo.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = workspace().join("target").join("guide");
    let work = folder.join(name);
    if work.exists() {
        fs::remove_dir_all(&work).context("empty the guide's folder")?;
    }
    fs::create_dir_all(&work).context("make the guide's folder")?;
    Ok(folder)
}

fn tidegate(arguments: &[&str]) -> Result<Output> {
    let output = Command::new(host::binary()?)
        .arg("plugin")
        .args(arguments)
        .output();
    output.context("run tidegate plugin")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

#[tokio::test]
async fn the_guide_leads_to_a_masked_sync() -> Result<()> {
    let page = fs::read_to_string(workspace().join("docs/plugins.md")).context("read the guide")?;
    let blocks = blocks(&page);
    let directory = TestDir::new()?;
    let cluster = |name| {
        ReplicaSet::start(
            name,
            directory.path().join(name),
            replica_set::Options::default(),
        )
    };
    let (source, destination) = tokio::try_join!(cluster("source"), cluster("destination"))?;
    source
        .db("shop")
        .collection("people")
        .insert_many(people(&blocks)?)
        .await?;

    let output = play("plugins", &blocks, [&source, &destination], &[]).await?;

    let people = destination.db("shop").collection::<Document>("people");
    let mut found: Vec<Document> = Vec::new();
    let mut cursor = people.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    while cursor.advance().await? {
        found.push(cursor.deserialize_current()?);
    }
    let person = |id: i32, name: &str, email: &str, card: &str| {
        doc! { "_id": id, "name": name, "region": "EMEA", "email": email, "card": card }
    };
    let expected = [
        person(1, "Ann", "***@example.com", "************9010"),
        person(3, "Cem", "***@example.net", "************3333"),
        person(4, "Dee", "by letter only", "************6666"),
    ];
    ensure!(
        found == expected,
        "the destination holds {found:#?}\n{}",
        said(&output)
    );
    drop((source, destination));
    directory.remove();
    Ok(())
}

/// Runs the commands of a page between two clusters, with the host on the `PATH`. Returns their output.
async fn play(
    page: &str,
    blocks: &[Block],
    [source, destination]: [&ReplicaSet; 2],
    variables: &[(&str, &str)],
) -> Result<Output> {
    let work = format!("work-{page}");
    let folder = folder(&work)?;
    let path = format!(
        "{}:{}",
        host::binary()?.parent().unwrap_or(Path::new("/")).display(),
        std::env::var("PATH")?
    );
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &script(blocks)?])
        .current_dir(folder.join(&work))
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", folder.join("cargo"))
        .env("SOURCE", source.uri())
        .env("PEOPLE", source.uri().replacen("/?", "/shop.people?", 1))
        .env("DESTINATION", destination.uri())
        .env("TIDEGATE_PORT", free_port()?.to_string())
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    let output = bash.output().await.context("run bash")?;
    // The output of the page's commands, for its author.
    fs::write(folder.join(format!("output-{page}")), said(&output))?;
    ensure!(
        output.status.success(),
        "a command of docs/{page}.md failed:\n{}",
        said(&output)
    );
    Ok(output)
}

/// The documents of the page's `people.json`.
fn people(blocks: &[Block]) -> Result<Vec<Document>> {
    let text = blocks.iter().find_map(|block| match block {
        Block::File { path, text } if path == "people.json" => Some(text),
        _ => None,
    });
    let people: Vec<Value> = serde_json::from_str(text.context("the guide has no people.json")?)?;
    let document = |person| match bson::Bson::try_from(person)? {
        bson::Bson::Document(document) => Ok(document),
        other => anyhow::bail!("{other} is no document"),
    };
    people.into_iter().map(document).collect()
}

/// Shipped components keep the rules that the tools for authors check.
#[test]
fn every_shipped_plugin_passes_the_check() -> Result<()> {
    let rules =
        r#"{"rules": [{"path": "a.b", "action": "keepLast", "count": 2, "otherwise": "null"}]}"#;
    let filter = r#"{"field": "status", "matchValues": ["active", 7]}"#;
    for (name, config) in [
        ("namespace-filter", "{}"),
        (
            "namespace-remap",
            r#"{"namespaceRemap": [{"from": {"database": "test"}, "to": {"database": "new"}}]}"#,
        ),
        ("document-filter", filter),
        ("field-mask", rules),
        (
            "field-rename",
            r#"{"rules": [{"rename": {"from": "a.b", "to": "c"}}]}"#,
        ),
    ] {
        let output = tidegate(&["check", name, "--config", config, "--json"])?;
        ensure!(output.status.success(), "{name}: {}", said(&output));
        let report: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(report["ok"] == true, "{report:#}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_said_with_an_exit_code() -> Result<()> {
    let directory = TestDir::new()?;
    let file = |name: &str, text: &[u8]| -> Result<String> {
        let path = directory.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let (junk, documents) = (
        file("junk.wasm", b"junk")?,
        file("in.json", b"{\"_id\": 1}")?,
    );
    let uri = "mongodb://u:secret@127.0.0.1:1/db.c?serverSelectionTimeoutMS=100";
    let into = directory.path().to_string_lossy().into_owned();
    fs::create_dir(directory.path().join("taken"))?;
    for (arguments, code, says) in [
        (&["check", &junk][..], 1, "not a component"),
        (&["inspect", "field-maks"], 2, "field-mask"),
        (&["new", "Bad Name"], 2, "lower-case words"),
        (&["new", "taken", "--into", &into], 2, "exists already"),
        (&["build", &into], 2, "holds no plugin"),
        (
            &["run", "field-mask", "--in", &documents],
            1,
            "\"rules\" is missing",
        ),
        (
            &["run", "field-mask", "--config", "[]", "--in", &documents],
            2,
            "cannot be read",
        ),
        (
            &[
                "run",
                "document-filter",
                "--config",
                "{\"filter\": {}}",
                "--in",
                uri,
            ],
            1,
            "ConnectionFailed",
        ),
        (&["run", "--in", uri, "--inn", uri], 2, "--inn"),
        (
            &["add", &junk, "--port", "1"],
            1,
            "no tidegate answers at 127.0.0.1:1",
        ),
        (&[], 2, "Usage"),
        (&["--help"], 0, "docs/plugins.md"),
        (&["run", "--help"], 0, "--limit <N>"),
    ] {
        let output = tidegate(arguments)?;
        let said = said(&output);
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {:?} {said}",
            output.status
        );
        ensure!(said.contains(says), "{arguments:?}: {said}");
        ensure!(!said.contains("secret"), "{arguments:?}: {said}");
    }
    directory.remove();
    Ok(())
}
