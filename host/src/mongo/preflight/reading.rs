//! Checks of two clusters that are only read, by users with the role `read` alone.

use bson::{Document, doc};

use super::{
    super::{
        Cluster,
        cluster::{admin, cluster_refusal},
    },
    same_cluster, topology, version,
};
use crate::model::OperatorError;

/// The identity of a cluster, for a later comparison with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadIdentity(String);

impl ReadIdentity {
    /// The identity as text: the replica set's id, or its name and members for a user who may not read the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Requires two different replica sets of supported versions. Returns their identities.
///
/// # Errors
/// A refusal of anything but the primary of a replica set, of another version, and of one cluster as both.
pub async fn check_readable(
    source: &Cluster,
    destination: &Cluster,
) -> Result<(ReadIdentity, ReadIdentity), OperatorError> {
    let mut replies = Vec::new();
    for cluster in [source, destination] {
        let hello = topology::require_replica_set(cluster).await?;
        let version = topology::version(cluster).await?;
        version::require_readable(cluster.name.as_str(), version)?;
        replies.push(hello);
    }
    let identities = (
        identity(source, replies.first()).await?,
        identity(destination, replies.last()).await?,
    );
    let process = |hello: Option<&Document>| {
        hello?
            .get_document("topologyVersion")
            .ok()?
            .get_object_id("processId")
            .ok()
    };
    let processes = (process(replies.first()), process(replies.last()));
    let is_one_process = processes.0.is_some() && processes.0 == processes.1;
    if is_one_process || identities.0 == identities.1 {
        let text = |hello: Option<&Document>, field| {
            let text = hello.and_then(|hello| hello.get_str(field).ok());
            text.unwrap_or_default().to_owned()
        };
        let primaries = (
            text(replies.first(), "primary"),
            text(replies.last(), "primary"),
        );
        return Err(same_cluster(
            (&primaries.0, &primaries.1),
            &text(replies.first(), "setName"),
        ));
    }
    Ok(identities)
}

async fn identity(
    cluster: &Cluster,
    hello: Option<&Document>,
) -> Result<ReadIdentity, OperatorError> {
    let id = match admin(cluster, doc! { "replSetGetConfig": 1 }).await {
        Ok(reply) => reply
            .get_document("config")
            .and_then(|config| config.get_document("settings"))
            .and_then(|settings| settings.get_object_id("replicaSetId"))
            .ok()
            .map(|id| id.to_hex()),
        Err(error) if error.is_unauthorized() => None,
        Err(error) => return Err(cluster_refusal(cluster, &error)),
    };
    Ok(ReadIdentity(id.unwrap_or_else(|| members(hello))))
}

/// The name of a replica set and its members.
fn members(hello: Option<&Document>) -> String {
    let Some(hello) = hello else {
        return String::new();
    };
    let hosts = hello.get_array("hosts").into_iter().flatten();
    let mut hosts: Vec<&str> = hosts.filter_map(|host| host.as_str()).collect();
    hosts.sort_unstable();
    format!(
        "{} {}",
        hello.get_str("setName").unwrap_or_default(),
        hosts.join(",")
    )
}
