//! Nothing that tidegate writes holds a document or a secret: findings 44 and 45 of 0.2.0.
//!
//! Marks stand in documents, in secrets of plugins and in passwords; all that is written is searched for them.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use support::{
    Rig, TestDir,
    host::{DEADLINE, text},
    replica_set::ROOT_PASSWORD,
    rig::Options,
    wait::Look,
    wait_until,
};

use crate::{
    findings_state::{STOPPED, first_warning},
    plugins::guests::{FAULTY, FAULTY_FIXED, swap, upload_guest},
    steps::{self, METADATA, insert, metadata, refused, run, start_body, wait_in_step},
};

const DOCUMENT: &str = "MARK-document-5ab0";
const SECRET: &str = "MARK-secret-0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "MARK-password-77";

/// A document in which every field but the `_id` is marked.
fn marked(more: Document) -> Document {
    let mut document = more;
    document.insert("note", DOCUMENT);
    document.insert("deep", doc! { "list": [DOCUMENT, 1] });
    document
}

/// The output of a command of the binary, and its exit code.
fn tidegate(rig: &mut Rig, arguments: &[&str], output: Stdio) -> Result<(String, Option<i32>)> {
    let host = rig.host.arguments_mut();
    let ended = Command::new(&host.binary)
        .args(arguments)
        .env("TIDEGATE_CLUSTER0", &host.cluster0)
        .env("TIDEGATE_CLUSTER1", &host.cluster1)
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("run the binary")?;
    let printed = [ended.stdout, ended.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    Ok((printed, ended.status.code()))
}

/// Exports the metadata in both ways. Returns the text of the export.
fn export(rig: &mut Rig, directory: &TestDir, name: &str) -> Result<String> {
    let path = |name: String| directory.path().join(name);
    let mode = |file: &Path| Ok::<_, anyhow::Error>(file.metadata()?.permissions().mode() & 0o777);
    let (named, redirected) = (path(format!("{name}.json")), path(format!("{name}-2.json")));
    let out = named.to_str().context("a path in UTF-8")?;
    let (printed, code) = tidegate(rig, &["metadata", "export", "--out", out], Stdio::piped())?;
    ensure!(code == Some(0) && printed.is_empty(), "{printed}");
    let file = std::fs::File::create(&redirected)?;
    file.set_permissions(PermissionsExt::from_mode(0o644))?;
    let (printed, code) = tidegate(rig, &["metadata", "export"], file.into())?;
    ensure!(code == Some(0), "{printed}");
    for file in [&named, &redirected] {
        ensure!(
            mode(file)? == 0o600,
            "{} has {:o}",
            file.display(),
            mode(file)?
        );
    }
    let (printed, code) = tidegate(rig, &["metadata", "export", "--out", out], Stdio::piped())?;
    ensure!(
        code == Some(2) && printed.contains(out),
        "an export overwrites: {printed}"
    );
    Ok(std::fs::read_to_string(named)? + &std::fs::read_to_string(redirected)?)
}

/// Every document of the metadata, as text.
async fn persisted(rig: &Rig) -> Result<String> {
    let database = rig.destination_db(METADATA);
    let mut all = String::new();
    let mut collections = database.list_collection_names().await?;
    collections.retain(|name| !name.starts_with("system."));
    for collection in collections {
        for document in metadata(rig, &collection).await? {
            all += &format!("{collection}: {document}\n");
        }
    }
    Ok(all)
}

/// All that a host has written and answers.
async fn written(rig: &Rig) -> Result<Vec<(&'static str, String)>> {
    let mut all = vec![
        ("log", rig.log.lines()?.join("\n")),
        ("standard error", rig.host.printed()),
        ("metadata", persisted(rig).await?),
    ];
    for path in ["progress", "quarantine", "plugins"] {
        let answer = rig.host.call("GET", &format!("/api/v1/{path}"), "").await?;
        all.push((path, answer.body.to_string()));
    }
    let answer = rig.host.call("GET", "/metrics", "").await?;
    all.push(("metrics", answer.body.to_string()));
    Ok(all)
}

fn search(place: &str, text: &str) -> Result<()> {
    for mark in [DOCUMENT, SECRET, PASSWORD, ROOT_PASSWORD] {
        let found = text.find(mark);
        let around = |at: usize| text.get(at.saturating_sub(200)..).unwrap_or(text);
        ensure!(
            found.is_none(),
            "{place} holds {mark}: {}",
            found
                .map_or("", around)
                .chars()
                .take(400)
                .collect::<String>()
        );
    }
    Ok(())
}

async fn search_all(rig: &Rig) -> Result<()> {
    for (place, text) in written(rig).await? {
        search(place, &text)?;
    }
    Ok(())
}

/// Waits for a stop. Returns the reason.
async fn stopped(rig: &Rig) -> Result<String> {
    let progress = rig.host.wait_for_state("PAUSED").await?;
    Ok(first_warning(&progress).to_owned())
}

fn plugins(faulty: &str) -> Value {
    let on = |collection: &str| json!([{ "database": "app", "collections": [collection] }]);
    let set = |path: &str| json!({ "rules": [{ "path": path, "action": "set", "value": "same" }] });
    json!([
        { "component": "field-mask", "onError": "quarantine", "namespaces": on("masked"), "config": {
            "key": { "$secret": "mask-key" },
            "rules": [{ "path": "mail", "action": "hash" }, { "path": "author", "action": "keepLast", "count": 2 }],
        } },
        { "component": "field-mask", "namespaces": on("places"), "config": set("place") },
        { "component": "field-mask", "namespaces": on("unique"), "config": set("code") },
        { "component": faulty, "onError": "quarantine", "namespaces": on("faulty") },
    ])
}

async fn load(rig: &Rig) -> Result<()> {
    let source = rig.source_db("app");
    let masked = [
        doc! { "_id": 1, "mail": DOCUMENT },
        doc! { "_id": 2, "author": 7 },
    ];
    insert(&source, "masked", masked.map(marked).into()).await?;
    let point = doc! { "type": "Point", "coordinates": [1, 2] };
    insert(
        &source,
        "places",
        vec![marked(doc! { "_id": 1, "place": point })],
    )
    .await?;
    let codes = [doc! { "_id": 1, "code": 1 }, doc! { "_id": 2, "code": 2 }];
    insert(&source, "unique", codes.map(marked).into()).await?;
    let faults = ["panic", "refuse", "invalid-bson"];
    let faults = faults.map(|fault| marked(doc! { "_id": fault, "fault": fault }));
    insert(&source, "faulty", faults.into()).await?;
    insert(&source, "plain", vec![marked(doc! { "_id": 1, "n": 1 })]).await?;
    for (collection, key, unique) in [
        ("places", doc! { "place": "2dsphere" }, false),
        ("unique", doc! { "code": 1 }, true),
    ] {
        let index = doc! { "key": key, "name": "refused", "unique": unique };
        run(
            &source,
            doc! { "createIndexes": collection, "indexes": [index] },
        )
        .await?;
    }
    Ok(())
}

/// Makes a user with a marked password on both clusters, which the host uses from now on.
async fn with_marked_passwords(rig: &mut Rig) -> Result<()> {
    for set in [&rig.source, &rig.destination] {
        set.admin(doc! { "createUser": "marked", "pwd": PASSWORD, "roles": ["root"] })
            .await?;
    }
    let (source, destination) = (&rig.source, &rig.destination);
    let uris = [
        source.uri_of("marked", PASSWORD),
        destination.uri_of("marked", PASSWORD),
    ];
    let arguments = rig.host.arguments_mut();
    [arguments.cluster0, arguments.cluster1] = uris;
    rig.host.restart().await
}

/// A unique index that is the destination's own refuses a document.
async fn duplicate_key(rig: &Rig) -> Result<()> {
    let destination = rig.destination_db("app");
    let index = doc! { "key": { "n": 1 }, "name": "own", "unique": true };
    run(
        &destination,
        doc! { "createIndexes": "plain", "indexes": [index] },
    )
    .await?;
    insert(
        &rig.source_db("app"),
        "plain",
        vec![marked(doc! { "_id": 2, "n": 1 })],
    )
    .await?;
    let reason = stopped(rig).await?;
    ensure!(
        reason.starts_with("DestinationRefused")
            && ["app.plain", "11000", "DuplicateKey"]
                .iter()
                .all(|part| reason.contains(part)),
        "{reason}"
    );
    search_all(rig).await?;
    run(
        &destination,
        doc! { "dropIndexes": "plain", "index": "own" },
    )
    .await?;
    rig.host.resume().await?;
    wait_in_step(rig).await?;
    Ok(())
}

/// A server quotes the whole command that its user may not run.
async fn missing_privilege(rig: &Rig) -> Result<()> {
    let roles = |roles: Vec<bson::Bson>| doc! { "updateUser": "marked", "roles": roles };
    let metadata = doc! { "role": "readWrite", "db": METADATA };
    let less = vec![
        metadata.into(),
        "readAnyDatabase".into(),
        "clusterMonitor".into(),
    ];
    rig.destination.admin(roles(less)).await?;
    insert(
        &rig.source_db("app"),
        "plain",
        vec![marked(doc! { "_id": 3 })],
    )
    .await?;
    let reason = stopped(rig).await?;
    ensure!(
        reason.starts_with("WritesBlocked") || reason.contains("not authorized on app"),
        "{reason}"
    );
    search_all(rig).await?;
    rig.destination.admin(roles(vec!["root".into()])).await?;
    rig.host.resume().await?;
    wait_in_step(rig).await?;
    Ok(())
}

/// The refused build of an index is named, without the value that was refused.
async fn failed_index_builds(rig: &Rig) -> Result<()> {
    let progress = rig.host.progress().await?;
    let failed = progress["indexBuilding"]["failed"].to_string();
    ensure!(
        failed.contains("app.places") && failed.contains("16755"),
        "{failed}"
    );
    search("the failed index builds", &failed)
}

/// Copy, apply, quarantine, plugins that fault, an index that refuses a document, a duplicate key, a missing
/// privilege, a restart, a commit that cannot restore, exports: nothing of it holds a mark.
#[tokio::test]
async fn f45_nothing_that_is_written_holds_a_document_or_a_secret() -> Result<()> {
    let directory = TestDir::new()?;
    let secrets = directory.subdirectory("secrets")?;
    std::fs::write(secrets.join("mask-key"), format!("{SECRET}\n"))?;
    let mut rig = Rig::with(Options {
        host_arguments: vec!["--secretsDir".to_owned(), secrets.display().to_string()],
        ..Options::secure()
    })
    .await?;
    with_marked_passwords(&mut rig).await?;
    load(&rig).await?;
    let faulty = upload_guest(&rig, FAULTY).await?;
    // A secret as the part of a configuration that the plugin complains about.
    let wrong = json!([{ "component": "field-mask", "config": {
        "rules": [{ "path": { "$secret": "mask-key" }, "action": "hash" }] } }]);
    let body = start_body(json!({ "plugins": wrong })).to_string();
    let answer = rig.host.call("POST", "/api/v1/start", &body).await?;
    ensure!(answer.status >= 400, "{}", answer.body);
    search("the answer", &answer.body.to_string())?;

    rig.host
        .start(json!({ "plugins": plugins(&faulty) }))
        .await?;
    rig.host.wait_can_commit().await?;
    ensure!(rig.log.has("index not built")?, "no index was refused");
    failed_index_builds(&rig).await?;
    let more = [
        doc! { "_id": 5, "author": 8 },
        doc! { "_id": 6, "mail": "a", "author": "b" },
    ];
    insert(&rig.source_db("app"), "masked", more.map(marked).into()).await?;
    let fault = marked(doc! { "_id": 9, "fault": "panic" });
    insert(&rig.source_db("app"), "faulty", vec![fault]).await?;
    let held = |progress: &Value| progress["quarantined"] == 6;
    rig.host
        .wait_until("six in quarantine", DEADLINE, held)
        .await?;
    duplicate_key(&rig).await?;
    missing_privilege(&rig).await?;
    search("the export", &export(&mut rig, &directory, "running")?)?;

    rig.host.restart().await?;
    rig.commit().await?;
    let progress = rig.host.progress().await?;
    let warnings = progress["warnings"].to_string();
    for (collection, code) in [("places", "16755"), ("unique", "359")] {
        let not_restored =
            format!("Not restored on the destination: index refused of app.{collection}");
        ensure!(
            warnings.contains(&not_restored) && warnings.contains(code),
            "{warnings}"
        );
    }
    search_all(&rig).await?;
    search("the export", &export(&mut rig, &directory, "committed")?)?;
    for task in ["show", "check"] {
        search(
            task,
            &tidegate(&mut rig, &["metadata", task], Stdio::piped())?.0,
        )?;
    }
    let stderr = rig.host.printed();
    rig.host.arguments_mut().cluster0 = rig.source.uri_of("marked", &format!("{PASSWORD}-wrong"));
    let (printed, code) = tidegate(&mut rig, &["--port", "0"], Stdio::piped())?;
    ensure!(code == Some(3), "{printed}");
    search("what a host prints at its end", &(printed + &stderr))?;
    rig.abandon();
    directory.remove();
    Ok(())
}

/// The entries of the quarantine, with a document in each as release 0.3.0 has stored it.
async fn store_documents(rig: &Rig) -> Result<usize> {
    let update = doc! {
        // As release 0.1.1 has written them, which knew no term.
        "q": {}, "u": { "$set": { "document": marked(doc! { "_id": 1 }) }, "$unset": { "term": "" } }, "multi": true,
    };
    let command =
        doc! { "update": "quarantine", "updates": [update], "bypassDocumentValidation": true };
    let reply = run(&rig.destination_db(METADATA), command).await?;
    Ok(usize::try_from(reply.get_i32("nModified")?)?)
}

async fn wait_until_removed(rig: &Rig, entries: usize) -> Result<()> {
    wait_until("no document is stored", DEADLINE, async || {
        let held = metadata(rig, "quarantine").await?;
        ensure!(held.len() == entries, "entries are lost: {held:?}");
        let is_clean =
            |entry: &Document| !entry.contains_key("document") && entry.contains_key("term");
        Ok(match held.iter().all(is_clean) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{held:?}")),
        })
    })
    .await
}

/// Documents that an older release has put into quarantine are removed when this release takes over, in any state.
/// An export contains none even before.
#[tokio::test]
async fn f44_documents_that_older_releases_have_stored_are_removed_at_a_takeover() -> Result<()> {
    let directory = TestDir::new()?;
    let mut rig = Rig::start().await?;
    let fault = |id: i32| marked(doc! { "_id": id, "fault": "refuse" });
    insert(&rig.source_db("app"), "c", (0..20).map(fault).collect()).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let plugins = json!([{ "component": digest, "onError": "quarantine" }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    search_all(&rig).await?;

    rig.host.kill()?;
    ensure!(store_documents(&rig).await? == 20);
    search("the export", &export(&mut rig, &directory, "killed")?)?;
    rig.host.restart().await?;
    wait_until_removed(&rig, 20).await?;

    rig.host.pause().await?;
    rig.host.terminate().await?;
    ensure!(store_documents(&rig).await? == 20);
    rig.host.restart().await?;
    wait_until_removed(&rig, 20).await?;

    // The remaining fields suffice for a retry, and for a sync that ends with documents in quarantine.
    rig.host.resume().await?;
    // Until the retry the documents are missing, and a verification that is quick finds them so.
    rig.allow_log("a document differs");
    let fixed = upload_guest(&rig, FAULTY_FIXED).await?;
    swap(&rig, "faulty", &fixed).await?;
    wait_in_step(&rig).await?;
    let answer = rig
        .host
        .call("POST", "/api/v1/quarantine/retry", "")
        .await?;
    ensure!(answer.body["left"] == 0, "{}", answer.body);
    search_all(&rig).await?;
    rig.finish().await?;
    directory.remove();
    Ok(())
}

#[tokio::test]
async fn f44_documents_that_older_releases_have_stored_are_removed_after_a_commit() -> Result<()> {
    let mut rig = Rig::start().await?;
    let fault = |id: i32| marked(doc! { "_id": id, "fault": "refuse" });
    insert(&rig.source_db("app"), "c", (0..3).map(fault).collect()).await?;
    let digest = upload_guest(&rig, FAULTY).await?;
    let plugins = json!([{ "component": digest, "onError": "quarantine" }]);
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.commit().await?;
    rig.host.kill()?;
    ensure!(store_documents(&rig).await? == 3);
    rig.host.restart().await?;
    wait_until_removed(&rig, 3).await?;
    rig.abandon();
    Ok(())
}

fn hashing(key: &Value) -> Value {
    let config = json!({ "key": key, "rules": [{ "path": "mail", "action": "hash" }] });
    json!({ "plugins": [{ "component": "field-mask", "config": config }] })
}

/// `start`, `resume` and a host that takes the sync over each need the secret, in their own directory. A host
/// without it says so and leaves the sync to others.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn f44_a_secret_that_is_not_there_is_refused_by_name() -> Result<()> {
    let directory = TestDir::new()?;
    let (first, other) = (
        directory.subdirectory("first")?,
        directory.subdirectory("other")?,
    );
    let argument = |folder: &Path| vec!["--secretsDir".to_owned(), folder.display().to_string()];
    let mut rig = Rig::with(Options {
        host_arguments: argument(&first),
        ..Options::default()
    })
    .await?;
    insert(
        &rig.source_db("app"),
        "c",
        vec![doc! { "_id": 1, "mail": "a" }],
    )
    .await?;
    let options = hashing(&json!({ "$secret": "mask-key" }));
    for (options, error) in [
        (options.clone(), "SecretNotFound"),
        (
            hashing(&json!({ "$secret": "../first/mask-key" })),
            "SecretNotFound",
        ),
        (
            hashing(&json!({ "$secret": "mask-key", "or": 1 })),
            "InvalidField",
        ),
    ] {
        refused(&rig, "start", start_body(options), error).await?;
    }
    std::fs::write(first.join("mask-key"), SECRET)?;
    rig.host.start(options).await?;
    rig.host.wait_can_commit().await?;
    search_all(&rig).await?;

    rig.host.pause().await?;
    std::fs::remove_file(first.join("mask-key"))?;
    refused(&rig, "resume", json!({}), "SecretNotFound").await?;
    std::fs::write(first.join("mask-key"), SECRET)?;
    rig.host.resume().await?;

    rig.host.arguments_mut().more = argument(&other);
    let standby = steps::second(&mut rig, "standby").await?;
    let says = |progress: &Value| {
        let warnings = progress["warnings"].to_string();
        warnings.contains("SecretNotFound")
            && warnings.contains("mask-key")
            && warnings.contains("/other")
    };
    standby
        .wait_until("it lacks the secret", DEADLINE, says)
        .await?;
    std::fs::write(other.join("mask-key"), SECRET)?;
    let fit = |progress: &Value| !progress["warnings"].to_string().contains("SecretNotFound");
    standby
        .wait_until("it has the secret", DEADLINE, fit)
        .await?;
    rig.host.terminate().await?;
    let ours = |progress: &Value| progress["lease"]["ours"] == true;
    standby
        .wait_until("it has taken over", DEADLINE, ours)
        .await?;
    insert(
        &rig.source_db("app"),
        "c",
        vec![doc! { "_id": 2, "mail": "a" }],
    )
    .await?;
    let after = steps::wait_for_document(&rig, "app", "c", 2).await?;
    let before = steps::wait_for_document(&rig, "app", "c", 1).await?;
    ensure!(after.get_str("mail")? == before.get_str("mail")? && after.get_str("mail")? != "a");
    drop(standby);
    rig.abandon();
    directory.remove();
    Ok(())
}

/// A sync whose options contain a key warns, and names the remedy. The metadata contains the key, and an export
/// does not.
#[tokio::test]
async fn f44_a_key_in_clear_is_warned_of_and_is_in_no_export() -> Result<()> {
    let directory = TestDir::new()?;
    let mut rig = Rig::start().await?;
    insert(
        &rig.source_db("app"),
        "c",
        vec![doc! { "_id": 1, "mail": "a" }],
    )
    .await?;
    rig.host.start(hashing(&SECRET.into())).await?;
    let progress = rig.host.wait_can_commit().await?;
    let warnings = progress["warnings"].to_string();
    let parts = ["plugins[0].config.key", "--secretsDir", "$secret", METADATA];
    ensure!(
        parts.iter().all(|part| warnings.contains(part)),
        "{warnings}"
    );
    ensure!(
        persisted(&rig).await?.contains(SECRET),
        "this session holds no key"
    );
    search("the export", &export(&mut rig, &directory, "export")?)?;
    search("progress", &progress.to_string())?;
    search("log", &rig.log.lines()?.join("\n"))?;
    ensure!(text(&progress, "state") == "RUNNING" && !rig.log.has(STOPPED)?);
    rig.abandon();
    directory.remove();
    Ok(())
}
