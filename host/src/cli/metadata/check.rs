//! `tidegate metadata check`: whether what is persisted can be gone on with.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use bson::{RawDocumentBuf, doc};
use serde::de::DeserializeOwned;

use super::super::status::CommandStatus;
use super::sync_metadata::SyncMetadata;
use crate::{
    metadata::{
        CopyState, IntentDocument, METADATA_VERSION, NamespaceDocument, PartitionDocument, Phase,
        PositionDocument, QuarantineDocument, SessionDocument,
    },
    model::OperatorError,
    mongo::unreadable,
    plugin::digest,
};

/// Collections whose documents say in which term they were written.
const WITH_TERM: [&str; 5] = [
    "session",
    "namespaces",
    "copyPartitions",
    "streamPosition",
    "intents",
];

/// Prints one line for each thing that is not as a host leaves it.
pub(super) async fn check(
    metadata: &SyncMetadata,
    out: &mut impl Write,
) -> anyhow::Result<CommandStatus> {
    let version = metadata.heading.metadata_version;
    if version != METADATA_VERSION {
        writeln!(
            out,
            "The metadata has version {version}, and this release checks version {METADATA_VERSION}. {}",
            if version < METADATA_VERSION {
                "A host of this release migrates it when it takes the sync over."
            } else {
                "Use the release that wrote it."
            }
        )?;
        return Ok(CommandStatus::Failure);
    }
    let mut check = Check {
        metadata,
        found: Vec::new(),
    };
    check.all().await?;
    for found in &check.found {
        writeln!(out, "{found}")?;
    }
    if check.found.is_empty() {
        writeln!(out, "The metadata is as a host leaves it.")?;
        return Ok(CommandStatus::Success);
    }
    Ok(CommandStatus::Failure)
}

struct Check<'a> {
    metadata: &'a SyncMetadata,
    found: Vec<String>,
}

impl Check<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        let sessions: Vec<SessionDocument> = self.read("session").await?;
        let namespaces: Vec<NamespaceDocument> = self.read("namespaces").await?;
        let partitions: Vec<PartitionDocument> = self.read("copyPartitions").await?;
        let positions: Vec<PositionDocument> = self.read("streamPosition").await?;
        self.read::<IntentDocument>("intents").await?;
        self.read::<QuarantineDocument>("quarantine").await?;
        self.terms().await?;
        self.copied(&namespaces, &partitions);
        if let Some(session) = sessions.first() {
            self.components(session).await?;
            if session.phase >= Phase::Restore && positions.is_empty() {
                self.found.push(
                    "streamPosition: missing, and the sync has applied change events".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// The documents of a collection that are of this version's shape; others are found.
    async fn read<T: DeserializeOwned>(&mut self, collection: &str) -> anyhow::Result<Vec<T>> {
        let mut read = Vec::new();
        for document in self.raw(collection).await? {
            match bson::deserialize_from_slice(document.as_bytes()) {
                Ok(document) => read.push(document),
                Err(error) => self.found.push(format!(
                    "{collection}: {}: {}",
                    id(&document),
                    unreadable(&error)
                )),
            }
        }
        Ok(read)
    }

    async fn raw(&self, collection: &str) -> anyhow::Result<Vec<RawDocumentBuf>> {
        let documents = &self.metadata.documents;
        Ok(documents
            .find(collection, doc! {})
            .await
            .map_err(OperatorError::from)?)
    }

    /// No document is of a term that has not begun.
    async fn terms(&mut self) -> anyhow::Result<()> {
        let lease = self
            .metadata
            .reader
            .lease()
            .await
            .map_err(OperatorError::from)?;
        let term = lease.map_or(0, |lease| lease.term);
        for collection in WITH_TERM {
            for document in self.raw(collection).await? {
                match document.get_i64("term") {
                    Ok(of) if of <= term => {}
                    Ok(of) => self.found.push(format!(
                        "{collection}: {}: written in term {of}, and the lease is in term {term}",
                        id(&document)
                    )),
                    Err(_absent) => self
                        .found
                        .push(format!("{collection}: {}: has no term", id(&document))),
                }
            }
        }
        Ok(())
    }

    fn copied(&mut self, namespaces: &[NamespaceDocument], partitions: &[PartitionDocument]) {
        let known: HashSet<&str> = namespaces.iter().map(|one| one.id.as_str()).collect();
        let mut unfinished: HashMap<&str, usize> = HashMap::new();
        for partition in partitions {
            if !known.contains(partition.namespace_id.as_str()) {
                let id = &partition.id;
                self.found
                    .push(format!("copyPartitions: {id}: of no namespace"));
            }
            if !partition.done {
                *unfinished.entry(&partition.namespace_id).or_default() += 1;
            }
        }
        for namespace in namespaces {
            let left = unfinished.get(namespace.id.as_str()).copied();
            if namespace.copy_state >= CopyState::Copied && left.is_some_and(|left| left > 0) {
                self.found.push(format!(
                    "namespaces: {}: copied, and partitions of it are not",
                    namespace.source
                ));
            }
        }
    }

    /// Every component that the sync runs on is there, byte for byte.
    async fn components(&mut self, session: &SessionDocument) -> anyhow::Result<()> {
        for pinned in &session.pinned {
            let stored = self.metadata.reader.component(&pinned.digest).await;
            if digest(&stored.map_err(OperatorError::from)?) != pinned.digest {
                self.found.push(format!(
                    "components: {} {} ({}), pinned for {}, is not there as it should be",
                    pinned.name, pinned.version, pinned.digest, pinned.slot
                ));
            }
        }
        Ok(())
    }
}

fn id(document: &RawDocumentBuf) -> &str {
    document
        .get_str("_id")
        .unwrap_or("a document without an id")
}
