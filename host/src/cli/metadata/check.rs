//! `tidegate metadata check`: checks the persisted documents of a sync.

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
        CopyState, HookDocument, IntentDocument, METADATA_VERSION, MismatchDocument,
        NamespaceDocument, ParkedKeyDocument, PartitionDocument, Phase, PositionDocument,
        QuarantineDocument, SessionDocument, VerificationDocument, VerifiedCollectionDocument,
    },
    model::OperatorError,
    mongo::unreadable,
    plugin::digest,
};

/// Collections whose documents have the term in which they were written.
const WITH_TERM: [&str; 10] = [
    "session",
    "namespaces",
    "copyPartitions",
    "parkedKeys",
    "streamPosition",
    "intents",
    "hooks",
    "verification",
    "verifiedCollections",
    "mismatches",
];

/// Prints a line for each fault.
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
                "A host of this release migrates it at the takeover."
            } else {
                "Use the release that wrote it."
            }
        )?;
        return Ok(CommandStatus::Failure);
    }
    let mut check = Check {
        metadata,
        faults: Vec::new(),
    };
    check.all().await?;
    for fault in &check.faults {
        writeln!(out, "{fault}")?;
    }
    if check.faults.is_empty() {
        writeln!(out, "The metadata is valid.")?;
        return Ok(CommandStatus::Success);
    }
    Ok(CommandStatus::Failure)
}

/// The faults found so far.
struct Check<'a> {
    metadata: &'a SyncMetadata,
    faults: Vec<String>,
}

impl Check<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        let sessions: Vec<SessionDocument> = self.read("session").await?;
        let namespaces: Vec<NamespaceDocument> = self.read("namespaces").await?;
        let partitions: Vec<PartitionDocument> = self.read("copyPartitions").await?;
        let parked: Vec<ParkedKeyDocument> = self.read("parkedKeys").await?;
        let positions: Vec<PositionDocument> = self.read("streamPosition").await?;
        self.read::<IntentDocument>("intents").await?;
        self.read::<HookDocument>("hooks").await?;
        self.read::<QuarantineDocument>("quarantine").await?;
        self.read::<VerificationDocument>("verification").await?;
        self.read::<VerifiedCollectionDocument>("verifiedCollections")
            .await?;
        self.read::<MismatchDocument>("mismatches").await?;
        self.terms().await?;
        self.copied(&namespaces, &partitions);
        self.parked(&parked, &partitions);
        if let Some(session) = sessions.first() {
            self.components(session).await?;
            if session.phase >= Phase::Restore && positions.is_empty() {
                self.faults.push(
                    "streamPosition: missing, although the sync has applied change events"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// The documents of a collection in the format of this version. Other documents are faults.
    async fn read<T: DeserializeOwned>(&mut self, collection: &str) -> anyhow::Result<Vec<T>> {
        let mut read = Vec::new();
        for document in self.raw(collection).await? {
            match bson::deserialize_from_slice(document.as_bytes()) {
                Ok(document) => read.push(document),
                Err(error) => self.faults.push(format!(
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

    /// Checks that no document has a later term than the lease.
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
                    Ok(written) if written <= term => {}
                    Ok(written) => self.faults.push(format!(
                        "{collection}: {}: written in term {written}, after term {term} of the lease",
                        id(&document)
                    )),
                    Err(_absent) => self
                        .faults
                        .push(format!("{collection}: {}: has no term", id(&document))),
                }
            }
        }
        Ok(())
    }

    /// Checks that partitions belong to namespaces, and that copied namespaces have no unfinished partitions.
    fn copied(&mut self, namespaces: &[NamespaceDocument], partitions: &[PartitionDocument]) {
        let known: HashSet<&str> = namespaces
            .iter()
            .map(|namespace| namespace.id.as_str())
            .collect();
        let mut unfinished: HashMap<&str, usize> = HashMap::new();
        for partition in partitions {
            if !known.contains(partition.namespace_id.as_str()) {
                let id = &partition.id;
                self.faults
                    .push(format!("copyPartitions: {id}: its namespace is missing"));
            }
            if !partition.done {
                *unfinished.entry(&partition.namespace_id).or_default() += 1;
            }
        }
        for namespace in namespaces {
            let left = unfinished.get(namespace.id.as_str()).copied();
            if namespace.copy_state >= CopyState::Copied && left.is_some_and(|left| left > 0) {
                self.faults.push(format!(
                    "namespaces: {}: copied, but it has unfinished partitions",
                    namespace.source
                ));
            }
        }
    }

    /// Checks that parked keys belong to partitions.
    fn parked(&mut self, parked: &[ParkedKeyDocument], partitions: &[PartitionDocument]) {
        let partitions = partitions.iter().map(|partition| partition.id.as_str());
        let known: HashSet<&str> = partitions.collect();
        for key in parked {
            let partition = key
                .id
                .rsplit_once(':')
                .map_or("", |(partition, _)| partition);
            if !known.contains(partition) {
                self.faults
                    .push(format!("parkedKeys: {}: its partition is missing", key.id));
            }
        }
    }

    /// Checks that the bytes of every pinned component are stored.
    async fn components(&mut self, session: &SessionDocument) -> anyhow::Result<()> {
        for pinned in &session.pinned {
            let stored = self.metadata.reader.component(&pinned.digest).await;
            if digest(&stored.map_err(OperatorError::from)?) != pinned.digest {
                self.faults.push(format!(
                    "components: {} {} ({}), pinned for {}, is missing or damaged",
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
