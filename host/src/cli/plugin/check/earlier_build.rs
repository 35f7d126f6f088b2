//! Compares the answers of a build with those of an earlier build, and checks `semantics`.

use anyhow::Result;
use bson::RawDocumentBuf;
use semver::Version;
use serde_json::Value;

use crate::model::Namespace;
use crate::model::options::OnError;
use crate::plugin::Scope;

use super::super::answer::{Answer, ask};
use super::super::document_text::id_of;
use super::super::subject::Subject;
use super::report::{Report, message};
use super::self_test::{Samples, names};

const CHECK: &str = "against";

/// Gives both builds the same input.
pub(super) fn check(
    new: &Subject,
    old: &Subject,
    config: &Value,
    samples: &Samples,
    report: &mut Report,
) -> Result<()> {
    if let Some(reason) = unfit(new, old) {
        report.failed(CHECK, reason);
        return Ok(());
    }
    let difference = match difference(new, old, config, samples) {
        Ok(difference) => difference,
        Err(error) => {
            report.failed(
                CHECK,
                format!("the builds cannot be compared: {}", message(&error)),
            );
            return Ok(());
        }
    };
    judge(new, old, difference, report);
    Ok(())
}

/// The reason for which a sync refuses to swap the old build for the new build, independent of answers.
fn unfit(new: &Subject, old: &Subject) -> Option<String> {
    let (info, before) = (&new.plugin.info, &old.plugin.info);
    if info.name != before.name {
        return Some(format!(
            "its name is {}, and that of the earlier build {}: a swap requires the same name",
            info.name, before.name
        ));
    }
    if let Some(lost) = old.plugin.exports.iter().find(|name| !new.exports(name)) {
        return Some(format!(
            "the earlier build exports {lost}, and the new build does not"
        ));
    }
    if (old.plugin.scope, new.plugin.scope) == (Scope::Delta, Scope::Document) {
        return Some(
            "its scope is document, and that of the earlier build delta: a running sync refuses it"
                .to_owned(),
        );
    }
    (info.semantics < before.semantics).then(|| {
        format!(
            "its semantics is {}, and that of the earlier build {}: the number only increases",
            info.semantics, before.semantics
        )
    })
}

/// The first input with different answers.
fn difference(
    new: &Subject,
    old: &Subject,
    config: &Value,
    samples: &Samples,
) -> Result<Option<String>> {
    if new.exports("route") && old.exports("route") {
        let (new, old) = (new.router(config)?, old.router(config)?);
        for name in names() {
            if new.route(&name).ok() != old.route(&name).ok() {
                return Ok(Some(format!("the namespace {name}")));
            }
        }
    }
    if new.exports("transform") && old.exports("transform") {
        let answers = |subject: &Subject| -> Result<Vec<Answer>> {
            let namespace: &Namespace = &samples.namespace;
            let chain = subject.chain(config, OnError::Quarantine, namespace)?;
            ask(&chain, &samples.documents)
        };
        let (new, old) = (answers(new)?, answers(old)?);
        return Ok(first_different(&samples.documents, &new, &old));
    }
    Ok(None)
}

/// The first document with different answers. Two refusals are equal, whatever their reasons.
fn first_different(documents: &[RawDocumentBuf], new: &[Answer], old: &[Answer]) -> Option<String> {
    let mut all = documents.iter().zip(new.iter().zip(old));
    let (document, _) = all.find(|(_, (new, old))| match (new, old) {
        (Answer::Refused(_), Answer::Refused(_)) => false,
        (new, old) => new != old,
    })?;
    Some(format!("the document with the _id {}", id_of(document)))
}

fn judge(new: &Subject, old: &Subject, difference: Option<String>, report: &mut Report) {
    let (info, before) = (&new.plugin.info, &old.plugin.info);
    let (semantics, version) = (info.semantics, &before.version);
    let rose = semantics > before.semantics;
    match difference {
        Some(input) if rose => report.ok(
            CHECK,
            format!("other answers than {version}, on {input}; semantics rose to {semantics}"),
        ),
        Some(input) => report.failed(
            CHECK,
            format!(
                "another answer than {version}, on {input}: increase semantics from {semantics}, or a running \
                 sync that adopts the build has documents of both kinds"
            ),
        ),
        None if rose => report.skipped(
            CHECK,
            format!(
                "the same answers as {version} to all inputs, but semantics rose to {semantics}: give a \
                 document with another answer with --in, or keep the number"
            ),
        ),
        None => report.ok(
            CHECK,
            format!("the same answers as {version} to all inputs; semantics stays {semantics}"),
        ),
    }
    let newer = Version::parse(&info.version).ok() > Version::parse(version).ok();
    if !rose && !newer && info.digest != before.digest {
        report.skipped(
            "version",
            format!(
                "{} is not newer than {version}: no running sync adopts it",
                info.version
            ),
        );
    }
}
