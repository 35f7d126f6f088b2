//! `tidegate plugin run`: runs a plugin on documents or names, and shows the outcomes.

use std::fmt;
use std::time::Instant;

use anyhow::{Context, Result};
use bson::RawDocument;
use serde_json::Value;

use crate::model::Route;
use crate::model::options::OnError;

use super::super::status::CommandStatus;
use super::answer::Answer;
use super::console::{Console, Paint};
use super::document_text::{compact, difference, id_of};
use super::documents::{self, InputDocuments, joined};
use super::subject::{self, Subject};
use super::usage_error::usage_error;
use super::{command, names};

/// Most characters of a document on the line of its outcome.
const WIDTH: usize = 100;

/// Documents by outcome.
#[derive(Debug, Default)]
pub(super) struct Counts {
    kept: usize,
    dropped: usize,
    replaced: usize,
    errors: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kept,
            dropped,
            replaced,
            errors,
        } = self;
        write!(
            f,
            "{kept} kept, {dropped} dropped, {replaced} replaced, {errors} errors"
        )
    }
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
        let answer = Answer::of(outcome);
        show(arguments.diff, document, &answer, &mut counts, console)?;
    }
    let micros = elapsed.as_secs_f64() * 1e6 / documents.len() as f64;
    console.line(format!(
        "{} documents of {namespace}: {counts}; {micros:.1} µs a document",
        documents.len(),
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

/// Shows a document and its answer, and counts it.
pub(super) fn show(
    style: command::Style,
    document: &RawDocument,
    answer: &Answer,
    counts: &mut Counts,
    console: &mut Console,
) -> Result<()> {
    let line = match answer {
        Answer::Kept => {
            counts.kept += 1;
            format!("kept      {}", compact(document, WIDTH))
        }
        Answer::Dropped => {
            counts.dropped += 1;
            let text = format!("dropped   {}", compact(document, WIDTH));
            console.paint(Paint::Red, &text)
        }
        Answer::Refused(reason) | Answer::Broken(reason) => {
            counts.errors += 1;
            let text = format!("error     _id {}: {reason}", id_of(document));
            console.paint(Paint::Yellow, &text)
        }
        Answer::Replaced(after) => {
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
