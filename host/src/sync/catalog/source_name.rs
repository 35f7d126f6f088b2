//! The way back from a name of the destination to the source.

use std::collections::BTreeSet;

use serde_json::Value;

use super::scope::Scope;
use crate::model::{Namespace, OperatorError, StartOptions};

/// The name on the source that a sync would give the name `destination`; `None` if it is out of scope. Asks the
/// router about the same name in every one of the source's `databases`, and about the names of the remap.
///
/// # Errors
/// The router's refusal.
pub(in crate::sync) fn source_name(
    scope: &Scope,
    options: &StartOptions,
    databases: &BTreeSet<String>,
    destination: &Namespace,
) -> Result<Option<Namespace>, OperatorError> {
    if let Some(series) = destination.time_series() {
        let source = source_name(scope, options, databases, &series)?;
        return Ok(source.map(|source| source.buckets()));
    }
    let collection = destination.collection.as_str();
    let mut candidates = vec![destination.clone()];
    candidates.extend(
        databases
            .iter()
            .map(|database| Namespace::new(database, collection)),
    );
    let rules = options
        .namespace_remap
        .as_ref()
        .and_then(|rules| rules.0.as_array());
    let text = |rule: &Value, name: &str| Some(rule.get("from")?.get(name)?.as_str()?.to_owned());
    for rule in rules.into_iter().flatten() {
        if let Some(database) = text(rule, "database") {
            let renamed = text(rule, "collection");
            candidates.push(Namespace::new(
                database,
                renamed.as_deref().unwrap_or(collection),
            ));
        }
    }
    for candidate in candidates {
        if scope.destination(&candidate)?.as_ref() == Some(destination) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}
