//! Privileges on the buckets of time-series collections, which no privilege on collections covers.

use super::{
    super::Cluster,
    privileges::{BUCKETS_ON_DESTINATION, BUCKETS_ON_SOURCE, fault},
};
use crate::model::{ErrorName, Namespace, OperatorError};

/// Number of collections in a refusal.
const NAMED: usize = 5;

/// Requires the privileges on buckets from both users if the source has time-series collections in scope. Without such
/// collections a missing privilege is a warning.
///
/// # Errors
/// `MissingPrivileges`; failures of a cluster.
pub async fn require_time_series(
    (source, destination): (&Cluster, &Cluster),
    series: &[Namespace],
) -> Result<Option<String>, OperatorError> {
    let faults = [
        fault(source, &[BUCKETS_ON_SOURCE]).await?,
        fault(destination, &[BUCKETS_ON_DESTINATION]).await?,
    ];
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    if faults.is_empty() {
        return Ok(None);
    }
    let faults = faults.join(". ");
    if series.is_empty() {
        return Ok(Some(format!(
            "A time-series collection that is created in scope while the sync runs stops it. {faults}. Grant the roles that \
             docs/preflight.md gives."
        )));
    }
    let names: Vec<String> = series.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match series.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(OperatorError::new(
        ErrorName::MissingPrivileges,
        format!(
            "{faults}. The time-series collections need it: {}{more}. Grant the roles that docs/preflight.md gives, or \
             exclude these collections with excludeNamespaces.",
            names.join(", ")
        ),
    ))
}
