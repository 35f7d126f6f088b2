//! The kind of deployment that a connection leads to, and its identity.

use bson::oid::ObjectId;
use bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{
    super::Cluster,
    command::{ask, unexpected},
    privileges,
};
use crate::model::{ErrorName, OperatorError};

/// Identity of a replica set.
///
/// Two replica sets are the same if and only if their `replica_set_id`s are equal: the server creates it at
/// the set's initiation, and it never changes. The other fields describe the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// `setName` of the primary's reply to `hello`. Two sets can have the same name.
    pub set_name: String,
    /// `settings.replicaSetId` of the configuration (manual: `replSetGetConfig`).
    pub replica_set_id: ObjectId,
    /// Major, minor and patch version of the primary.
    pub version: (u32, u32, u32),
    /// `host:port` of the primary, as the replica set's members know it.
    pub primary: String,
}

impl Identity {
    /// Whether the server is older than 6.0.
    pub fn is_before_6_0(&self) -> bool {
        self.version < (6, 0, 0)
    }
}

/// The identity of the replica set that a connection leads to.
///
/// # Errors
/// A refusal of anything but the primary of a replica set that is no shard, and of a user without the
/// privileges to read it.
pub async fn identify(cluster: &Cluster) -> Result<Identity, OperatorError> {
    let hello = require_replica_set(cluster).await?;
    privileges::require_any_side(cluster).await?;
    refuse_shard(cluster).await?;
    Ok(Identity {
        set_name: hello.get_str("setName").unwrap_or_default().to_owned(),
        replica_set_id: replica_set_id(cluster).await?,
        version: version(cluster).await?,
        primary: hello.get_str("primary").unwrap_or_default().to_owned(),
    })
}

/// Requires the primary of a replica set. Returns its reply to `hello`, which needs no privileges.
pub(super) async fn require_replica_set(cluster: &Cluster) -> Result<Document, OperatorError> {
    let hello = ask(cluster, doc! { "hello": 1 }).await?;
    match topology_refusal(cluster.name.as_str(), &hello) {
        Some(refusal) => Err(refusal),
        None => Ok(hello),
    }
}

fn topology_refusal(name: &str, hello: &Document) -> Option<OperatorError> {
    let is = |field| hello.get_bool(field).unwrap_or(false);
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return Some(sharded(name, "leads to a mongos"));
    }
    if !hello.contains_key("setName") {
        return Some(OperatorError::new(
            ErrorName::StandaloneNotSupported,
            format!(
                "{name} is a standalone server, which keeps no history to follow. Convert it to a \
                 replica set; one with a single member is enough."
            ),
        ));
    }
    if is("isWritablePrimary") {
        return None;
    }
    let member = if is("arbiterOnly") {
        "an arbiter"
    } else {
        "a member that is not the primary"
    };
    Some(OperatorError::new(
        ErrorName::ConnectionFailed,
        format!(
            "{name} leads to {member}. Take directConnection out of its connection string and name \
             the members of the replica set that hold data."
        ),
    ))
}

async fn refuse_shard(cluster: &Cluster) -> Result<(), OperatorError> {
    let options = ask(cluster, doc! { "getCmdLineOpts": 1 }).await?;
    let role = options
        .get_document("parsed")
        .and_then(|parsed| parsed.get_document("sharding"))
        .and_then(|sharding| sharding.get_str("clusterRole"));
    match role {
        Ok(role) => Err(sharded(
            cluster.name.as_str(),
            &format!("is a member of one ({role})"),
        )),
        Err(_) => Ok(()),
    }
}

fn sharded(name: &str, what: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::ShardedClusterNotSupported,
        format!(
            "Sharded clusters are not supported, and {name} {what}. Give the connection string of \
             a replica set that is not part of a sharded cluster."
        ),
    )
}

async fn replica_set_id(cluster: &Cluster) -> Result<ObjectId, OperatorError> {
    let reply = ask(cluster, doc! { "replSetGetConfig": 1 }).await?;
    reply
        .get_document("config")
        .and_then(|config| config.get_document("settings"))
        .and_then(|settings| settings.get_object_id("replicaSetId"))
        .map_err(|_absent| unexpected(cluster, "replSetGetConfig", "settings.replicaSetId"))
}

pub(super) async fn version(cluster: &Cluster) -> Result<(u32, u32, u32), OperatorError> {
    let reply = ask(cluster, doc! { "buildInfo": 1 }).await?;
    let text = reply.get_str("version").unwrap_or_default();
    super::version::parse(text).ok_or_else(|| unexpected(cluster, "buildInfo", "version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_primary_of_a_replica_set_is_accepted() {
        for (hello, refused) in [
            (doc! { "setName": "rs", "isWritablePrimary": true }, None),
            (
                doc! { "isWritablePrimary": true },
                Some(ErrorName::StandaloneNotSupported),
            ),
            (
                doc! { "isWritablePrimary": true, "msg": "isdbgrid" },
                Some(ErrorName::ShardedClusterNotSupported),
            ),
            (
                doc! { "setName": "rs", "isWritablePrimary": false, "secondary": true },
                Some(ErrorName::ConnectionFailed),
            ),
            (
                doc! { "setName": "rs", "isWritablePrimary": false, "arbiterOnly": true },
                Some(ErrorName::ConnectionFailed),
            ),
        ] {
            assert_eq!(
                topology_refusal("cluster0", &hello).map(|error| error.name),
                refused
            );
        }
    }
}
