//! The majority commit point of a cluster. Without a majority that follows the primary, a change stream does
//! not open and no write is durable: a call would wait for minutes without a reason.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Cluster, cluster::cluster_refusal, listing::settled_time};
use crate::model::{ErrorName, OperatorError};

/// Longest accepted lag of the majority. Secondaries tail the oplog without a pause.
const WITHIN: Duration = Duration::from_secs(10);

/// Requires that a majority reaches the primary's present state.
pub(super) async fn require(cluster: &Cluster) -> Result<(), OperatorError> {
    match timeout(WITHIN, settled_time(&cluster.client)).await {
        Ok(settled) => settled
            .map(drop)
            .map_err(|error| cluster_refusal(cluster, &error)),
        Err(_elapsed) => Err(OperatorError::new(
            ErrorName::MajorityNotReached,
            format!(
                "{name} has no majority of members that follow its primary: the primary's state of {seconds} seconds ago \
                 is not on a majority yet, so no write is durable and no change stream opens. See rs.status() on \
                 {name}: start stopped members, or wait for lagging members.",
                name = cluster.name.as_str(),
                seconds = WITHIN.as_secs(),
            ),
        )),
    }
}
