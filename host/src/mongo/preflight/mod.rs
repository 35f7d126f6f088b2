//! Preconditions of a sync between two clusters.
//!
//! Invariant: the preflight only reads, so a refusal has changed nothing on either side. The cheapest and
//! most specific checks come first, so that an operator learns of a mistake, not of its consequences.

use bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::model::{ErrorKind, ErrorName, OperatorError};

mod command;
mod contents;
mod grants;
mod majority;
mod oplog;
mod privileges;
mod reading;
mod time_series;
mod topology;
mod users;
mod version;
mod write_blocking;

pub use oplog::{COPY_BYTES_PER_SECOND, copy_seconds, oplog_warning, oplog_window_seconds};
pub use privileges::{PrivilegeGap, privilege_gaps};
pub use reading::{ReadIdentity, check_readable};
pub use time_series::require_time_series;
pub use topology::{Identity, identify};
pub use write_blocking::{BlockAbility, destination_ability, source_ability};

/// Result of [`check`] for two clusters that it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// The replica set that the sync reads.
    pub source: Identity,
    /// The replica set that the sync writes.
    pub destination: Identity,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// Result of [`survey`]: all refusals in the order of the checks, and the warnings.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Each failed check, with a remedy.
    pub refusals: Vec<OperatorError>,
    /// The identities of source and destination; `None` if a check that the others stand on has failed.
    pub identities: Option<(Identity, Identity)>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// Checks whether two clusters can be synced faithfully, and by these users.
///
/// # Errors
/// The refusal of the first failed check, with a remedy. See docs/preflight.md.
pub async fn check(source: &Cluster, destination: &Cluster) -> Result<Preflight, OperatorError> {
    run(source, destination, &mut Refusals::Fatal).await
}

/// The checks of [`check`], continued after a refusal wherever a check does not stand on a failed check.
///
/// # Errors
/// `ConnectionFailed`, and faults of tidegate: such a check has no result.
pub async fn survey(source: &Cluster, destination: &Cluster) -> Result<Survey, OperatorError> {
    let mut refusals = Refusals::Collected(Vec::new());
    let preflight = run(source, destination, &mut refusals).await;
    let preflight = refusals.note(preflight)?;
    let Refusals::Collected(refusals) = refusals else {
        return Ok(Survey::default());
    };
    Ok(match preflight {
        None => Survey {
            refusals,
            ..Survey::default()
        },
        Some(preflight) => Survey {
            refusals,
            identities: Some((preflight.source, preflight.destination)),
            warnings: preflight.warnings,
        },
    })
}

/// Checks whether both users may do what the transfer of users and roles takes, and whether the destination has the
/// command for it.
///
/// # Errors
/// `MissingPrivileges` with the missing privileges of both users, `NotSupported` without the command.
pub async fn check_users_and_roles(
    source: &Cluster,
    destination: &Cluster,
) -> Result<(), OperatorError> {
    privileges::require_for_users_and_roles(source, destination).await?;
    users::require_merge(destination).await
}

/// The treatment of a refusal.
enum Refusals {
    /// It ends the checks.
    Fatal,
    /// It is kept, and the next check follows.
    Collected(Vec<OperatorError>),
}

impl Refusals {
    /// The value of a check; `None` for a refusal that is kept.
    fn note<T>(&mut self, checked: Result<T, OperatorError>) -> Result<Option<T>, OperatorError> {
        match (checked, self) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(refusal), Self::Collected(refusals)) if refusal.kind() == ErrorKind::Operator => {
                refusals.push(refusal);
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// Runs all checks. The checks up to the identities end with the first refusal, since later checks stand on them.
async fn run(
    source: &Cluster,
    destination: &Cluster,
    refusals: &mut Refusals,
) -> Result<Preflight, OperatorError> {
    topology::require_replica_set(source).await?;
    topology::require_replica_set(destination).await?;
    privileges::require(source, destination).await?;

    let source_identity = identify(source).await?;
    let destination_identity = identify(destination).await?;
    refuse_same_cluster(&source_identity, &destination_identity)?;
    if version::reads_by_uuid_alone(source_identity.version) {
        privileges::require_reads_by_uuid(source).await?;
    }
    let versions = version::require_supported(
        (source, source_identity.version),
        (destination, destination_identity.version),
    );
    refusals.note(versions.await)?;
    refusals.note(require_storage(source).await)?;
    refusals.note(require_storage(destination).await)?;
    refusals.note(require_table_scans(source).await)?;
    refusals.note(require_table_scans(destination).await)?;
    refusals.note(contents::require_empty(destination).await)?;
    refusals.note(majority::require(source).await)?;
    refusals.note(majority::require(destination).await)?;

    let mut warnings = oplog::warnings(source).await;
    warnings.extend(contents::stored_functions_warnings(source, destination).await?);
    warnings.extend(contents::left_out_warning(source).await?);
    Ok(Preflight {
        source: source_identity,
        destination: destination_identity,
        warnings,
    })
}

/// Checks whether a sync that [`check`] has accepted can be reversed: the users have the privileges of both sides, and
/// the versions are supported in both directions.
///
/// # Errors
/// `MissingPrivileges`, and the refusals of versions.
pub async fn check_way_back(
    source: &Cluster,
    destination: &Cluster,
    checked: &Preflight,
) -> Result<(), OperatorError> {
    privileges::require(destination, source).await?;
    version::require_supported(
        (destination, checked.destination.version),
        (source, checked.source.version),
    )
    .await
}

fn refuse_same_cluster(source: &Identity, destination: &Identity) -> Result<(), OperatorError> {
    if source.replica_set_id != destination.replica_set_id {
        return Ok(());
    }
    let primaries = (source.primary.as_str(), destination.primary.as_str());
    Err(same_cluster(primaries, &source.set_name))
}

fn same_cluster((source, destination): (&str, &str), set_name: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::SameCluster,
        format!(
            "Source ({source}) and destination ({destination}) are the same replica set, {set_name}. Correct one of \
             the two connection strings."
        ),
    )
}

/// Requires WiredTiger and reads at majority read concern.
async fn require_storage(cluster: &Cluster) -> Result<(), OperatorError> {
    let status = command::ask(cluster, doc! { "serverStatus": 1 }).await?;
    let engine = status
        .get_document("storageEngine")
        .map_err(|_absent| command::unexpected(cluster, "serverStatus", "storageEngine"))?;
    storage_refusal(cluster.name.as_str(), engine).map_or(Ok(()), Err)
}

/// Requires that queries without an index are allowed (manual: `notablescan`): capped collections are copied in
/// natural order, and the metadata has only the indexes on `_id`. If the user may not read the parameter, it
/// is assumed to be off.
async fn require_table_scans(cluster: &Cluster) -> Result<(), OperatorError> {
    let parameter = doc! { "getParameter": 1, "notablescan": 1 };
    let is_off = match command::ask(cluster, parameter).await {
        Ok(reply) => !reply.get_bool("notablescan").unwrap_or_default(),
        Err(error) if error.kind() != ErrorKind::Operator => return Err(error),
        Err(_refused) => true,
    };
    if is_off {
        return Ok(());
    }
    let name = cluster.name.as_str();
    Err(OperatorError::new(
        ErrorName::TableScansNotAllowed,
        format!(
            "{name} runs with notablescan and refuses reads without an index, which a sync needs. Turn it off during the \
             sync: db.adminCommand({{setParameter: 1, notablescan: false}}) on each member of {name}."
        ),
    ))
}

fn storage_refusal(name: &str, engine: &Document) -> Option<OperatorError> {
    let engine_name = engine.get_str("name").unwrap_or("unknown");
    if engine_name != "wiredTiger" {
        return Some(OperatorError::new(
            ErrorName::StorageEngineNotSupported,
            format!(
                "{name} uses the storage engine {engine_name}; tidegate needs wiredTiger. Move \
                 {name}'s members to wiredTiger first."
            ),
        ));
    }
    if !engine.get_bool("supportsCommittedReads").unwrap_or(false) {
        return Some(OperatorError::new(
            ErrorName::MajorityReadsNotSupported,
            format!(
                "{name} does not serve reads at majority read concern, which change streams need. \
                 Restart its members with enableMajorityReadConcern on."
            ),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wired_tiger_with_majority_reads_is_required() {
        for (engine, refused) in [
            (
                doc! { "name": "wiredTiger", "supportsCommittedReads": true },
                None,
            ),
            (
                doc! { "name": "wiredTiger", "supportsCommittedReads": false },
                Some(ErrorName::MajorityReadsNotSupported),
            ),
            (
                doc! { "name": "inMemory", "supportsCommittedReads": true },
                Some(ErrorName::StorageEngineNotSupported),
            ),
        ] {
            assert_eq!(
                storage_refusal("cluster0", &engine).map(|error| error.name),
                refused
            );
        }
    }
}
