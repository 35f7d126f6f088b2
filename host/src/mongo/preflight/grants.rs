//! Grants of a user, and the server's rule for the resources that they cover.

use std::fmt;

use bson::Document;
use serde::Deserialize;

/// A resource, in the form of a role's `privileges`. An empty name means any.
#[derive(Clone, Copy)]
pub(super) enum Resource {
    Cluster,
    Collections {
        db: &'static str,
        collection: &'static str,
    },
    /// The buckets of all time-series collections.
    Buckets,
}

/// Actions on a resource.
pub(super) type Requirement = (Resource, &'static [&'static str]);

/// Actions that a user has on a resource.
#[derive(Deserialize)]
pub(super) struct Grant {
    resource: Document,
    actions: Vec<String>,
}

/// The missing actions by resource, for a sentence.
pub(super) fn missing(required: &[Requirement], grants: &[Grant]) -> Vec<String> {
    required
        .iter()
        .filter_map(|requirement| {
            let actions = lacking(requirement, grants);
            (!actions.is_empty()).then(|| format!("{} on {}", actions.join(", "), requirement.0))
        })
        .collect()
}

/// The actions of a requirement that no grant allows.
pub(super) fn lacking((resource, actions): &Requirement, grants: &[Grant]) -> Vec<&'static str> {
    let is_missing = |action: &&str| !grants.iter().any(|grant| grant.allows(action, *resource));
    actions.iter().copied().filter(is_missing).collect()
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
            Self::Buckets => {
                // The server leaves out an empty `db` (seen with 6.0.5).
                let is_any = |name| granted.get_str(name).is_ok_and(str::is_empty);
                is_any("system_buckets") && (is_any("db") || !granted.contains_key("db"))
            }
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
            Self::Buckets => f.write_str("{db: \"\", system_buckets: \"\"}"),
            Self::Collections { db, collection } => {
                write!(f, "{{db: \"{db}\", collection: \"{collection}\"}}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    const ALL_COLLECTIONS: Resource = Resource::Collections {
        db: "",
        collection: "",
    };
    const OPLOG: Resource = Resource::Collections {
        db: "local",
        collection: "oplog.rs",
    };

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
            (
                Resource::Buckets,
                doc! { "db": "", "system_buckets": "" },
                true,
            ),
            (Resource::Buckets, doc! { "system_buckets": "" }, true),
            (
                Resource::Buckets,
                doc! { "db": "app", "system_buckets": "" },
                false,
            ),
            (
                Resource::Buckets,
                doc! { "db": "", "collection": "" },
                false,
            ),
            (Resource::Buckets, doc! { "anyResource": true }, true),
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
}
