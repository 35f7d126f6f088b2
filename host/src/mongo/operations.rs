//! What the hosts of other processes are doing on a server, as far as our own user may see.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::Client;

use super::{Error, retry};

/// How often it is looked whether an operation has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// True if a client whose application name begins with one of `prefixes` is connected.
pub async fn is_connected(client: &Client, prefixes: &[&str]) -> Result<bool, Error> {
    let names: Vec<Bson> = prefixes
        .iter()
        .map(|prefix| doc! { "appName": { "$regex": format!("^{}", prefix.replace('.', "\\.")) } })
        .map(Bson::from)
        .collect();
    any(client, true, doc! { "$or": names }).await
}

/// Returns when no operation of the client with this application name is running
/// any more: a server goes on with a command whose sender is gone.
pub async fn wait_until_idle(client: &Client, app_name: &str) -> Result<(), Error> {
    let running = doc! { "appName": app_name, "active": true };
    while any(client, false, running.clone()).await? {
        tokio::time::sleep(LOOK_EVERY).await;
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
    retry("look at running operations", || async {
        let admin = client.database("admin");
        let mut found = admin.aggregate(pipeline.clone()).await?;
        Ok(found.try_next().await?.is_some())
    })
    .await
}
