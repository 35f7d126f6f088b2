//! Whether the users of a sync may block user writes, and stay exempt from the block.

use super::{
    super::Cluster,
    grants::{Requirement, Resource, missing},
    privileges::auth_info,
    topology,
    version::reads_by_uuid_alone,
};
use crate::model::OperatorError;

/// Sets and lifts a block (manual: `setUserWriteBlockMode`).
const SET: Requirement = (Resource::Cluster, &["setUserWriteBlockMode"]);

/// Sets and lifts a block, and writes although it is set.
const SET_AND_WRITE: Requirement = (
    Resource::Cluster,
    &["setUserWriteBlockMode", "bypassWriteBlockingMode"],
);

/// Whether user writes of a cluster can be blocked by a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockAbility {
    /// The user has the privileges.
    Able,
    /// A cluster without access control, which exempts no user.
    NoAccessControl,
    /// A server before 6.0, which has no block.
    TooOld,
    /// The user lacks privileges: the line of `createRole` that grants them.
    Lacks(String),
}

/// Whether the sync can block the cluster that it writes.
///
/// # Errors
/// A cluster that does not answer.
pub async fn destination_ability(cluster: &Cluster) -> Result<BlockAbility, OperatorError> {
    ability(cluster, &SET_AND_WRITE, BlockAbility::NoAccessControl).await
}

/// Whether the sync can block the cluster that it only reads. Without access control every user may.
///
/// # Errors
/// A cluster that does not answer.
pub async fn source_ability(cluster: &Cluster) -> Result<BlockAbility, OperatorError> {
    if reads_by_uuid_alone(topology::version(cluster).await?) {
        return Ok(BlockAbility::TooOld);
    }
    ability(cluster, &SET, BlockAbility::Able).await
}

async fn ability(
    cluster: &Cluster,
    required: &Requirement,
    without_access_control: BlockAbility,
) -> Result<BlockAbility, OperatorError> {
    let Some(auth) = auth_info(cluster).await? else {
        return Ok(without_access_control);
    };
    let lacks = missing(
        std::slice::from_ref(required),
        &auth.authenticated_user_privileges,
    );
    if lacks.is_empty() {
        return Ok(BlockAbility::Able);
    }
    let actions: Vec<String> = required
        .1
        .iter()
        .map(|action| format!("\"{action}\""))
        .collect();
    Ok(BlockAbility::Lacks(format!(
        "{{\"resource\": {{\"cluster\": true}}, \"actions\": [{}]}}",
        actions.join(", ")
    )))
}
