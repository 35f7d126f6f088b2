//! Version 4 to 3: removes the fields of version 4, and refuses where a host of version 3 would
//! lose data.
//!
//! The options of version 4 are removed without a refusal. None of them changes a document: a host
//! of version 3 stops where the oplog has rolled over, does not slow down for lagging members, and
//! takes its load level from its own configuration.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, kind};

use crate::field::{documents, flag, namespace, required_flag, required_text, text};

const OF_A_PARTITION: [&[u8]; 3] = [b"begunAt", b"doneAt", b"compare"];
const OF_A_NAMESPACE: [&[u8]; 1] = [b"compare"];
const OF_A_SESSION: [&[u8]; 1] = [b"resyncs"];
const OF_THE_OPTIONS: [&[u8]; 3] = [b"onOplogRollover", b"throttle", b"loadLevel"];

/// Phases in which hosts of version 4 apply change events, and hosts of version 3 do not.
const WITHOUT_A_STREAM: [&str; 2] = ["collectionCopy", "indexBuild"];

/// Kinds of intents in version 3.
const INTENTS: [&str; 7] = [
    "create",
    "drop",
    "rename",
    "dropDatabase",
    "createIndexes",
    "dropIndexes",
    "modify",
];

/// The first release of version 4: major and minor number.
const FIRST_RELEASE: (u32, u32) = (0, 4);

pub(crate) fn session(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let phase = required_text(document, "phase")?;
    if WITHOUT_A_STREAM.contains(&phase) {
        return Err(unfinished(&format!(
            "it is in the phase {phase}, in which version 3 applies no change events"
        )));
    }
    for resync in documents(document, "resyncs")? {
        if !flag(resync, "done")? {
            return Err(unfinished("a resync has begun, which version 3 cannot do"));
        }
    }
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        match element.as_value().as_document() {
            Some(options) if element.is_named(b"options") => {
                let mark = writer.begin(kind::DOCUMENT, b"options");
                copy_without(&OF_THE_OPTIONS, options, &mut writer)?;
                writer.end(mark);
            }
            _ if OF_A_SESSION.contains(&element.name) => {}
            _ => writer.copy(&element),
        }
    }
    writer.finish();
    Ok(())
}

pub(crate) fn namespace_document(
    document: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DocumentFailure> {
    let state = required_text(document, "copyState")?;
    if state != "ready" && text(document, "kind") != "view" {
        return Err(unfinished(&format!(
            "{} has the copyState {state}, and version 3 applies no change events before it is \
             ready",
            namespace(document, "source")
        )));
    }
    write_without(&OF_A_NAMESPACE, document, out)
}

pub(crate) fn partition(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    if !required_flag(document, "done")? {
        return Err(unfinished(&format!(
            "partition {} is not copied or compared yet",
            text(document, "_id")
        )));
    }
    write_without(&OF_A_PARTITION, document, out)
}

/// The position. A host of version 4 keeps the times of reads in partitions. Without them updates could be applied
/// as deltas to documents that contain them, so the position is not clean: updates are looked up, up to the source's
/// time at the next start.
pub(crate) fn position(
    session: &[u8],
    document: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DocumentFailure> {
    if !is_of_version_4(required_text(session, "writtenBy")?) {
        out.extend_from_slice(document);
        return Ok(());
    }
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        if element.is_named(b"clean") {
            writer.boolean(b"clean", false);
        } else {
            writer.copy(&element);
        }
    }
    writer.finish();
    Ok(())
}

/// Whether a release writes version 4. A release with an unknown form of a number counts as one.
fn is_of_version_4(release: &str) -> bool {
    let mut numbers = release.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= FIRST_RELEASE,
        _ => true,
    }
}

pub(crate) fn intent(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    let what = required_text(document, "what")?;
    if !INTENTS.contains(&what) {
        return Err(refused(&format!(
            "{what} of {} may still take effect on the destination, and version 3 does not know it",
            namespace(document, "source")
        )));
    }
    out.extend_from_slice(document);
    Ok(())
}

pub(crate) fn parked_key(document: &[u8]) -> DocumentFailure {
    unfinished(&format!(
        "changed documents of the collection {} wait until they are looked up, which version 3 \
         cannot do",
        text(document, "namespaceId")
    ))
}

fn write_without(
    removed: &[&[u8]],
    document: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DocumentFailure> {
    let mut writer = DocumentWriter::append_to(out);
    copy_without(removed, document, &mut writer)?;
    writer.finish();
    Ok(())
}

fn copy_without(
    removed: &[&[u8]],
    document: &[u8],
    writer: &mut DocumentWriter<'_>,
) -> Result<(), DocumentFailure> {
    for element in elements(document)? {
        let element = element?;
        if !removed.contains(&element.name) {
            writer.copy(&element);
        }
    }
    Ok(())
}

/// A refusal that ends with the copy.
fn unfinished(reason: &str) -> DocumentFailure {
    DocumentFailure::Fatal(format!(
        "the sync cannot go back to metadata version 3 now: {reason}; go on with the release that \
         worked on it last until all collections are copied and their indexes built"
    ))
}

fn refused(reason: &str) -> DocumentFailure {
    DocumentFailure::Fatal(format!(
        "the sync cannot go back to metadata version 3: {reason}; go on with the release that \
         worked on it last, or a later one"
    ))
}
