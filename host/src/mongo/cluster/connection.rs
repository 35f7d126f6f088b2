//! Connects to a cluster and asks it the small questions.
//!
//! Nothing that leaves this module holds credentials: a message about a
//! connection string is only ever made from a copy without them.

use std::time::{Duration, Instant};

use bson::{Document, Timestamp, doc};
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

/// Connections that copying and applying may hold at once; the driver's own
/// default is 10.
const MIN_POOL_SIZE: u32 = 32;

/// Within this time a cluster that is watched has to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How long commands are repeated while an operator waits for the answer: as long as the driver
/// looks for a primary.
pub(in crate::mongo) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a cluster's primary and waits until it has answered. What the
/// connection string says stands, except that reads go to the primary and
/// writes wait for a majority.
pub async fn connect(
    name: ClusterName,
    uri: &str,
    app_name: &str,
) -> Result<Cluster, OperatorError> {
    let client = client(name.as_str(), uri, app_name).await?;
    Ok(Cluster { name, client })
}

/// The same for a cluster that errors call `name`.
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
        .run_command(doc! { "hello": 1 })
        .await;
    match hello.map_err(Error::from) {
        Ok(_) => Ok(client),
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

/// How long the primary takes to answer a ping; `None` if it does not within `ANSWER`. Asked
/// once: whoever watches a cluster asks again.
pub async fn ping_ms(cluster: &Cluster) -> Option<u64> {
    let asked = Instant::now();
    ask(cluster, doc! { "ping": 1 }).await.ok()?;
    u64::try_from(asked.elapsed().as_millis()).ok()
}

/// The cluster time of the newest write on the primary. Asked once, like [`ping_ms`].
pub async fn last_write(cluster: &Cluster) -> Result<ClusterTime, Error> {
    let hello = ask(cluster, doc! { "hello": 1 }).await?;
    newest_write(&hello)
        .map(ClusterTime::from)
        .ok_or(Error::Reply("lastWrite.opTime.ts"))
}

fn newest_write(hello: &Document) -> Option<Timestamp> {
    let op_time = hello
        .get_document("lastWrite")
        .ok()?
        .get_document("opTime")
        .ok()?;
    op_time.get_timestamp("ts").ok()
}

/// Runs a command once that only reads.
async fn ask(cluster: &Cluster, command: Document) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    bounded(Some(ANSWER), async {
        Ok(admin.run_command(command).await?)
    })
    .await
}

/// Runs a command that only reads on the primary's `admin` database; again after failures that
/// pass, while an operator waits.
pub(in crate::mongo) async fn admin(
    cluster: &Cluster,
    command: Document,
) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    Retry::quick(cluster.client.contact(), "run a command")
        .within(PATIENCE)
        .run(async || Ok(admin.run_command(command.clone()).await?))
        .await
}

/// An error while a cluster was being looked at, for the operator.
pub(in crate::mongo) fn refused(cluster: &Cluster, error: &Error) -> OperatorError {
    refusal(cluster.name.as_str(), error, "")
}

async fn client_options(
    name: &str,
    uri: &str,
    app_name: &str,
) -> Result<ClientOptions, OperatorError> {
    let mut options = uri::parse(name, uri).await?;
    // Not the connection string's own: hosts find one another's operations by it.
    options.app_name = Some(app_name.to_owned());
    options.max_pool_size = Some(options.max_pool_size.unwrap_or(0).max(MIN_POOL_SIZE));
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
