//! `tidegate plugin watch`: builds and runs the plugin in a folder whenever a file of it changes, and shows what changes
//! in its answers. It runs until it is interrupted.

mod sources;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use bson::RawDocumentBuf;
use serde_json::{Value, json};

use crate::config::mask_text;
use crate::model::options::OnError;

use super::super::status::CommandStatus;
use super::answer::{Answer, ask};
use super::build;
use super::command::WatchArgs;
use super::comparison::{Listing, Tally};
use super::console::{Console, Paint};
use super::documents::{self, InputDocuments};
use super::run::{Counts, show};
use super::subject::{self, Subject};
use sources::Sources;

/// Time between two looks at the files.
const PAUSE: Duration = Duration::from_millis(300);

/// What the plugin is run on.
struct Inputs<'a> {
    arguments: &'a WatchArgs,
    documents: String,
    config: Option<String>,
    /// The documents of a collection, which is read once.
    sample: Option<InputDocuments>,
}

/// The answers of a build that ran.
struct Round {
    documents: Vec<RawDocumentBuf>,
    answers: Vec<Answer>,
}

pub(super) fn execute(arguments: &WatchArgs, console: &mut Console) -> Result<CommandStatus> {
    console.set_color(arguments.color);
    build::language(&arguments.folder)?;
    let inputs = Inputs::of(arguments)?;
    let mut last: Option<Round> = None;
    loop {
        let seen = inputs.sources();
        match round(&inputs, last.as_ref(), console) {
            Ok(round) => last = Some(round),
            // The next change of a file may mend it.
            Err(error) => {
                let text = format!("error     {}", mask_text(&format!("{error:#}")));
                console.line(console.paint(Paint::Yellow, &text))?;
            }
        }
        console.line("waiting for a change; Ctrl-C ends")?;
        console.flush()?;
        wait(&inputs, &seen);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that runs alone, and no task of a host"
)]
fn wait(inputs: &Inputs<'_>, seen: &Sources) {
    while inputs.sources() == *seen {
        thread::sleep(PAUSE);
    }
}

impl<'a> Inputs<'a> {
    /// The inputs of the command, which have to be readable when it begins.
    fn of(arguments: &'a WatchArgs) -> Result<Self> {
        let inside = |name: &str| arguments.folder.join(name).to_string_lossy().into_owned();
        let documents = arguments.input.clone();
        let documents = documents.unwrap_or_else(|| inside("documents.json"));
        let config = arguments.config.clone().or_else(|| {
            let file = inside("config.json");
            Path::new(&file).is_file().then_some(file)
        });
        let mut inputs = Self {
            arguments,
            documents,
            config,
            sample: None,
        };
        inputs.config()?;
        let read = inputs.read()?;
        inputs.sample = documents::is_connection_string(&inputs.documents).then_some(read);
        Ok(inputs)
    }

    fn config(&self) -> Result<Value> {
        let config = self.config.as_deref().map(subject::read_config);
        Ok(config.transpose()?.unwrap_or_else(|| json!({})))
    }

    fn read(&self) -> Result<InputDocuments> {
        documents::read(&self.documents, usize::try_from(self.arguments.limit)?)
    }

    /// The plugin's files, and those that it is run on.
    fn sources(&self) -> Sources {
        let others = [Some(&self.documents), self.config.as_ref()];
        let others = others.into_iter().flatten().map(PathBuf::from);
        Sources::of(&self.arguments.folder, others)
    }
}

/// Builds and runs the plugin, and shows its answers: all of them, or what has changed since the last round on the same
/// documents.
fn round(inputs: &Inputs<'_>, last: Option<&Round>, console: &mut Console) -> Result<Round> {
    let component = build::component(&inputs.arguments.folder, console)?;
    let subject = Subject::of(&subject::read(&component)?)?;
    let InputDocuments {
        namespace,
        documents,
    } = match &inputs.sample {
        Some(sample) => sample.clone(),
        None => inputs.read()?,
    };
    let chain = subject.chain(&inputs.config()?, OnError::Quarantine, &namespace)?;
    let round = Round {
        answers: ask(&chain, &documents)?,
        documents,
    };
    let what = match last.filter(|last| last.documents == round.documents) {
        Some(last) => changes(inputs, last, &round, console)?.to_string(),
        None => all(inputs, &round, console)?.to_string(),
    };
    console.line(format!(
        "{} documents of {namespace}: {what}",
        round.documents.len()
    ))?;
    Ok(round)
}

fn all(inputs: &Inputs<'_>, round: &Round, console: &mut Console) -> Result<Counts> {
    let mut counts = Counts::default();
    for (document, answer) in round.documents.iter().zip(&round.answers) {
        show(
            inputs.arguments.diff,
            document,
            answer,
            &mut counts,
            console,
        )?;
    }
    Ok(counts)
}

fn changes(
    inputs: &Inputs<'_>,
    last: &Round,
    round: &Round,
    console: &mut Console,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let listing = Listing {
        most: usize::MAX,
        contents: Some(inputs.arguments.diff),
    };
    let answers = last.answers.iter().zip(&round.answers);
    for (document, (old, new)) in round.documents.iter().zip(answers) {
        tally.add(document, [old, new], listing, console)?;
    }
    Ok(tally)
}
