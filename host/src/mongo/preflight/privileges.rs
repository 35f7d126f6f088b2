//! Required privileges of the two users, compared with their granted privileges.
//!
//! The roles of `docs/preflight.md` hold the privileges of these tables, and `appendOplogNote`, which is
//! optional. `tests/tests/secured.rs` runs a whole sync with users that have no other privileges.

use bson::{Document, doc};
use serde::Deserialize;

use super::super::{
    Cluster,
    cluster::{admin, cluster_refusal},
    errors::authentication_required,
};
use super::{
    command::{ask, unexpected},
    grants::{Grant, Requirement, Resource, lacking, missing},
};
use crate::model::options::ClusterName;
use crate::model::{ErrorName, OperatorError};

const ALL_COLLECTIONS: Resource = Resource::Collections {
    db: "",
    collection: "",
};
const OPLOG: Resource = Resource::Collections {
    db: "local",
    collection: "oplog.rs",
};

const ANY_SIDE: Requirement = (
    Resource::Cluster,
    &[
        "listDatabases",
        "serverStatus",
        "replSetGetConfig",
        "getCmdLineOpts",
        "getParameter",
    ],
);

const SOURCE: [Requirement; 2] = [
    ANY_SIDE,
    (
        ALL_COLLECTIONS,
        &[
            "find",
            "changeStream",
            "listCollections",
            "listIndexes",
            "collStats",
            "dbStats",
        ],
    ),
];

const DESTINATION: [Requirement; 2] = [
    ANY_SIDE,
    (
        ALL_COLLECTIONS,
        &[
            "find",
            "insert",
            "update",
            "remove",
            "bypassDocumentValidation",
            "createCollection",
            "convertToCapped",
            "dropCollection",
            "dropDatabase",
            "renameCollectionSameDB",
            "collMod",
            "createIndex",
            "dropIndex",
            "listCollections",
            "listIndexes",
        ],
    ),
];

/// For a source before 6.0, which is read by the UUIDs of collections alone (manual: `useUUID`).
const READS_BY_UUID: Requirement = (Resource::Cluster, &["useUUID"]);

const STORED_USERS: Requirement = (
    Resource::Collections {
        db: "admin",
        collection: "system.users",
    },
    &["find"],
);

const STORED_ROLES: Requirement = (
    Resource::Collections {
        db: "admin",
        collection: "system.roles",
    },
    &["find"],
);

/// For `_mergeAuthzCollections`, `dropUser` and `dropRole` on the destination.
const MERGED_PRINCIPALS: Requirement = (
    ALL_COLLECTIONS,
    &[
        "createRole",
        "createUser",
        "dropRole",
        "dropUser",
        "grantRole",
        "revokeRole",
    ],
);

/// Needed on the source for time-series collections, whose buckets no privilege on collections covers.
pub(super) const BUCKETS_ON_SOURCE: Requirement =
    (Resource::Buckets, &["find", "listIndexes", "collStats"]);

/// Needed on the destination for time-series collections.
pub(super) const BUCKETS_ON_DESTINATION: Requirement = (
    Resource::Buckets,
    &[
        "find",
        "insert",
        "update",
        "remove",
        "bypassDocumentValidation",
        "createCollection",
        "dropCollection",
        "collMod",
        "createIndex",
        "dropIndex",
        "listIndexes",
    ],
);

/// The stored functions of all databases.
const FUNCTIONS: Resource = Resource::Collections {
    db: "",
    collection: "system.js",
};

/// Needed on the source for stored functions.
pub(super) const FUNCTIONS_ON_SOURCE: Requirement = (FUNCTIONS, &["find"]);

/// Needed on the destination for stored functions.
pub(super) const FUNCTIONS_ON_DESTINATION: Requirement = (
    FUNCTIONS,
    &[
        "find",
        "insert",
        "update",
        "remove",
        "bypassDocumentValidation",
        "createCollection",
    ],
);

/// Optional on the source: reads the oplog's window.
const OPLOG_WINDOW: Requirement = (OPLOG, &["find", "collStats"]);

/// Privileges that a sync can do without, each with the consequence of its absence.
type Optional = (Requirement, &'static str);

/// Names transactions that keep a write block from being set.
const TRANSACTIONS: Optional = (
    (Resource::Cluster, &["inprog"]),
    "open transactions that hold up a write block are not named",
);

const NO_FUNCTIONS: &str = "stored functions are not synced";

const NO_TIME_SERIES: &str = "time-series collections cannot be synced";

const OPTIONAL_ON_SOURCE: [Optional; 6] = [
    (OPLOG_WINDOW, "the window of the source's oplog is unknown"),
    (
        (Resource::Cluster, &["appendOplogNote"]),
        "a commit on an idle source takes up to ten seconds longer",
    ),
    (
        (Resource::Cluster, &["setUserWriteBlockMode"]),
        "user writes of the source cannot be blocked at commit",
    ),
    TRANSACTIONS,
    (BUCKETS_ON_SOURCE, NO_TIME_SERIES),
    (FUNCTIONS_ON_SOURCE, NO_FUNCTIONS),
];

const OPTIONAL_ON_DESTINATION: [Optional; 4] = [
    (
        (
            Resource::Cluster,
            &["setUserWriteBlockMode", "bypassWriteBlockingMode"],
        ),
        "user writes of the destination are not blocked",
    ),
    TRANSACTIONS,
    (BUCKETS_ON_DESTINATION, NO_TIME_SERIES),
    (FUNCTIONS_ON_DESTINATION, NO_FUNCTIONS),
];

/// Privileges on one resource that a user lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivilegeGap {
    /// Connection of the user.
    pub cluster: ClusterName,
    /// The resource, in the form of a role's `privileges`.
    pub resource: String,
    /// The actions that are not granted.
    pub actions: Vec<&'static str>,
    /// The consequence for a sync; `None` for privileges without which no sync starts.
    pub consequence: Option<&'static str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthInfo {
    authenticated_users: Vec<User>,
    pub(super) authenticated_user_privileges: Vec<Grant>,
}

#[derive(Deserialize)]
struct User {
    user: String,
    db: String,
}

/// Requires the privileges of a sync from both users. The refusal names all missing privileges of both
/// sides.
pub(super) async fn require(source: &Cluster, destination: &Cluster) -> Result<(), OperatorError> {
    refuse([
        fault(source, &SOURCE).await?,
        fault(destination, &DESTINATION).await?,
    ])
}

/// Requires the privilege to read collections by their UUID alone.
pub(super) async fn require_reads_by_uuid(source: &Cluster) -> Result<(), OperatorError> {
    refuse([fault(source, &[READS_BY_UUID]).await?])
}

/// Requires the privileges to read users and roles, and to merge them on the destination.
pub(super) async fn require_for_users_and_roles(
    source: &Cluster,
    destination: &Cluster,
) -> Result<(), OperatorError> {
    let merging = [STORED_USERS, STORED_ROLES, MERGED_PRINCIPALS];
    refuse([
        fault(source, &[STORED_USERS, STORED_ROLES]).await?,
        fault(destination, &merging).await?,
    ])
}

/// Requires the privileges that both sides need.
pub(super) async fn require_any_side(cluster: &Cluster) -> Result<(), OperatorError> {
    refuse([fault(cluster, &[ANY_SIDE]).await?])
}

/// The privileges that the two users lack, required and optional. Empty without access control.
///
/// # Errors
/// `AuthenticationFailed` and `ConnectionFailed`.
pub async fn privilege_gaps(
    source: &Cluster,
    destination: &Cluster,
) -> Result<Vec<PrivilegeGap>, OperatorError> {
    let mut gaps = Vec::new();
    for (cluster, required, optional) in [
        (source, SOURCE, OPTIONAL_ON_SOURCE.as_slice()),
        (destination, DESTINATION, OPTIONAL_ON_DESTINATION.as_slice()),
    ] {
        let Some(auth) = auth_info(cluster).await? else {
            continue;
        };
        let required = required.into_iter().map(|requirement| (requirement, None));
        let optional = optional.iter();
        let optional =
            optional.map(|(requirement, consequence)| (*requirement, Some(*consequence)));
        let gap = |(requirement, consequence): (Requirement, Option<&'static str>)| {
            let actions = lacking(&requirement, &auth.authenticated_user_privileges);
            (!actions.is_empty()).then(|| PrivilegeGap {
                cluster: cluster.name,
                resource: requirement.0.to_string(),
                actions,
                consequence,
            })
        };
        gaps.extend(required.chain(optional).filter_map(gap));
    }
    Ok(gaps)
}

fn refuse<const N: usize>(faults: [Option<String>; N]) -> Result<(), OperatorError> {
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::MissingPrivileges,
        format!(
            "{}. Grant the roles that docs/preflight.md gives.",
            faults.join(". ")
        ),
    ))
}

/// True if the user may read the oplog's window.
pub(super) async fn may_read_oplog(cluster: &Cluster) -> bool {
    matches!(fault(cluster, &[OPLOG_WINDOW]).await, Ok(None))
}

/// The missing privileges of a user, as the beginning of a sentence.
pub(super) async fn fault(
    cluster: &Cluster,
    required: &[Requirement],
) -> Result<Option<String>, OperatorError> {
    let Some(auth) = auth_info(cluster).await? else {
        return Ok(None);
    };
    let missing = missing(required, &auth.authenticated_user_privileges);
    if missing.is_empty() {
        return Ok(None);
    }
    let users: Vec<String> = auth
        .authenticated_users
        .iter()
        .map(|user| format!("{}@{}", user.user, user.db))
        .collect();
    Ok(Some(format!(
        "The user {} of {} lacks {}",
        users.join(", "),
        cluster.name.as_str(),
        missing.join("; ")
    )))
}

/// The authenticated users and their privileges; `None` without access control.
pub(super) async fn auth_info(cluster: &Cluster) -> Result<Option<AuthInfo>, OperatorError> {
    let reply = ask(
        cluster,
        doc! { "connectionStatus": 1, "showPrivileges": true },
    )
    .await?;
    let info = reply.get_document("authInfo").cloned().unwrap_or_default();
    let info: AuthInfo = bson::deserialize_from_document(info)
        .map_err(|_malformed| unexpected(cluster, "connectionStatus", "authInfo"))?;
    match admin(cluster, doc! { "getCmdLineOpts": 1 }).await {
        Ok(options) if !has_access_control(&options) => Ok(None),
        Err(error) if !error.is_unauthorized() => Err(cluster_refusal(cluster, &error)),
        _ if info.authenticated_users.is_empty() => {
            Err(authentication_required(cluster.name.as_str()))
        }
        _ => Ok(Some(info)),
    }
}

/// True with `authorization`, a key file or cluster certificates, and without `transitionToAuth`.
fn has_access_control(options: &Document) -> bool {
    let Ok(security) = options
        .get_document("parsed")
        .and_then(|all| all.get_document("security"))
    else {
        return false;
    };
    let is_on = security
        .get_str("authorization")
        .is_ok_and(|mode| mode == "enabled")
        || security.contains_key("keyFile")
        || security.contains_key("clusterAuthMode");
    is_on && !security.get_bool("transitionToAuth").unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_control_is_read_from_the_command_line() {
        for (security, on) in [
            (doc! {}, false),
            (doc! { "authorization": "disabled" }, false),
            (doc! { "authorization": "enabled" }, true),
            (doc! { "keyFile": "/key" }, true),
            (doc! { "keyFile": "/key", "transitionToAuth": true }, false),
        ] {
            assert_eq!(
                has_access_control(&doc! { "parsed": { "security": security } }),
                on
            );
        }
        assert!(!has_access_control(&doc! { "parsed": {} }));
    }
}
