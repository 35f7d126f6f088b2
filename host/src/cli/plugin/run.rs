//! `tidegate plugin run`: runs a plugin on documents or names, and shows the outcomes.

use std::time::Instant;

use anyhow::{Context, Result};
use bson::{Bson, RawDocument, RawDocumentBuf};
use serde_json::Value;

use crate::model::Route;
use crate::model::options::OnError;
use crate::plugin::Outcome;

use super::super::status::CommandStatus;
use super::console::{Console, Paint};
use super::diff::{compact, difference};
use super::documents::{self, InputDocuments};
use super::subject::{self, Subject};
use super::usage_error::usage_error;
use super::{command, names};

/// Most characters of a document on the line of its outcome.
const WIDTH: usize = 100;

/// Documents by outcome.
#[derive(Debug, Default)]
struct Counts {
    kept: usize,
    dropped: usize,
    replaced: usize,
    errors: usize,
}

pub(super) fn execute(
    arguments: &command::RunArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    console.set_color(arguments.color);
    let subject = Subject::open(&arguments.subject.file)?;
    let config = subject::config_or_empty(&arguments.subject)?;
    match (&arguments.names, &arguments.input) {
        (Some(names), _) => route(&subject, &config, names, console),
        (None, Some(input)) => transform(&subject, &config, input, arguments, console),
        (None, None) => Err(usage_error(
            "Give documents with --in, or names with --names.",
        )),
    }
}

fn transform(
    subject: &Subject,
    config: &Value,
    input: &str,
    arguments: &command::RunArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let InputDocuments {
        mut namespace,
        documents,
    } = documents::read(input, usize::try_from(arguments.limit)?)?;
    if let Some(given) = &arguments.namespace {
        namespace = documents::namespace(given)?;
    }
    // With `Stop`, a document that the plugin cannot handle would hide the documents after it.
    let chain = subject.chain(config, OnError::Quarantine, &namespace)?;
    let batch = joined(&documents);
    let begun = Instant::now();
    let transformed = chain.transform(&batch)?;
    let elapsed = begun.elapsed();

    let mut counts = Counts::default();
    for (document, outcome) in documents.iter().zip(transformed.outcomes()) {
        show(arguments.diff, document, outcome, &mut counts, console)?;
    }
    let micros = elapsed.as_secs_f64() * 1e6 / documents.len() as f64;
    console.line(format!(
        "{} documents of {namespace}: {} kept, {} dropped, {} replaced, {} errors; {micros:.1} µs a document",
        documents.len(),
        counts.kept,
        counts.dropped,
        counts.replaced,
        counts.errors,
    ))?;
    Ok(status(counts.errors))
}

/// Shows the route of each namespace.
fn route(
    subject: &Subject,
    config: &Value,
    input: &str,
    console: &mut Console,
) -> Result<CommandStatus> {
    let names = names::read(input)?;
    if !subject.exports("route") {
        return Err(usage_error(format!(
            "{} does not export route, so it does not decide about names; give documents with --in.",
            subject.plugin.info.name
        )));
    }
    let router = subject.router(config)?;
    let (mut kept, mut skipped, mut renamed, mut errors) = (0, 0, 0, 0);
    for name in &names {
        let line = match router.route(name) {
            Ok(Route::Keep) => {
                kept += 1;
                format!("kept      {name}")
            }
            Ok(Route::Skip) => {
                skipped += 1;
                console.paint(Paint::Red, &format!("skipped   {name}"))
            }
            Ok(Route::Rename(to)) => {
                renamed += 1;
                console.paint(Paint::Green, &format!("renamed   {name} to {to}"))
            }
            Err(error) => {
                errors += 1;
                console.paint(
                    Paint::Yellow,
                    &format!("error     {name}: {}", error.message),
                )
            }
        };
        console.line(line)?;
    }
    console.line(format!(
        "{} namespaces: {kept} kept, {skipped} skipped, {renamed} renamed, {errors} errors",
        names.len()
    ))?;
    Ok(status(errors))
}

fn status(errors: usize) -> CommandStatus {
    if errors == 0 {
        CommandStatus::Success
    } else {
        CommandStatus::Failure
    }
}

/// Consecutive documents, in the form of a batch.
pub(super) fn joined(documents: &[RawDocumentBuf]) -> Vec<u8> {
    documents
        .iter()
        .flat_map(|document| document.as_bytes())
        .copied()
        .collect()
}

fn show(
    style: command::Style,
    document: &RawDocument,
    outcome: Outcome<'_>,
    counts: &mut Counts,
    console: &mut Console,
) -> Result<()> {
    let line = match outcome {
        Outcome::Keep => {
            counts.kept += 1;
            format!("kept      {}", compact(document, WIDTH))
        }
        Outcome::Drop => {
            counts.dropped += 1;
            let text = format!("dropped   {}", compact(document, WIDTH));
            console.paint(Paint::Red, &text)
        }
        Outcome::Quarantined(fault) => {
            counts.errors += 1;
            let text = format!("error     _id {}: {fault}", id_of(document));
            console.paint(Paint::Yellow, &text)
        }
        Outcome::Replaced(after) => {
            counts.replaced += 1;
            console
                .line(console.paint(Paint::Green, &format!("replaced  _id {}", id_of(document))))?;
            let after = RawDocument::from_bytes(after).context("read a replacement")?;
            for line in difference(console, style, document, after) {
                console.line(line)?;
            }
            return Ok(());
        }
    };
    Ok(console.line(line)?)
}

/// The `_id` as relaxed Extended JSON.
pub(super) fn id_of(document: &RawDocument) -> String {
    let id = document.get("_id").ok().flatten();
    let id = id.and_then(|id| Bson::try_from(id).ok());
    id.map_or_else(
        || "none".to_owned(),
        |id| id.into_relaxed_extjson().to_string(),
    )
}
