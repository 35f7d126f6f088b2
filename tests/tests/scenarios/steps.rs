//! Steps that scenarios are made of.

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, Timestamp, doc};
use futures::TryStreamExt;
use mongodb::Database;
use serde_json::{Value, json};
use support::{
    Host, Rig,
    host::DEADLINE,
    proxy::{Pattern, Then},
    rig::Options,
    wait::Look,
    wait_until,
};
use tokio::sync::mpsc;

/// Log message of a host that dies at a named point.
pub(crate) const DEATH: &str = "killed by TIDEGATE_KILL_AT";

/// A second host with the same arguments.
pub(crate) async fn second(rig: &mut Rig, name: &str) -> Result<Host> {
    let mut arguments = rig.host.arguments_mut().clone();
    arguments.log_path = arguments.log_path.with_file_name(format!("log-{name}"));
    arguments.more.extend(["--id".to_owned(), name.to_owned()]);
    Host::spawn(arguments).await
}

/// The metadata database on the destination.
pub(crate) const METADATA: &str = "mongosync_internal_tidegate";

/// Clusters, and a host that will kill itself at `point`.
pub(crate) async fn rig_to_die_at(point: &str) -> Result<Rig> {
    rig_with_death(Options::default(), point).await
}

pub(crate) async fn rig_with_death(options: Options, point: &str) -> Result<Rig> {
    let mut rig = Rig::with(Options {
        kill_at: Some(point.to_owned()),
        ..options
    })
    .await?;
    rig.allow_log(DEATH);
    Ok(rig)
}

/// Starts a sync and waits until the host has died at its point.
pub(crate) async fn start_and_die(rig: &mut Rig, options: Value) -> Result<()> {
    let deaths = deaths(rig)?;
    // The answer may be lost with the host.
    let _ = rig.host.start(options).await;
    rig.host.wait_for_end().await?;
    ensure!(
        self::deaths(rig)? == deaths + 1,
        "the host ended, but not at its point"
    );
    Ok(())
}

/// Starts the host again and kills it when the destination has done a command of this kind, before
/// the host hears of that.
pub(crate) async fn go_on_and_die_behind(rig: &mut Rig, command: Pattern) -> Result<()> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let done = rig.proxies()?.destination.on(command).after(move |_| {
        // The receiver is gone once the host is dead.
        let _ = tell.send(());
        std::future::pending::<Then>()
    });
    rig.host.restart().await?;
    let told = tokio::time::timeout(DEADLINE, told.recv()).await;
    told.context("the destination does no such command")?;
    rig.host.kill()?;
    rig.proxies()?.destination.remove(&done);
    Ok(())
}

/// Starts the host again, which goes on by itself, and waits until it has died at `point`.
pub(crate) async fn go_on_and_die(rig: &mut Rig, point: &str) -> Result<()> {
    rig.allow_log(DEATH);
    let deaths = deaths(rig)?;
    // It may be dead before its API has answered.
    if rig.host.restart_to_be_killed(Some(point)).await.is_ok() {
        rig.host.wait_for_end().await?;
    }
    ensure!(
        self::deaths(rig)? == deaths + 1,
        "the host ended, but not at {point}"
    );
    Ok(())
}

fn deaths(rig: &Rig) -> Result<usize> {
    Ok(rig
        .log
        .lines()?
        .iter()
        .filter(|line| line.contains(DEATH))
        .count())
}

pub(crate) async fn run(database: &Database, command: Document) -> Result<Document> {
    let shown = command.to_string().chars().take(300).collect::<String>();
    database
        .run_command(command)
        .await
        .with_context(|| format!("run {shown} on {}", database.name()))
}

pub(crate) async fn insert(
    database: &Database,
    collection: &str,
    documents: Vec<Document>,
) -> Result<()> {
    database
        .collection::<Document>(collection)
        .insert_many(documents)
        .await
        .context("insert")?;
    Ok(())
}

/// Updates exactly one document. `update` is an update document or a pipeline.
pub(crate) async fn update(
    database: &Database,
    collection: &str,
    id: impl Into<Bson>,
    update: impl Into<Bson>,
) -> Result<()> {
    let (id, update): (Bson, Bson) = (id.into(), update.into());
    let statement = doc! { "q": { "_id": { "$eq": &id } }, "u": update };
    let reply = run(
        database,
        doc! { "update": collection, "updates": [statement] },
    )
    .await?;
    ensure!(
        reply.get_i32("nModified")? == 1,
        "the update of {id} changed nothing: {reply}"
    );
    Ok(())
}

/// Deletes exactly one document.
pub(crate) async fn delete(
    database: &Database,
    collection: &str,
    id: impl Into<Bson>,
) -> Result<()> {
    let id: Bson = id.into();
    let statement = doc! { "q": { "_id": { "$eq": &id } }, "limit": 1 };
    let reply = run(
        database,
        doc! { "delete": collection, "deletes": [statement] },
    )
    .await?;
    ensure!(reply.get_i32("n")? == 1, "there was no {id} to delete");
    Ok(())
}

pub(crate) async fn find(
    database: &Database,
    collection: &str,
    id: impl Into<Bson>,
) -> Result<Option<Document>> {
    let id: Bson = id.into();
    Ok(database
        .collection::<Document>(collection)
        .find_one(doc! { "_id": { "$eq": id } })
        .await?)
}

pub(crate) async fn count(database: &Database, collection: &str) -> Result<u64> {
    Ok(database
        .collection::<Document>(collection)
        .count_documents(doc! {})
        .await?)
}

/// Names of a database's collections and views, in order.
pub(crate) async fn names(database: &Database) -> Result<Vec<String>> {
    let mut names = database.list_collection_names().await?;
    names.retain(|name| !name.starts_with("system."));
    names.sort();
    Ok(names)
}

/// The documents of a metadata collection.
pub(crate) async fn metadata(rig: &Rig, collection: &str) -> Result<Vec<Document>> {
    let cursor = rig
        .destination_db(METADATA)
        .collection::<Document>(collection)
        .find(doc! {})
        .await?;
    Ok(cursor.try_collect().await?)
}

/// The source's newest cluster time. The note in the oplog takes an idle source past everything before.
pub(crate) async fn source_time(rig: &Rig) -> Result<Timestamp> {
    let time = rig
        .source
        .admin(doc! { "ping": 1 })
        .await?
        .get_timestamp("operationTime")?;
    rig.source
        .admin(doc! { "appendOplogNote": 1, "data": { "test": "moves on" } })
        .await?;
    Ok(time)
}

/// `safe` or `reported` of the progress.
pub(crate) fn position(progress: &Value, which: &str) -> Option<Timestamp> {
    let time = progress.pointer(&format!("/positions/{which}/clusterTime"))?;
    let number = |name| u32::try_from(time.get(name)?.as_u64()?).ok();
    Some(Timestamp {
        time: number("T")?,
        increment: number("I")?,
    })
}

/// Waits until everything that is on the source now is applied and persisted.
pub(crate) async fn wait_in_step(rig: &Rig) -> Result<Value> {
    let time = source_time(rig).await?;
    rig.host
        .wait_until("in step with the source", DEADLINE, |progress| {
            let is_copying = COPYING.contains(&support::host::text(progress, "info"));
            !is_copying && position(progress, "safe").is_some_and(|safe| safe >= time)
        })
        .await
}

/// What `info` says while collections are copied beside the stream.
const COPYING: [&str; 5] = [
    "initializing collections and indexes",
    "collection copy",
    "index building",
    "copying collections again",
    "resync: comparing collections",
];

/// Waits until a document is on the destination.
pub(crate) async fn wait_for_document(
    rig: &Rig,
    database: &str,
    collection: &str,
    id: impl Into<Bson>,
) -> Result<Document> {
    let id: Bson = id.into();
    wait_until("a document arrives", DEADLINE, async || {
        Ok(
            match find(&rig.destination_db(database), collection, id.clone()).await? {
                Some(document) => Look::Done(document),
                None => Look::NotYet(format!("no {id} in {database}.{collection}")),
            },
        )
    })
    .await
}

/// Makes a server misbehave in commands; see the server's `failCommand`.
pub(crate) async fn fail_command(
    set: &support::ReplicaSet,
    mode: impl Into<Bson>,
    data: Document,
) -> Result<()> {
    set.admin(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data })
        .await?;
    Ok(())
}

pub(crate) async fn heal(set: &support::ReplicaSet) -> Result<()> {
    set.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" })
        .await?;
    Ok(())
}

/// A start request's answer must be this error.
pub(crate) async fn refused(rig: &Rig, call: &str, body: Value, error: &str) -> Result<()> {
    let answer = rig
        .host
        .call("POST", &format!("/api/v1/{call}"), &body.to_string())
        .await?;
    ensure!(
        answer.error() == error,
        "{call} answers {}: {}",
        answer.status,
        answer.body
    );
    ensure!(
        answer.status >= 400,
        "{call} is refused with status {}",
        answer.status
    );
    Ok(())
}

/// The body of a start request from cluster0 to cluster1.
pub(crate) fn start_body(options: Value) -> Value {
    let mut body = json!({ "source": "cluster0", "destination": "cluster1" });
    if let (Some(body), Some(options)) = (body.as_object_mut(), options.as_object()) {
        body.extend(options.clone());
    }
    body
}
