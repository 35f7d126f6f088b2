//! Whether a build answers as an earlier one does: what `semantics` has to say.

use anyhow::Result;
use bson::RawDocumentBuf;
use semver::Version;
use serde_json::Value;

use crate::model::Namespace;
use crate::model::options::OnError;
use crate::plugin::Scope;

use super::super::run::id_of;
use super::super::subject::Subject;
use super::answer::{Answer, ask};
use super::report::{Report, message};
use super::self_test::{Samples, names};

const CHECK: &str = "against";

/// Asks both builds the same.
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

/// Why the new build could not take the old one's place in a sync, whatever it answers.
fn unfit(new: &Subject, old: &Subject) -> Option<String> {
    let (info, before) = (&new.plugin.info, &old.plugin.info);
    if info.name != before.name {
        return Some(format!(
            "it is called {}, and the earlier build {}: a sync knows plugins by their names",
            info.name, before.name
        ));
    }
    if let Some(lost) = old.plugin.exports.iter().find(|name| !new.exports(name)) {
        return Some(format!("the earlier build exports {lost}, and it does not"));
    }
    if (old.plugin.scope, new.plugin.scope) == (Scope::Delta, Scope::Document) {
        return Some(
            "it has to see whole documents, and the earlier build only fields: a running sync \
             refuses it"
                .to_owned(),
        );
    }
    (info.semantics < before.semantics).then(|| {
        format!(
            "its semantics is {}, and the earlier build's {}: the number counts up",
            info.semantics, before.semantics
        )
    })
}

/// The first thing that they answer differently.
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

/// Two refusals are the same answer, in whatever words.
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
        Some(what) if rose => report.ok(
            CHECK,
            format!("not the same answers as {version}, on {what}; semantics rose to {semantics}"),
        ),
        Some(what) => report.failed(
            CHECK,
            format!(
                "not the same answer as {version}, on {what}: count semantics up from {semantics}, or a \
                 running sync that takes it up has documents of both kinds"
            ),
        ),
        None if rose => report.skipped(
            CHECK,
            format!(
                "the same answers as {version} to all that was tried, and semantics rose to {semantics}: \
                 give a document that is answered otherwise with --in, or leave the number"
            ),
        ),
        None => report.ok(
            CHECK,
            format!("the same answers as {version} to all that was tried; semantics stays {semantics}"),
        ),
    }
    let newer = Version::parse(&info.version).ok() > Version::parse(version).ok();
    if !rose && !newer && info.digest != before.digest {
        report.skipped(
            "version",
            format!(
                "{} is not newer than {version}: no running sync takes it up by itself",
                info.version
            ),
        );
    }
}
