//! `tidegate plan`: what a start would do, as text or JSON. Changes nothing on either cluster.
//!
//! Exit codes: 0 the sync could start, 1 it would be refused, otherwise those of the host.

mod json;
mod text;

use std::io::{self, Write};

use super::status::CommandStatus;
use crate::{
    metadata::NamespaceKind,
    model::{OperatorError, StartOptions},
    session::{Rehearsal, Settings, rehearse},
};

/// Rehearses a start with these options, and prints the result to standard output. Refused options are a result, too.
///
/// # Errors
///
/// A cluster that does not answer or refuses the credentials, and a feature set that does not load.
pub async fn plan(
    options: Result<StartOptions, OperatorError>,
    as_json: bool,
    settings: Settings,
) -> anyhow::Result<CommandStatus> {
    let rehearsal = match &options {
        Ok(options) => rehearse(settings, options.clone()).await?,
        Err(refusal) => Rehearsal {
            refusals: vec![refusal.clone()],
            ..Rehearsal::default()
        },
    };
    let options = options.ok();
    let shown = if as_json {
        format!("{:#}\n", json::plan(options.as_ref(), &rehearsal))
    } else {
        text::plan(options.as_ref(), &rehearsal)
    };
    io::stdout().lock().write_all(shown.as_bytes())?;
    Ok(if rehearsal.refusals.is_empty() {
        CommandStatus::Success
    } else {
        CommandStatus::Failure
    })
}

/// Sums over the namespaces in scope.
#[derive(Default)]
struct Totals {
    collections: u64,
    views: u64,
    documents: u64,
    bytes: u64,
    index_bytes: u64,
    indexes: u64,
}

impl Totals {
    fn of(rehearsal: &Rehearsal) -> Self {
        let mut totals = Self::default();
        for namespace in rehearsal.namespaces.iter().flatten() {
            match namespace.kind {
                NamespaceKind::Collection => totals.collections += 1,
                NamespaceKind::View => totals.views += 1,
            }
            totals.documents += namespace.size.documents;
            totals.bytes += namespace.size.bytes;
            totals.index_bytes += namespace.size.index_bytes;
            totals.indexes += u64::try_from(namespace.indexes.len()).unwrap_or_default();
        }
        totals
    }
}
