//! What the hosts of other processes are doing on a server, as far as our own user may see.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;

use super::{Client, Error, Repeat};

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

/// True if a client whose application name begins with one of `prefixes` is connected.
pub async fn is_connected(client: &Client, prefixes: &[&str]) -> Result<bool, Error> {
    let names: Vec<Bson> = prefixes
        .iter()
        .map(|prefix| doc! { "appName": { "$regex": format!("^{}", prefix.replace('.', "\\.")) } })
        .map(Bson::from)
        .collect();
    any(client, true, doc! { "$or": names }).await
}

/// Ends what a client that may be gone has left on a server: aborts the transactions that it has
/// open, and returns when none of its writes is running any more. A server goes on with a
/// command whose sender is gone, and keeps its transaction open for a minute.
pub async fn end_writes(client: &Client, app_name: &str) -> Result<(), Error> {
    end_transactions(client, app_name).await?;
    let writes: Vec<Bson> = WRITES
        .iter()
        .map(|command| doc! { format!("command.{command}"): { "$exists": true } }.into())
        .collect();
    let running = doc! { "appName": app_name, "active": true, "$or": writes };
    while any(client, false, running.clone()).await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Aborts the transactions that a client has open. Those of dropped futures stay open for a minute
/// where the server was silent, and hold what they have touched.
pub async fn end_transactions(client: &Client, app_name: &str) -> Result<(), Error> {
    Repeat::quick(client.at(), "abort transactions")
        .run(|| abort_transactions(client, app_name))
        .await
}

/// When a server wrote last, by its own clock (manual: `replSetGetStatus`); it does so by itself
/// when nothing else has for ten seconds.
pub async fn last_written(client: &Client) -> Result<DateTime, Error> {
    let admin = client.database("admin");
    let command = doc! { "replSetGetStatus": 1 };
    let status = Repeat::quick(client.at(), "look at the replica set")
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
        doc! { "$match": { "appName": app_name, "transaction": { "$exists": true } } },
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
            "aborting transactions of a host that is gone"
        );
        admin.run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(())
}

/// True if any of our user's operations, or connections, matches (manual: `$currentOp`,
/// which shows a user's own operations without a privilege).
async fn any(client: &Client, idle: bool, matching: Document) -> Result<bool, Error> {
    let pipeline = [
        doc! { "$currentOp": { "idleConnections": idle } },
        doc! { "$match": matching },
        doc! { "$limit": 1 },
    ];
    let admin = client.database("admin");
    Repeat::quick(client.at(), "look at running operations")
        .run(async || {
            let mut found = admin.aggregate(pipeline.clone()).await?;
            Ok(found.try_next().await?.is_some())
        })
        .await
}
