//! Whether a majority of a cluster's members has what its primary writes. Without one, a change stream
//! does not open and no write is durable: a call would wait for minutes, and not say for what.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Cluster, cluster::refused, listing::settled_time};
use crate::model::{ErrorName, OperatorError};

/// How long a majority may be behind the primary. Its secondaries ask for the oplog all the time.
const WITHIN: Duration = Duration::from_secs(10);

/// Requires that a majority reaches what the primary has now.
pub(super) async fn require(cluster: &Cluster) -> Result<(), OperatorError> {
    match timeout(WITHIN, settled_time(&cluster.client)).await {
        Ok(settled) => settled.map(drop).map_err(|error| refused(cluster, &error)),
        Err(_elapsed) => Err(OperatorError::new(
            ErrorName::MajorityNotReached,
            format!(
                "{name} has no majority of members that follow its primary: what the primary had {seconds} seconds ago \
                 is not on a majority yet, so that no write is durable and no change stream opens. See rs.status() on \
                 {name}: start the members that are down, or wait for those that are behind.",
                name = cluster.name.as_str(),
                seconds = WITHIN.as_secs(),
            ),
        )),
    }
}
