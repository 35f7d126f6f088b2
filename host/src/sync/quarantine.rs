//! The quarantine: documents that a plugin could not handle, recorded on the destination by `_id`
//! and reason. The document stays on the source alone, since the failed plugin may be there to mask
//! it.
//!
//! Invariants:
//! - an entry is durable before the position, or the partition's progress, moves past its document;
//! - a document is either in quarantine or on the destination, as of the last applied event: a
//!   later event or a retry removes its entry.

use std::collections::{HashMap, HashSet};

use bson::RawDocumentBuf;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use super::{Error, status::Status};
use crate::{
    metadata::{self, QuarantineDocument},
    model::{
        Namespace,
        document_key::DocumentKey,
        raw::{self, Writer},
    },
    mongo,
    plugin::Fault,
};

/// The limits of one transaction. A single larger document goes alone, as its `_id` may be nearly
/// all of it.
const PART_DOCUMENTS: usize = 1_000;
const PART_BYTES: usize = 4 << 20;

/// The quarantined documents by namespace id. Only their ids are in memory.
pub(crate) struct Quarantine {
    store: metadata::Store,
    ids: Mutex<HashMap<String, HashSet<String>>>,
}

/// The collection of quarantined documents.
#[derive(Clone, Copy)]
pub(super) struct NamespaceRef<'a> {
    /// The id of the namespace's document.
    pub(super) namespace_id: &'a str,
    /// Its name on the source.
    pub(super) source: &'a Namespace,
}

impl Quarantine {
    /// Reads the entries of earlier runs.
    pub(crate) async fn load(store: metadata::Store, status: &Status) -> Result<Self, Error> {
        let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
        for entry in store.quarantined_ids().await? {
            ids.entry(entry.namespace_id).or_default().insert(entry.id);
        }
        let quarantine = Self {
            store,
            ids: Mutex::new(ids),
        };
        quarantine.show(status);
        Ok(quarantine)
    }

    /// Quarantines documents. Returns when all entries are durable; a transaction takes many of
    /// them.
    ///
    /// Cancel safe: an entry that was written stays, and is written again with the document.
    pub(super) async fn put(
        &self,
        status: &Status,
        namespace_ref: NamespaceRef<'_>,
        faulty: &[(&[u8], &Fault)],
    ) -> Result<(), Error> {
        for part in parts(faulty) {
            // The last entry of an id counts.
            let mut entries = HashMap::with_capacity(part.len());
            for (document, fault) in part {
                let entry = entry(namespace_ref, document, fault)?;
                entries.insert(entry.id.clone(), entry);
            }
            let entries: Vec<_> = entries.into_values().collect();
            self.store.put_quarantined(&entries).await?;
            self.ids()
                .entry(namespace_ref.namespace_id.to_owned())
                .or_default()
                .extend(entries.into_iter().map(|entry| entry.id));
            self.show(status);
        }
        Ok(())
    }

    /// Removes the entries of documents that plugins have handled since.
    pub(super) async fn release<'k>(
        &self,
        status: &Status,
        namespace_id: &str,
        keys: impl Iterator<Item = &'k DocumentKey<'k>>,
    ) -> Result<(), Error> {
        let released: Vec<_> = match self.ids().get(namespace_id) {
            None => return Ok(()),
            Some(held) => keys
                .map(|key| entry_id(namespace_id, key))
                .filter(|id| held.contains(id))
                .collect(),
        };
        if released.is_empty() {
            return Ok(());
        }
        self.store.remove_quarantined(&released).await?;
        if let Some(held) = self.ids().get_mut(namespace_id) {
            held.retain(|id| !released.contains(id));
        }
        self.show(status);
        Ok(())
    }

    /// Forgets the entries of a namespace whose documents are removed with it.
    pub(super) fn forget(&self, status: &Status, namespace_id: &str) {
        self.ids().remove(namespace_id);
        self.show(status);
    }

    fn show(&self, status: &Status) {
        let held: usize = self.ids().values().map(HashSet::len).sum();
        status.set_quarantined(held as u64);
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.ids.lock()
    }
}

/// The parts of `faulty`, each for one transaction.
fn parts<'a, 'd>(
    mut faulty: &'a [(&'d [u8], &'d Fault)],
) -> impl Iterator<Item = &'a [(&'d [u8], &'d Fault)]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = faulty
            .iter()
            .take(PART_DOCUMENTS)
            .take_while(|(document, _)| {
                let first = bytes == 0;
                bytes += document.len();
                first || bytes <= PART_BYTES
            });
        let (part, rest) = faulty.split_at_checked(fits.count())?;
        faulty = rest;
        (!part.is_empty()).then_some(part)
    })
}

fn entry(
    namespace_ref: NamespaceRef<'_>,
    document: &[u8],
    fault: &Fault,
) -> Result<QuarantineDocument, Error> {
    let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
    Ok(QuarantineDocument {
        id: entry_id(
            namespace_ref.namespace_id,
            &DocumentKey::new(id.kind, id.value),
        ),
        namespace_id: namespace_ref.namespace_id.to_owned(),
        source: namespace_ref.source.clone(),
        document_id: id_document(id.kind, id.value)?,
        component: fault.component.clone(),
        digest: fault.digest.clone(),
        export: fault.export.to_owned(),
        reason: fault.reason.clone(),
    })
}

/// The namespace's id and a digest of the document's key.
fn entry_id(namespace_id: &str, key: &DocumentKey<'_>) -> String {
    let digest = Sha256::digest(key.to_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{namespace_id}:{hex}")
}

/// `{_id: value}`.
pub(super) fn id_document(id_kind: u8, id: &[u8]) -> Result<RawDocumentBuf, Error> {
    let mut writer = Writer::continuing(RawDocumentBuf::new().into_bytes());
    writer.value(id_kind, b"_id", id);
    Ok(RawDocumentBuf::from_bytes(writer.finish()).map_err(mongo::Error::Bson)?)
}
