//! Operations and connections of other hosts on a server, as far as this user may see them.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;

use super::{
    super::{Error, reply::bson_number},
    client::Client,
    retry::{Delivery, Retry, send_once},
};

/// Pause between two looks for operations that have not ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Commands whose effects a new holder of the lease must not meet. Index builds and conversions are
/// left out: they may take hours, and a repetition does no harm.
const WRITES: [&str; 9] = [
    "insert",
    "update",
    "delete",
    "create",
    "drop",
    "dropDatabase",
    "dropIndexes",
    "renameCollection",
    "commitTransaction",
];

/// Number of `applyOps` commands that a server process has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyOpsCounter {
    /// The process that counts: host and port, process id.
    pub process: (String, i64),
    /// Commands since the start of the process (manual: `serverStatus`, `metrics.commands.applyOps.total`).
    pub count: i64,
}

/// The primary's count; `None` without an answer, or in a reply without the counter.
pub async fn apply_ops_counter(client: &Client) -> Option<ApplyOpsCounter> {
    let ask = doc! { "serverStatus": 1, "repl": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0 };
    let admin = client.database("admin");
    let asked = Retry::quick(client.contact(), "count applyOps");
    let status = asked
        .run(async || Ok(admin.driver().run_command(ask.clone()).await?))
        .await
        .ok()?;
    let id = bson_number(&status, "pid")?;
    let commands = status
        .get_document("metrics")
        .ok()?
        .get_document("commands")
        .ok()?;
    let count = commands.get_document("applyOps").ok()?;
    Some(ApplyOpsCounter {
        process: (status.get_str("host").ok()?.to_owned(), id),
        count: bson_number(count, "total")?,
    })
}

/// True if a client is connected whose application name begins with one of `prefixes`.
pub async fn is_connected(client: &Client, prefixes: &[&str]) -> Result<bool, Error> {
    let names: Vec<Bson> = prefixes
        .iter()
        .map(|prefix| doc! { "appName": { "$regex": format!("^{}", prefix.replace('.', "\\.")) } })
        .map(Bson::from)
        .collect();
    let connected = operations(client, true, doc! { "$or": names }).await?;
    Ok(!connected.is_empty())
}

/// Aborts the open transactions of a client that may be dead, kills its writes, and returns when none
/// of them is running. A server continues a command whose sender is dead, and keeps its transaction
/// open for a minute.
pub async fn end_writes(client: &Client, app_name: &str) -> Result<(), Error> {
    end_transactions(client, app_name).await?;
    let running = running_writes(app_name);
    loop {
        let left = operations(client, false, running.clone()).await?;
        if left.is_empty() {
            return Ok(());
        }
        tracing::info!(writes = left.len(), "killing writes of a dead host");
        for id in left.iter().filter_map(|operation| operation.get("opid")) {
            kill(client, id).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A filter for writes that are running. A running statement is shown by its kind of operation; its
/// command is the statement alone (`q`, `u`), without the name of the command around it.
fn running_writes(app_name: &str) -> Document {
    let statements = doc! { "op": { "$in": ["insert", "update", "remove"] } };
    let writes: Vec<Document> = WRITES
        .iter()
        .map(|command| doc! { format!("command.{command}"): { "$exists": true } })
        .chain([statements])
        .collect();
    doc! { "appName": app_name, "active": true, "$or": writes }
}

/// Kills an operation. A user needs no privilege for its own operations. After a failure the operation
/// ends by itself.
async fn kill(client: &Client, id: &Bson) {
    let kill = doc! { "killOp": 1, "op": id };
    if let Err(error) = client.database("admin").driver().run_command(kill).await {
        tracing::info!(error = %Error::from(error), "operation not killed");
    }
}

/// Aborts the open transactions of a client. On a server that was silent, transactions of dropped futures
/// stay open for a minute, and hold their locks.
pub async fn end_transactions(client: &Client, app_name: &str) -> Result<(), Error> {
    Retry::quick(client.contact(), "abort transactions")
        .run(|| abort_transactions(client, app_name))
        .await
}

/// Time of the server's last write, by its own clock (manual: `replSetGetStatus`). An idle server writes
/// a note every ten seconds.
pub async fn last_written(client: &Client) -> Result<DateTime, Error> {
    let admin = client.database("admin");
    let command = doc! { "replSetGetStatus": 1 };
    let status = Retry::quick(client.contact(), "look at the replica set")
        .run(async || Ok(admin.driver().run_command(command.clone()).await?))
        .await?;
    let optimes = status.get_document("optimes");
    optimes
        .and_then(|times| times.get_datetime("lastAppliedWallTime"))
        .copied()
        .map_err(|_missing| Error::Reply("optimes.lastAppliedWallTime"))
}

/// Writes a note to the oplog, once, which moves the cluster time of an idle cluster (privilege
/// `appendOplogNote`).
///
/// # Errors
/// A permanent error: the note was not written.
pub async fn append_oplog_note(
    client: &Client,
    data: Document,
    bound: Duration,
) -> Result<Delivery<()>, Error> {
    let note = doc! { "appendOplogNote": 1, "data": data };
    let admin = client.database("admin");
    send_once(client.contact(), bound, async {
        admin.driver().run_command(note).await?;
        Ok(())
    })
    .await
}

async fn abort_transactions(client: &Client, app_name: &str) -> Result<(), Error> {
    let admin = client.database("admin");
    let pipeline = [
        doc! { "$currentOp": { "idleSessions": true } },
        // Retryable single writes are shown with a transaction, too.
        doc! { "$match": { "appName": app_name, "transaction.parameters.autocommit": false } },
    ];
    let open: Vec<Document> = admin
        .driver()
        .aggregate(pipeline)
        .await?
        .try_collect()
        .await?;
    let sessions: Vec<Bson> = open
        .iter()
        .filter_map(|operation| operation.get_document("lsid").ok()?.get("id"))
        .map(|id| doc! { "id": id }.into())
        .collect();
    if !sessions.is_empty() {
        tracing::info!(sessions = sessions.len(), "aborting abandoned transactions");
        admin
            .driver()
            .run_command(doc! { "killSessions": sessions })
            .await?;
    }
    Ok(())
}

/// Operations, or with `idle` connections, of this user that match (manual: `$currentOp`, which shows
/// a user's own operations without a privilege).
async fn operations(
    client: &Client,
    idle: bool,
    matching: Document,
) -> Result<Vec<Document>, Error> {
    let pipeline = [
        doc! { "$currentOp": { "idleConnections": idle } },
        doc! { "$match": matching },
        doc! { "$project": { "opid": 1 } },
    ];
    let admin = client.database("admin");
    Retry::quick(client.contact(), "look at running operations")
        .run(async || {
            let found = admin.driver().aggregate(pipeline.clone()).await?;
            Ok(found.try_collect().await?)
        })
        .await
}
