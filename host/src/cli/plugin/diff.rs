//! `tidegate plugin diff`: runs two builds on the same documents or names, and counts and lists the differences of their
//! answers.

use anyhow::Result;
use serde_json::{Value, json};

use crate::model::{Namespace, Route, options::OnError};
use crate::plugin::Router;

use super::super::status::CommandStatus;
use super::answer::ask;
use super::comparison::{Difference, Listing, Tally};
use super::console::{Console, Paint};
use super::document_stream::DocumentStream;
use super::subject::{self, Subject};
use super::usage_error::usage_error;
use super::{command, documents, names};

/// A build with its configuration.
struct Build {
    subject: Subject,
    config: Value,
}

pub(super) fn execute(
    arguments: &command::DiffArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    console.set_color(arguments.color);
    let config = arguments.config.as_deref();
    let new_config = arguments.new_config.as_deref().or(config);
    let builds = [
        Build::open(&arguments.old, config)?,
        Build::open(&arguments.new, new_config)?,
    ];
    show_builds(&builds, console)?;
    let listing = Listing {
        most: usize::try_from(arguments.list)?,
        contents: arguments.contents.then_some(arguments.diff),
    };
    let (tally, what) = match (&arguments.names, &arguments.input) {
        (Some(names), _) => routes(&builds, names, listing, console)?,
        (None, Some(input)) => transforms(&builds, input, arguments, listing, console)?,
        (None, None) => {
            return Err(usage_error(
                "Give documents with --in, or names with --names.",
            ));
        }
    };
    let unlisted = tally.different().saturating_sub(listing.most);
    if unlisted > 0 {
        console.line(format!("… and {unlisted} more; --list N lists more"))?;
    }
    console.line(format!("{} {what}: {tally}", tally.all()))?;
    Ok(if tally.different() == 0 {
        CommandStatus::Success
    } else {
        CommandStatus::Failure
    })
}

fn show_builds(builds: &[Build; 2], console: &mut Console) -> Result<()> {
    for (word, build) in ["old", "new"].into_iter().zip(builds) {
        let info = &build.subject.plugin.info;
        console.line(format!(
            "{word}       {} {}, semantics {}, {}",
            info.name, info.version, info.semantics, info.digest
        ))?;
    }
    Ok(())
}

impl Build {
    fn open(file: &str, config: Option<&str>) -> Result<Self> {
        let config = config.map(subject::read_config).transpose()?;
        Ok(Self {
            subject: Subject::open(file)?,
            config: config.unwrap_or_else(|| json!({})),
        })
    }

    fn router(&self) -> Result<Router> {
        if !self.subject.exports("route") {
            return Err(usage_error(format!(
                "{} does not export route, so it does not decide about names; give documents with --in.",
                self.subject.plugin.info.name
            )));
        }
        self.subject.router(&self.config)
    }
}

fn transforms(
    builds: &[Build; 2],
    input: &str,
    arguments: &command::DiffArgs,
    listing: Listing,
    console: &mut Console,
) -> Result<(Tally, String)> {
    let limit = arguments.limit.map_or(Ok(usize::MAX), usize::try_from)?;
    let mut stream = DocumentStream::open(input, limit)?;
    let given = arguments.namespace.as_deref();
    let namespace = given.map_or(Ok(stream.namespace.clone()), documents::namespace)?;
    // With `Stop`, a document that a build cannot handle would hide the documents after it.
    let chain = |build: &Build| {
        let Build { subject, config } = build;
        subject.chain(config, OnError::Quarantine, &namespace)
    };
    let [old, new] = builds;
    let (old, new) = (chain(old)?, chain(new)?);
    let mut tally = Tally::default();
    loop {
        let part = stream.next()?;
        if part.is_empty() {
            break;
        }
        let (before, after) = (ask(&old, &part)?, ask(&new, &part)?);
        for (document, (old, new)) in part.iter().zip(before.iter().zip(&after)) {
            tally.add(document, [old, new], listing, console)?;
        }
    }
    if tally.all() == 0 {
        return Err(documents::none(input));
    }
    Ok((tally, format!("documents of {namespace}")))
}

fn routes(
    builds: &[Build; 2],
    input: &str,
    listing: Listing,
    console: &mut Console,
) -> Result<(Tally, String)> {
    let names = names::read(input)?;
    let [old, new] = builds;
    let (old, new) = (old.router()?, new.router()?);
    let mut tally = Tally::default();
    for name in &names {
        let (before, after) = (route(&old, name), route(&new, name));
        // Two errors are equal, whatever their reasons.
        let same = match (&before, &after) {
            (Err(_), Err(_)) => true,
            (before, after) => before == after,
        };
        let difference = (!same).then_some(Difference::Outcome);
        if tally.count(difference.as_ref(), listing) {
            let text = |route: Result<String, String>| route.unwrap_or_else(|error| error);
            let line = format!("differs   {name}: {}, now {}", text(before), text(after));
            console.line(console.paint(Paint::Yellow, &line))?;
        }
    }
    Ok((tally, "namespaces".to_owned()))
}

/// A route in words.
fn route(router: &Router, name: &Namespace) -> Result<String, String> {
    match router.route(name) {
        Ok(Route::Keep) => Ok("kept".to_owned()),
        Ok(Route::Skip) => Ok("skipped".to_owned()),
        Ok(Route::Rename(to)) => Ok(format!("renamed to {to}")),
        Err(error) => Err(format!("an error ({})", error.message)),
    }
}
