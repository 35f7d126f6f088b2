//! The metadata of earlier releases, phase by phase: the components of the steps take each file of
//! `tests/fixtures/metadata` to this release's version, and the result has the same meaning.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use serde::{Serialize, de::DeserializeOwned};
use support::{metadata, metadata::Entry, mongod::workspace};
use tidegate::{
    metadata::{
        AuditDocument, ComponentChunkDocument, ComponentDocument, HistoryDocument, IntentDocument,
        METADATA_VERSION, MismatchDocument, NamespaceDocument, ParkedKeyDocument,
        PartitionDocument, PositionDocument, QuarantineDocument, SessionDocument,
        VerificationDocument, VerifiedCollectionDocument,
    },
    plugin::{Direction, Migrator, Registry, WasiPolicy},
};

/// A file, and the metadata version of the release that wrote it.
struct Captured {
    file: PathBuf,
    version: u32,
}

/// Every file, by the folders `<metadata version>/<release>`.
fn captured() -> Result<Vec<Captured>> {
    let mut all = Vec::new();
    for version in inside(&workspace().join("tests/fixtures/metadata"))? {
        let name = version.file_name().unwrap_or_default().to_string_lossy();
        // Beside the folders is a page about them.
        let Ok(number) = name.parse() else { continue };
        for release in inside(&version)? {
            all.extend(inside(&release)?.into_iter().map(|file| Captured {
                file,
                version: number,
            }));
        }
    }
    Ok(all)
}

fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The step that begins or ends with the lower version.
fn step(registry: &Registry, lower: u32) -> Result<Migrator> {
    Migrator::find(registry, lower)?.with_context(|| format!("no step from version {lower}"))
}

/// The entries after a step, in the order of the entries before it.
fn taken(step: &Migrator, direction: Direction, before: &[Entry]) -> Result<Vec<Entry>> {
    let session = before.iter().find(|entry| entry.collection == "session");
    let session = &session.context("no session")?.document;
    let mut after = Vec::new();
    for entry in before {
        if !step.step().collections.contains(&entry.collection) {
            after.push(entry.clone());
            continue;
        }
        let document = entry.document.as_bytes();
        let written = step.migrate(direction, session.as_bytes(), &entry.collection, document)?;
        for (collection, bytes) in written {
            let document = RawDocumentBuf::from_bytes(bytes)?;
            after.push(Entry {
                collection,
                document,
            });
        }
    }
    Ok(after)
}

/// The version is the host's to set.
fn versioned(entries: Vec<Entry>, version: u32) -> Result<Vec<Entry>> {
    let set = |entry: Entry| {
        if entry.collection != "session" {
            return Ok(entry);
        }
        let mut session = entry.to_document()?;
        session.insert("metadataVersion", i32::try_from(version)?);
        Entry::new("session", &session)
    };
    entries.into_iter().map(set).collect()
}

#[test]
fn captured_metadata_migrates_and_twice_is_once_and_back_gives_the_very_bytes() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    let here = u32::try_from(METADATA_VERSION)?;
    for Captured { file, version } in older()? {
        let leads_here = || -> Result<()> {
            let mut before = metadata::read(&file)?;
            for lower in version..here {
                let after = there_and_back(&step(&registry, lower)?, &before)
                    .with_context(|| format!("the step from version {lower}"))?;
                before = versioned(after, lower + 1)?;
            }
            Ok(())
        };
        leads_here().with_context(|| format!("{}", file.display()))?;
    }
    Ok(())
}

/// Takes a step once, twice and back; the entries after it.
fn there_and_back(step: &Migrator, before: &[Entry]) -> Result<Vec<Entry>> {
    let after = taken(step, Direction::Forward, before)?;
    let again = taken(step, Direction::Forward, &after)?;
    ensure!(again == after, "taken twice, a step gives something else");
    if step.step().reversible {
        let back = taken(step, Direction::Back, &after);
        if is_way_back_closed(step, before)? {
            let refused = format!("{:#}", back.err().context("the way back is open")?);
            ensure!(refused.contains("cannot go back"), "{refused}");
        } else {
            ensure!(back? == before, "the way back gives something else");
        }
    }
    let moved = |entry: &Entry| step.step().collections.contains(&entry.collection);
    // Version 4 changes unfinished ranges of the copy, version 5 only adds.
    ensure!(
        after != before || step.step().from >= 3 || !before.iter().any(moved),
        "nothing has changed"
    );
    Ok(after)
}

/// Version 3 applies no change events before all collections are copied and their indexes built.
fn is_way_back_closed(step: &Migrator, before: &[Entry]) -> Result<bool> {
    let session = before.iter().find(|entry| entry.collection == "session");
    let phase = session.context("no session")?.document.get_str("phase")?;
    Ok(step.step().from == 3 && ["collectionCopy", "indexBuild"].contains(&phase))
}

/// A document that steps have migrated equals a document of this release: read and written by this release, it
/// keeps its fields and values.
#[test]
fn captured_metadata_becomes_what_this_release_writes() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    for Captured { file, version } in captured()? {
        let becomes = || {
            let mut entries = metadata::read(&file)?;
            for lower in version..u32::try_from(METADATA_VERSION)? {
                let after = taken(&step(&registry, lower)?, Direction::Forward, &entries)?;
                entries = versioned(after, lower + 1)?;
            }
            entries.iter().try_for_each(is_of_this_release)
        };
        becomes().with_context(|| format!("{}", file.display()))?;
    }
    Ok(())
}

fn older() -> Result<Vec<Captured>> {
    let here = u32::try_from(METADATA_VERSION)?;
    let mut older = captured()?;
    older.retain(|captured| captured.version < here);
    ensure!(!older.is_empty(), "no metadata of an earlier version");
    Ok(older)
}

fn is_of_this_release(entry: &Entry) -> Result<()> {
    let written = match entry.collection.as_str() {
        "session" => read_and_written::<SessionDocument>(&entry.document),
        "namespaces" => read_and_written::<NamespaceDocument>(&entry.document),
        "copyPartitions" => read_and_written::<PartitionDocument>(&entry.document),
        "streamPosition" => read_and_written::<PositionDocument>(&entry.document),
        "intents" => read_and_written::<IntentDocument>(&entry.document),
        "parkedKeys" => read_and_written::<ParkedKeyDocument>(&entry.document),
        "quarantine" => read_and_written::<QuarantineDocument>(&entry.document),
        "verification" => read_and_written::<VerificationDocument>(&entry.document),
        "verifiedCollections" => read_and_written::<VerifiedCollectionDocument>(&entry.document),
        "audit" => read_and_written::<AuditDocument>(&entry.document),
        "history" => read_and_written::<HistoryDocument>(&entry.document),
        "mismatches" => read_and_written::<MismatchDocument>(&entry.document),
        "components" => read_and_written::<ComponentDocument>(&entry.document),
        "componentChunks" => read_and_written::<ComponentChunkDocument>(&entry.document),
        "lease" => return Ok(()),
        other => bail!("this release knows no collection {other}"),
    };
    let written = written.with_context(|| format!("{} {}", entry.collection, entry.id()))?;
    let mut before = entry.to_document()?;
    // Which lease a document is of is the store's to write, not a part of its shape.
    before.remove("term");
    spell_out(&entry.collection, &mut before)?;
    ensure!(
        sorted(&before) == sorted(&written),
        "{} {} is not what this release writes:\n{before}\n{written}",
        entry.collection,
        entry.id(),
    );
    Ok(())
}

/// Adds fields whose absence has a meaning: version 1 kept the sums of copied documents and bytes in the namespaces
/// only, and release 0.1.0 had no plugins. Removes fields that this release does not store any more.
fn spell_out(collection: &str, document: &mut Document) -> Result<()> {
    let (within, field, meant) = match collection {
        "streamPosition" => {
            let nothing = doc! { "documents": 0_i64, "bytes": 0_i64 };
            (document, "copied", Bson::Document(nothing))
        }
        "session" => {
            let options = document.get_document_mut("options")?;
            (options, "plugins", Bson::Array(Vec::new()))
        }
        "quarantine" => {
            document.remove("document");
            return Ok(());
        }
        _ => return Ok(()),
    };
    within.entry(field.to_owned()).or_insert(meant);
    Ok(())
}

fn read_and_written<T: Serialize + DeserializeOwned>(document: &RawDocument) -> Result<Document> {
    let read: T = bson::deserialize_from_slice(document.as_bytes())?;
    Ok(bson::serialize_to_document(&read)?)
}

/// The fields by name: their order is no part of a shape.
fn sorted(document: &Document) -> Vec<(&String, &Bson)> {
    let mut fields: Vec<_> = document.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}
