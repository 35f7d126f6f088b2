//! The change stream of buckets of time-series collections, and the privileges on them, which no privilege on collections
//! covers.

use super::{
    super::Cluster,
    privileges::{BUCKETS_ON_DESTINATION, BUCKETS_ON_SOURCE, fault},
};
use crate::model::{ErrorName, Namespace, OperatorError};

/// Number of collections in a refusal.
const NAMED: usize = 5;

/// Requires events of buckets from the source, and the privileges on them from both users, if the source has time-series collections in scope. Without such
/// collections a missing privilege is a warning.
///
/// # Errors
/// `TimeSeriesNotSupported` for a source without such events; `MissingPrivileges`; failures of a cluster.
pub async fn require_time_series(
    (source, destination): (&Cluster, &Cluster),
    series: &[Namespace],
) -> Result<Option<String>, OperatorError> {
    let features = source.client.with_unknown_features().features().await?;
    if !features.system_events {
        return no_events(source, series).map_or(Ok(None), Err);
    }
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

/// The refusal of collections whose changes the source's change stream does not carry.
fn no_events(source: &Cluster, series: &[Namespace]) -> Option<OperatorError> {
    let first = series.first()?;
    let (name, number) = (source.name.as_str(), series.len());
    Some(OperatorError::new(
        ErrorName::TimeSeriesNotSupported,
        format!(
            "{name} runs a version before MongoDB 6.0, whose change stream carries no changes of time-series collections. \
             In scope: {number}, {first} among them. Exclude them with excludeNamespaces, or bring {name} to 6.0 first."
        ),
    ))
}
