//! Required privileges of the two users, compared with their granted privileges.
//!
//! The roles of `docs/preflight.md` hold the privileges of these tables, and `appendOplogNote`, which is
//! optional. `tests/tests/secured.rs` runs a whole sync with users that have no other privileges.

use std::fmt;

use bson::{Document, doc};
use serde::Deserialize;

use super::super::{
    Cluster,
    cluster::{admin, cluster_refusal},
    errors::authentication_required,
};
use super::command::{ask, unexpected};
use crate::model::{ErrorName, OperatorError};

/// A resource, in the form of a role's `privileges`. An empty name means any.
#[derive(Clone, Copy)]
enum Resource {
    Cluster,
    Collections {
        db: &'static str,
        collection: &'static str,
    },
}

type Requirement = (Resource, &'static [&'static str]);

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

/// Optional on the source: reads the oplog's window.
const OPLOG_WINDOW: Requirement = (OPLOG, &["find", "collStats"]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthInfo {
    authenticated_users: Vec<User>,
    authenticated_user_privileges: Vec<Grant>,
}

#[derive(Deserialize)]
struct User {
    user: String,
    db: String,
}

#[derive(Deserialize)]
struct Grant {
    resource: Document,
    actions: Vec<String>,
}

/// Requires the privileges of a sync from both users. The refusal names all missing privileges of both
/// sides.
pub(super) async fn require(source: &Cluster, destination: &Cluster) -> Result<(), OperatorError> {
    refuse([
        fault(source, &SOURCE).await?,
        fault(destination, &DESTINATION).await?,
    ])
}

/// Requires the privileges that both sides need.
pub(super) async fn require_any_side(cluster: &Cluster) -> Result<(), OperatorError> {
    refuse([fault(cluster, &[ANY_SIDE]).await?])
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
async fn fault(
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
async fn auth_info(cluster: &Cluster) -> Result<Option<AuthInfo>, OperatorError> {
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

fn missing(required: &[Requirement], grants: &[Grant]) -> Vec<String> {
    required
        .iter()
        .filter_map(|(resource, actions)| {
            let lacking: Vec<&str> = actions
                .iter()
                .copied()
                .filter(|action| !grants.iter().any(|grant| grant.allows(action, *resource)))
                .collect();
            (!lacking.is_empty()).then(|| format!("{} on {resource}", lacking.join(", ")))
        })
        .collect()
}

impl Grant {
    fn allows(&self, action: &str, resource: Resource) -> bool {
        resource.is_within(&self.resource)
            && self
                .actions
                .iter()
                .any(|granted| granted == action || granted == "anyAction")
    }
}

impl Resource {
    /// The server's rule (manual, "Resource Document"): an empty collection name covers all collections of a
    /// database except `system.` collections, and an empty database name all databases except `local` and
    /// `config`.
    fn is_within(self, granted: &Document) -> bool {
        if granted.get_bool("anyResource").unwrap_or(false) {
            return true;
        }
        match self {
            Self::Cluster => granted.get_bool("cluster").unwrap_or(false),
            Self::Collections { db, collection } => {
                let (Ok(granted_db), Ok(granted_collection)) =
                    (granted.get_str("db"), granted.get_str("collection"))
                else {
                    return false;
                };
                let by_name =
                    granted_collection == collection && (granted_db == db || granted_db.is_empty());
                let by_database = granted_collection.is_empty()
                    && granted_db == db
                    && !collection.starts_with("system.");
                by_name || by_database
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("{cluster: true}"),
            Self::Collections { db, collection } => {
                write!(f, "{{db: \"{db}\", collection: \"{collection}\"}}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(resource: Document, actions: &[&str]) -> Grant {
        Grant {
            resource,
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    #[test]
    fn a_resource_is_within_what_the_server_says() {
        let functions = Resource::Collections {
            db: "",
            collection: "system.js",
        };
        for (resource, granted, within) in [
            (Resource::Cluster, doc! { "cluster": true }, true),
            (
                Resource::Cluster,
                doc! { "db": "", "collection": "" },
                false,
            ),
            (ALL_COLLECTIONS, doc! { "anyResource": true }, true),
            (ALL_COLLECTIONS, doc! { "db": "", "collection": "" }, true),
            (
                ALL_COLLECTIONS,
                doc! { "db": "app", "collection": "" },
                false,
            ),
            (
                ALL_COLLECTIONS,
                doc! { "db": "", "collection": "system.js" },
                false,
            ),
            (functions, doc! { "db": "", "collection": "" }, false),
            (
                functions,
                doc! { "db": "", "collection": "system.js" },
                true,
            ),
            (OPLOG, doc! { "db": "", "collection": "" }, false),
            (OPLOG, doc! { "db": "local", "collection": "" }, true),
            (
                OPLOG,
                doc! { "db": "local", "collection": "oplog.rs" },
                true,
            ),
            (OPLOG, doc! { "system_buckets": "" }, false),
        ] {
            assert_eq!(
                resource.is_within(&granted),
                within,
                "{resource} in {granted}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named_by_resource() {
        let required: [Requirement; 2] = [
            (Resource::Cluster, &["serverStatus"]),
            (ALL_COLLECTIONS, &["find", "insert", "remove"]),
        ];
        let granted = [
            grant(doc! { "db": "", "collection": "" }, &["find"]),
            grant(doc! { "db": "", "collection": "" }, &["remove", "update"]),
        ];
        assert_eq!(
            missing(&required, &granted),
            [
                "serverStatus on {cluster: true}",
                "insert on {db: \"\", collection: \"\"}"
            ]
        );
        assert!(
            missing(
                &required,
                &[grant(doc! { "anyResource": true }, &["anyAction"])]
            )
            .is_empty()
        );
    }

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
