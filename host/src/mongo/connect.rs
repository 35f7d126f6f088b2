//! Connects to a cluster and asks it the small questions.
//!
//! Nothing that leaves this module holds credentials: a message about a
//! connection string is only ever made from a copy without them.

use std::time::{Duration, Instant};

use bson::{Document, Timestamp, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};

use super::{Client, Cluster, Error, Repeat, code, retry::bounded, selection, uri};
use crate::model::options::ClusterName;
use crate::model::{ClusterTime, ErrorName, OperatorError};

/// Connections that copying and applying may hold at once; the driver's own
/// default is 10.
const MIN_POOL_SIZE: u32 = 32;

/// Within this time a cluster that is watched has to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How long commands are repeated while an operator waits for the answer: as long as the driver
/// looks for a primary.
const PATIENCE: Duration = Duration::from_secs(30);

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
                && let Some(fault) = selection::wrong_set(&options).await
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
    look(cluster, doc! { "ping": 1 }).await.ok()?;
    u64::try_from(asked.elapsed().as_millis()).ok()
}

/// The cluster time of the newest write on the primary. Asked once, like [`ping_ms`].
pub async fn last_write(cluster: &Cluster) -> Result<ClusterTime, Error> {
    let hello = look(cluster, doc! { "hello": 1 }).await?;
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
async fn look(cluster: &Cluster, command: Document) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    bounded(Some(ANSWER), async {
        Ok(admin.run_command(command).await?)
    })
    .await
}

/// Runs a command that only reads on the primary's `admin` database; again after failures that
/// pass, while an operator waits.
pub(super) async fn admin(cluster: &Cluster, command: Document) -> Result<Document, Error> {
    let admin = cluster.client.database("admin");
    let answer = Repeat::quick(cluster.client.at(), "run a command")
        .within(PATIENCE)
        .run(async || Ok(admin.run_command(command.clone()).await?))
        .await;
    answer.map_err(|error| match error {
        Error::Outage { last, .. } => *last,
        other => other,
    })
}

/// An error while a cluster was being looked at, for the operator.
pub(super) fn refused(cluster: &Cluster, error: &Error) -> OperatorError {
    refusal(cluster.name.as_str(), error, "")
}

/// True if the server said that the user may not run the command.
pub(super) fn is_unauthorized(error: &Error) -> bool {
    error.has_code(code::UNAUTHORIZED)
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

/// What an operator is told of an error while a cluster was being looked at.
pub(super) fn refusal(cluster: &str, error: &Error, place: &str) -> OperatorError {
    let reason = error.to_string();
    let reason = reason.trim_end_matches('.');
    if error.is_authentication() {
        return authentication_failed(cluster, place, reason);
    }
    if !is_unauthorized(error) {
        return OperatorError::new(
            ErrorName::ConnectionFailed,
            format!(
                "The primary of {cluster}{place} does not answer: {reason}. Check the hosts and \
                 options of its connection string, the network, and that the replica set has a \
                 primary."
            ),
        );
    }
    if reason.contains("requires authentication") {
        return authentication_required(cluster);
    }
    OperatorError::new(
        ErrorName::MissingPrivileges,
        format!(
            "The user of {cluster} lacks a privilege: {reason}. Grant it the role that \
             docs/preflight.md gives for its side."
        ),
    )
}

/// For a cluster with access control and a connection string without a user.
pub(super) fn authentication_required(cluster: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::AuthenticationFailed,
        format!(
            "{cluster} has access control and its connection string names no user. Create a user for \
             {cluster} as docs/preflight.md says and put it into the connection string."
        ),
    )
}

fn authentication_failed(cluster: &str, place: &str, reason: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::AuthenticationFailed,
        format!(
            "{cluster}{place} refuses the credentials: {reason}. Check the user name, the \
             password, authSource and authMechanism in its connection string."
        ),
    )
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
