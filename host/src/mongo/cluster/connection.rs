//! Connects to a cluster, and sends it short reads.
//!
//! Invariant: no error of this module holds credentials. A message about a connection string is
//! made from a copy without them.

use std::time::{Duration, Instant};

use bson::{Bson, Document, Timestamp, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};

use super::{
    super::errors::{Error, refusal},
    client::{Client, Cluster},
    replica_set,
    retry::{Retry, bounded},
    uri,
};
use crate::model::options::ClusterName;
use crate::model::{ClusterTime, OperatorError};

/// Time for an answer to the monitor.
const ANSWER: Duration = Duration::from_secs(2);

/// Time for which commands are repeated while an operator waits: as long as the driver looks for a
/// primary.
pub(in crate::mongo) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a cluster's primary and waits for its answer. All options of the connection string
/// apply, except that reads go to the primary and writes wait for a majority.
///
/// # Errors
/// `InvalidUri`, `ConnectionFailed`, `AuthenticationFailed` or `MissingPrivileges`, with a remedy.
pub async fn connect(
    name: ClusterName,
    uri: &str,
    app_name: &str,
) -> Result<Cluster, OperatorError> {
    let client = client(name.as_str(), uri, app_name).await?;
    Ok(Cluster { name, client })
}

/// Like [`connect`], with the name that error messages use for the cluster.
pub(super) async fn client(
    name: &'static str,
    uri: &str,
    app_name: &str,
) -> Result<Client, OperatorError> {
    let options = client_options(name, uri, app_name).await?;
    let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    let client = mongodb::Client::with_options(options.clone())
        .map_err(|error| uri::unusable(name, &error))?;
    let client = Client::new(client, name);
    let hello = client
        .database("admin")
        .driver()
        .run_command(doc! { "hello": 1 })
        .await;
    match hello.map_err(Error::from) {
        Ok(_) => {
            for notice in uri::notices(uri, &options) {
                let (option, why) = (notice.option, notice.why);
                tracing::warn!(
                    cluster = name,
                    option,
                    why,
                    "an option of the connection string"
                );
            }
            Ok(client)
        }
        Err(error) => {
            if error.found_no_server()
                && let Some(fault) = replica_set::wrong_set(&options).await
            {
                return Err(uri::invalid(name, &fault));
            }
            Err(refusal(name, &error, &format!(" at {}", hosts.join(", "))))
        }
    }
}

/// Milliseconds until the primary answers a ping; `None` after `ANSWER`. Sent once: the monitor
/// repeats it.
pub async fn ping_ms(cluster: &Cluster) -> Option<u64> {
    let asked = Instant::now();
    ask(cluster, doc! { "ping": 1 }).await.ok()?;
    u64::try_from(asked.elapsed().as_millis()).ok()
}

/// Cluster time of the newest write on the primary. Sent once, like [`ping_ms`].
///
/// # Errors
/// [`Error::NoAnswer`] after `ANSWER`; [`Error::Reply`] for a member that is not of a replica set.
pub async fn last_write(cluster: &Cluster) -> Result<ClusterTime, Error> {
    let hello = ask(cluster, doc! { "hello": 1 }).await?;
    newest_write(&hello)
        .map(ClusterTime::from)
        .ok_or(Error::Reply("lastWrite.opTime.ts"))
}

/// Documents that clients have inserted, and their updates and deletes, since the start of the primary's process (manual:
/// `serverStatus`, `opcounters`).
///
/// # Errors
/// The cluster does not answer, or the user lacks the privilege `serverStatus`.
pub async fn client_writes(cluster: &Cluster) -> Result<u64, Error> {
    let status = doc! { "serverStatus": 1, "repl": 0, "metrics": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0 };
    let status = ask(cluster, status).await?;
    let counters = status.get_document("opcounters");
    let counters = counters.map_err(|_absent| Error::Reply("opcounters"))?;
    let count = |name| match counters.get(name) {
        Some(Bson::Int32(count)) => i64::from(*count),
        Some(Bson::Int64(count)) => *count,
        _ => 0,
    };
    let counts = ["insert", "update", "delete"].map(count);
    Ok(counts.into_iter().sum::<i64>().unsigned_abs())
}

fn newest_write(hello: &Document) -> Option<Timestamp> {
    let op_time = hello
        .get_document("lastWrite")
        .ok()?
        .get_document("opTime")
        .ok()?;
    op_time.get_timestamp("ts").ok()
}

/// Sends a read to the primary's `admin` database, once.
async fn ask(cluster: &Cluster, command: Document) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    bounded(Some(ANSWER), async {
        Ok(admin.driver().run_command(command).await?)
    })
    .await
}

/// Sends a read to the primary's `admin` database, and repeats it after transient failures for
/// [`PATIENCE`].
pub(in crate::mongo) async fn admin(
    cluster: &Cluster,
    command: Document,
) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    Retry::quick(cluster.client.contact(), "run a command")
        .within(PATIENCE)
        .run(async || Ok(admin.driver().run_command(command.clone()).await?))
        .await
}

/// The error of a read from a cluster, for the operator.
pub(in crate::mongo) fn cluster_refusal(cluster: &Cluster, error: &Error) -> OperatorError {
    refusal(cluster.name.as_str(), error, "")
}

async fn client_options(
    name: &str,
    uri: &str,
    app_name: &str,
) -> Result<ClientOptions, OperatorError> {
    let mut options = uri::parse(name, uri).await?;
    // Replaces the connection string's own: hosts find the operations of other hosts by it.
    options.app_name = Some(app_name.to_owned());
    let least = options.min_pool_size.unwrap_or(0).max(uri::MIN_POOL_SIZE);
    options.max_pool_size = Some(options.max_pool_size.unwrap_or(0).max(least));
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = None;
    options.write_concern = Some(WriteConcern::majority());
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_and_writes_are_ours_and_the_pool_is_large_enough() {
        let uri = "mongodb://h/?readPreference=secondary&w=1&readConcernLevel=local&maxPoolSize=";
        for (size, pool) in [("5", 32), ("90", 90)] {
            let options = client_options("cluster0", &format!("{uri}{size}"), "tidegate")
                .await
                .expect("a valid connection string");
            assert_eq!(options.max_pool_size, Some(pool));
            assert_eq!(options.write_concern, Some(WriteConcern::majority()));
            assert_eq!(options.read_concern, None);
            assert!(matches!(
                options.selection_criteria,
                Some(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            ));
        }
    }
}
