//! Version 2 to 1: removes the fields of version 2. Refused where a host of version 1 could not continue the
//! sync.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, find};

use crate::field::{array, check_version, document, entries, flag, optional, required, text};
use crate::pinned;

/// Fields that version 2 adds.
const ADDED: [&[u8]; 6] = [
    b"begunBy",
    b"features",
    b"upgrades",
    b"swaps",
    b"recopy",
    b"term",
];

const STATES: [&str; 6] = [
    "IDLE",
    "RUNNING",
    "PAUSED",
    "COMMITTING",
    "COMMITTED",
    "REVERSING",
];

const PHASES: [&str; 5] = [
    "collectionCopy",
    "indexBuild",
    "changeEventApplication",
    "restore",
    "done",
];

/// Options of the newest release of version 1.
const FEATURES: [&str; 3] = ["plugins", "documentFilter", "namespaceRemap"];

/// Removes the term of a document other than the session.
pub(crate) fn other(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        if !element.is_named(b"term") {
            writer.copy(&element);
        }
    }
    writer.finish();
    Ok(())
}

/// Converts the session, if version 1 supports its contents.
pub(crate) fn session(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    check_version(document)?;
    check_word(document, "state", &STATES)?;
    check_word(document, "phase", &PHASES)?;
    check_features(document)?;
    check_swaps(document)?;
    check_recopy(document)?;
    let plugins = match find(document, "pinned")? {
        Some(pinned) => pinned::back(array().of(&pinned, "pinned")?)?,
        None => Vec::new(),
    };
    let mut writer = DocumentWriter::append_to(out);
    let mut after_version_1 = false;
    for element in elements(document)? {
        let element = element?;
        if element.is_named(b"pinned") {
            // Version 0.1.0 had no such list: the step forward added an empty list after the other fields.
            if !(after_version_1 && plugins.is_empty()) {
                pinned::write_back(&plugins, &mut writer)?;
            }
        } else if !ADDED.contains(&element.name) {
            writer.copy(&element);
        }
        after_version_1 |= element.is_named(b"features");
    }
    writer.finish();
    Ok(())
}

fn check_word(session: &[u8], name: &str, known: &[&str]) -> Result<(), DocumentFailure> {
    let word = required(session, name, &text())?;
    if known.contains(&word) {
        return Ok(());
    }
    Err(refused(&format!(
        "its {name} is {word}, which version 1 does not have"
    )))
}

fn check_features(session: &[u8]) -> Result<(), DocumentFailure> {
    let features = entries(session, "features", &text())?;
    match features.iter().find(|feature| !FEATURES.contains(feature)) {
        None => Ok(()),
        Some(feature) => Err(refused(&format!(
            "it was begun with {feature}, which version 1 does not have"
        ))),
    }
}

/// The documents copied again come from today's component, as of a time that version 1 does not know.
fn check_swaps(session: &[u8]) -> Result<(), DocumentFailure> {
    for swap in entries(session, "swaps", &document())? {
        if optional(swap, "recopied", &flag())? != Some(true) {
            continue;
        }
        let field = |name| required(swap, name, &text());
        return Err(refused(&format!(
            "in {}, {} took the place of another build and its namespaces were copied again, and \
             version 1 does not know from which time on it applies",
            field("slot")?,
            field("name")?
        )));
    }
    Ok(())
}

/// Version 1 would never copy the namespaces that are still waiting for it.
fn check_recopy(session: &[u8]) -> Result<(), DocumentFailure> {
    match entries(session, "recopy", &text())?.as_slice() {
        [] => Ok(()),
        waiting => Err(refused(&format!(
            "{} of its namespaces wait to be copied again, which version 1 cannot do",
            waiting.len()
        ))),
    }
}

/// The refusal where version 1 could not continue.
pub(crate) fn refused(reason: &str) -> DocumentFailure {
    DocumentFailure::Fatal(format!(
        "the sync cannot go back to metadata version 1: {reason}; go on with the release that \
         worked on it last, or a later one"
    ))
}
