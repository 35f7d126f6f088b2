//! What the hosts of other processes are doing on a server, as far as our own user may see.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;

use super::{
    super::{Error, reply::bson_number},
    client::Client,
    retry::Retry,
};

/// How often it is looked whether an operation has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The commands that change what another host changes, too. Not those that may take hours and
/// that repeating does no harm: index builds and conversions.
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

/// How many `applyOps` a server has been asked to run since it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyOpsCounter {
    /// Which process counts: its host and port, and its id.
    pub process: (String, i64),
    pub count: i64,
}

/// What the primary says; `None` where it does not answer, or not with that.
pub async fn apply_ops_counter(client: &Client) -> Option<ApplyOpsCounter> {
    let ask = doc! { "serverStatus": 1, "repl": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0 };
    let admin = client.database("admin");
    let asked = Retry::quick(client.contact(), "count applyOps");
    let status = asked
        .run(async || Ok(admin.run_command(ask.clone()).await?))
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

/// True if a client whose application name begins with one of `prefixes` is connected.
pub async fn is_connected(client: &Client, prefixes: &[&str]) -> Result<bool, Error> {
    let names: Vec<Bson> = prefixes
        .iter()
        .map(|prefix| doc! { "appName": { "$regex": format!("^{}", prefix.replace('.', "\\.")) } })
        .map(Bson::from)
        .collect();
    let connected = operations(client, true, doc! { "$or": names }).await?;
    Ok(!connected.is_empty())
}

/// Ends what a client that may be gone has left on a server: aborts the transactions that it has
/// open, kills its writes, and returns when none of them is running any more. A server goes on
/// with a command whose sender is gone, and keeps its transaction open for a minute.
pub async fn end_writes(client: &Client, app_name: &str) -> Result<(), Error> {
    end_transactions(client, app_name).await?;
    let running = running_writes(app_name);
    loop {
        let left = operations(client, false, running.clone()).await?;
        if left.is_empty() {
            return Ok(());
        }
        tracing::info!(writes = left.len(), "killing writes of a host that is gone");
        for id in left.iter().filter_map(|operation| operation.get("opid")) {
            kill(client, id).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A statement that is running is shown by its kind of operation, and its command is the statement
/// alone (`q`, `u`), without the name of the command that it is a part of.
fn running_writes(app_name: &str) -> Document {
    let statements = doc! { "op": { "$in": ["insert", "update", "remove"] } };
    let writes: Vec<Document> = WRITES
        .iter()
        .map(|command| doc! { format!("command.{command}"): { "$exists": true } })
        .chain([statements])
        .collect();
    doc! { "appName": app_name, "active": true, "$or": writes }
}

/// A user may kill its own operations without a privilege. Where that fails the operation comes to
/// its end by itself.
async fn kill(client: &Client, id: &Bson) {
    let kill = doc! { "killOp": 1, "op": id };
    if let Err(error) = client.database("admin").run_command(kill).await {
        tracing::info!(error = %Error::from(error), "operation not killed");
    }
}

/// Aborts the transactions that a client has open. Those of dropped futures stay open for a minute
/// where the server was silent, and hold what they have touched.
pub async fn end_transactions(client: &Client, app_name: &str) -> Result<(), Error> {
    Retry::quick(client.contact(), "abort transactions")
        .run(|| abort_transactions(client, app_name))
        .await
}

/// When a server wrote last, by its own clock (manual: `replSetGetStatus`); it does so by itself
/// when nothing else has for ten seconds.
pub async fn last_written(client: &Client) -> Result<DateTime, Error> {
    let admin = client.database("admin");
    let command = doc! { "replSetGetStatus": 1 };
    let status = Retry::quick(client.contact(), "look at the replica set")
        .run(async || Ok(admin.run_command(command.clone()).await?))
        .await?;
    let optimes = status.get_document("optimes");
    optimes
        .and_then(|times| times.get_datetime("lastAppliedWallTime"))
        .copied()
        .map_err(|_missing| Error::Reply("optimes.lastAppliedWallTime"))
}

async fn abort_transactions(client: &Client, app_name: &str) -> Result<(), Error> {
    let admin = client.database("admin");
    let pipeline = [
        doc! { "$currentOp": { "idleSessions": true } },
        // Single writes that are retryable are shown with a transaction, too.
        doc! { "$match": { "appName": app_name, "transaction.parameters.autocommit": false } },
    ];
    let open: Vec<Document> = admin.aggregate(pipeline).await?.try_collect().await?;
    let sessions: Vec<Bson> = open
        .iter()
        .filter_map(|operation| operation.get_document("lsid").ok()?.get("id"))
        .map(|id| doc! { "id": id }.into())
        .collect();
    if !sessions.is_empty() {
        tracing::info!(
            sessions = sessions.len(),
            "aborting transactions that were left open"
        );
        admin.run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(())
}

/// Those of our user's operations, or connections, that match (manual: `$currentOp`,
/// which shows a user's own operations without a privilege).
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
            let found = admin.aggregate(pipeline.clone()).await?;
            Ok(found.try_collect().await?)
        })
        .await
}
