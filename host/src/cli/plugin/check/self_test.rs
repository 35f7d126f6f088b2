//! The self-test: documents of every BSON type, in a batch, repeatedly, and alone.
//!
//! A plugin may refuse a document. It may not return invalid output, trap, or answer the same document differently.

use anyhow::Result;
use bson::{RawDocument, RawDocumentBuf};
use serde_json::{Value, json};

use crate::model::options::OnError;
use crate::model::{ErrorName, Namespace, OperatorError};
use crate::plugin::{NamespaceChain, Scope};

use super::super::answer::{Answer, ask};
use super::super::document_text::{compact, id_of};
use super::super::documents::InputDocuments;
use super::super::samples;
use super::super::subject::Subject;
use super::delta;
use super::report::{Report, message};

/// The documents of a self-test.
pub(super) struct Samples {
    /// The namespace that the plugin is told.
    pub(super) namespace: Namespace,
    pub(super) documents: Vec<RawDocumentBuf>,
    /// The number of documents from `--in`, at the end of the list.
    own: usize,
}

impl Samples {
    /// Documents of every BSON type with the fields and values of the configuration, and those from `--in`.
    pub(super) fn new(config: &Value, own: Option<InputDocuments>) -> Result<Self> {
        let mut documents = samples::of_every_type(config)?;
        let Some(given) = own else {
            let namespace = namespace();
            return Ok(Self {
                namespace,
                documents,
                own: 0,
            });
        };
        let own = given.documents.len();
        documents.extend(given.documents);
        Ok(Self {
            namespace: given.namespace,
            documents,
            own,
        })
    }

    fn described(&self) -> String {
        let made_up = self.documents.len() - self.own;
        match self.own {
            0 => format!("{made_up} documents of every BSON type"),
            own => format!("{made_up} documents of every BSON type and {own} of --in"),
        }
    }
}

/// Names of every kind.
pub(super) fn names() -> [Namespace; 5] {
    [
        namespace(),
        Namespace::new("Sales", "orders.2024"),
        Namespace::new("sales", "orders"),
        Namespace::new("sales_test", "tmp_orders"),
        Namespace::new("a-b_c", "ünï 𝄞"),
    ]
}

/// Configures the plugin, by default with `{}`, and tests it. Returns the samples, or `None` if the plugin could not be
/// configured.
pub(super) fn run(
    subject: &Subject,
    config: Option<Value>,
    own: Option<InputDocuments>,
    report: &mut Report,
) -> Result<Option<Samples>> {
    if !subject.exports("transform") && !subject.exports("route") {
        report.skipped("self-test", "it exports neither route nor transform");
        return Ok(None);
    }
    let given = config.is_some();
    let config = config.unwrap_or_else(|| json!({}));
    if let Err(error) = configure(subject, &config) {
        if !given && is_about_config(&error) {
            report.skipped(
                "configure",
                format!(
                    "{{}} is refused ({}): give --config to test it",
                    message(&error)
                ),
            );
        } else {
            report.failed("configure", message(&error));
        }
        return Ok(None);
    }
    report.ok("configure", if given { "with --config" } else { "with {}" });
    if subject.exports("route") {
        route(subject, &config, report);
    }
    let samples = Samples::new(&config, own)?;
    if subject.exports("transform") {
        transform(subject, &config, &samples, report)?;
    }
    Ok(Some(samples))
}

/// Configures an instance for each use that a sync makes of the plugin.
fn configure(subject: &Subject, config: &Value) -> Result<()> {
    if subject.exports("route") {
        subject.router(config)?;
    }
    if subject.exports("transform") {
        subject.chain(config, OnError::Stop, &namespace())?;
    }
    Ok(())
}

fn namespace() -> Namespace {
    Namespace::new("test", "documents")
}

fn is_about_config(error: &anyhow::Error) -> bool {
    let name = error
        .downcast_ref::<OperatorError>()
        .map(|error| error.name);
    matches!(
        name,
        Some(
            ErrorName::UnknownField
                | ErrorName::MissingField
                | ErrorName::InvalidField
                | ErrorName::InvalidRegex
                | ErrorName::NotSupported
        )
    )
}

fn route(subject: &Subject, config: &Value, report: &mut Report) {
    let namespaces = names();
    let ask = || -> Result<Vec<_>> {
        let router = subject.router(config)?;
        namespaces
            .iter()
            .map(|namespace| Ok(router.route(namespace)?))
            .collect()
    };
    match (ask(), ask()) {
        (Ok(first), Ok(second)) if first == second => {
            report.ok(
                "route",
                format!("{} namespaces, the same answers twice", namespaces.len()),
            );
        }
        (Ok(_), Ok(_)) => report.failed("route", "it answers differently the second time"),
        (Err(error), _) | (_, Err(error)) => report.failed("route", message(&error)),
    }
}

fn transform(
    subject: &Subject,
    config: &Value,
    samples: &Samples,
    report: &mut Report,
) -> Result<()> {
    let documents = &samples.documents;
    let chain = || subject.chain(config, OnError::Quarantine, &samples.namespace);
    let warm = chain()?;
    let answers = match ask(&warm, documents) {
        Ok(answers) => answers,
        Err(error) => {
            report.failed("transform", message(&error));
            return Ok(());
        }
    };
    if let Some((document, reason)) = first_broken(documents, &answers) {
        let document = compact(document, 300);
        report.failed("transform", format!("{reason}; on the document {document}"));
        return Ok(());
    }
    let counts = counts(&answers);
    report.ok("transform", format!("{}: {counts}", samples.described()));
    if !answers.iter().any(is_effect) {
        report.skipped(
            "effect",
            "not tested, because no document was dropped or replaced; give documents that it changes with \
             --in, or a configuration that names their fields with --config",
        );
    }
    determinism(&warm, &chain()?, documents, &answers, report)?;
    if warm.scope() == Scope::Delta {
        delta::check(&warm, documents, &answers, report)?;
    }
    Ok(())
}

fn is_effect(answer: &Answer) -> bool {
    matches!(answer, Answer::Dropped | Answer::Replaced(_))
}

/// Compares with the answers of the same instance to a second pass, and of another instance to single documents.
fn determinism(
    warm: &NamespaceChain,
    fresh: &NamespaceChain,
    documents: &[RawDocumentBuf],
    answers: &[Answer],
    report: &mut Report,
) -> Result<()> {
    let again = ask(warm, documents)?;
    let mut alone = Vec::new();
    for document in documents {
        alone.extend(ask(fresh, std::slice::from_ref(document))?);
    }
    for (other, how) in [
        (again, "the second time"),
        (alone, "when a document is alone"),
    ] {
        if let Some(id) = first_different(documents, answers, &other) {
            report.failed(
                "determinism",
                format!("it answers differently {how}: _id {id}"),
            );
            return Ok(());
        }
    }
    report.ok("determinism", "the same answers again, and one by one");
    Ok(())
}

fn first_broken<'a>(
    documents: &'a [RawDocumentBuf],
    answers: &'a [Answer],
) -> Option<(&'a RawDocument, &'a str)> {
    let mut pairs = documents.iter().zip(answers);
    pairs.find_map(|(document, answer)| match answer {
        Answer::Broken(reason) => Some((document.as_ref(), reason.as_str())),
        _ => None,
    })
}

fn first_different(
    documents: &[RawDocumentBuf],
    answers: &[Answer],
    others: &[Answer],
) -> Option<String> {
    let mut pairs = documents.iter().zip(answers.iter().zip(others));
    let (document, _) = pairs.find(|(_, (answer, other))| answer != other)?;
    Some(id_of(document))
}

fn counts(answers: &[Answer]) -> String {
    let count = |is: fn(&Answer) -> bool| answers.iter().filter(|answer| is(answer)).count();
    format!(
        "{} kept, {} dropped, {} replaced, {} refused",
        count(|answer| matches!(answer, Answer::Kept)),
        count(|answer| matches!(answer, Answer::Dropped)),
        count(|answer| matches!(answer, Answer::Replaced(_))),
        count(|answer| matches!(answer, Answer::Refused(_))),
    )
}
