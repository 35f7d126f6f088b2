//! Views under a namespace remap: a view reads its collection under the destination's name.
//!
//! `viewOn` is rewritten. Pipelines are not: a pipeline that names a renamed collection is refused,
//! since the view would read nothing.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use super::scope::Scope;
use crate::{
    model::{ErrorName, Namespace, OperatorError},
    mongo,
    sync::Error,
};

/// Fields of pipeline stages that name a collection of the view's own database (MongoDB manual,
/// `$lookup`, `$graphLookup`, `$unionWith`).
const NAMING: [&str; 3] = ["from", "coll", "$unionWith"];

/// A view's options for the destination, from `listCollections` or a change event.
///
/// # Errors
/// `CollectionNotSupported` where the view reads a collection whose new name a rewrite cannot
/// express.
pub(crate) fn on_destination(
    scope: &Scope,
    view: &Namespace,
    destination: &Namespace,
    options: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let mut mapped = RawDocumentBuf::new();
    for option in options {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        match (name.as_str(), value) {
            ("viewOn", RawBsonRef::String(read)) => {
                let read = name_on_destination(scope, view, destination, read)?;
                mapped.append(name, read);
            }
            ("pipeline", RawBsonRef::Array(pipeline)) => {
                for stage in pipeline {
                    let stage = stage.map_err(mongo::Error::Bson)?;
                    refuse_renamed(scope, view, destination, stage)?;
                }
                mapped.append(name, value);
            }
            _ => mapped.append(name, value),
        }
    }
    Ok(mapped)
}

fn refuse_renamed(
    scope: &Scope,
    view: &Namespace,
    destination: &Namespace,
    value: RawBsonRef<'_>,
) -> Result<(), Error> {
    let fields: Vec<_> = match value {
        RawBsonRef::Document(document) => document
            .iter()
            .map(|field| field.map(|(name, value)| (name.as_str(), value)))
            .collect::<Result<_, _>>(),
        RawBsonRef::Array(array) => array.into_iter().map(|value| Ok(("", value?))).collect(),
        _ => return Ok(()),
    }
    .map_err(mongo::Error::Bson)?;
    for (field, value) in fields {
        match value {
            RawBsonRef::String(read) if NAMING.contains(&field) => {
                let mapped = name_on_destination(scope, view, destination, read)?;
                if mapped != read {
                    return Err(refusal(view, read).into());
                }
            }
            nested => refuse_renamed(scope, view, destination, nested)?,
        }
    }
    Ok(())
}

/// The destination name of a collection that a view reads; its own name if it is not synced.
fn name_on_destination(
    scope: &Scope,
    view: &Namespace,
    destination: &Namespace,
    read: &str,
) -> Result<String, Error> {
    match scope.destination(&Namespace::new(view.database.as_str(), read))? {
        Some(mapped) if mapped.database == destination.database => Ok(mapped.collection),
        Some(_) => Err(refusal(view, read).into()),
        None => Ok(read.to_owned()),
    }
}

fn refusal(view: &Namespace, read: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::CollectionNotSupported,
        format!(
            "The view {view} reads {read}, which has another name or database on the destination. \
             Exclude the view, or change the remap so that both stay together, and create the view by hand after commit."
        ),
    )
}
