//! Comparisons of documents of one collection at a boundary.

use std::{collections::HashSet, time::Duration};

use bson::RawDocumentBuf;
use tokio::time::Instant;

use super::{
    Error, SyncedCollection, VerifiedClusters,
    boundary::VerificationBoundary,
    dirty_keys::DirtyKey,
    progress::{DocumentDifference, id_document},
    side_reader::{DocumentRange, SideReader},
};
use crate::{
    model::{
        ClusterTime,
        document_key::{DocumentKey, OwnedDocumentKey},
        raw,
    },
    mongo::{Client, RawReply, write::CollectionRef},
    plugin::{NamespaceChain, Outcome},
    sync::{
        comparison::{MergeStep, RangeMerge, Side, first_difference},
        partitions::server_order::can_be_bound,
        throttle::Throttle,
        transformation,
    },
};

/// Keys, and bytes of them, that are compared together.
const KEYS_TOGETHER: usize = 1_000;
const KEY_BYTES: usize = 4 << 20;

/// Documents of one read that may differ before it ends early.
const MAX_SUSPECTS: usize = 1_000;

/// The comparison of a collection at a boundary.
#[derive(Clone, Copy)]
pub(super) struct CollectionScan<'a> {
    pub(super) source: &'a Client,
    /// For reads.
    pub(super) destination: &'a Client,
    pub(super) throttle: &'a Throttle,
    pub(super) collection: &'a SyncedCollection,
    pub(super) at: ClusterTime,
    pub(super) destination_at: ClusterTime,
}

/// The outcome of a read of both sides.
#[derive(Default)]
pub(super) struct ScanEnd {
    /// Documents that may differ.
    pub(super) suspects: Vec<DirtyKey>,
    /// Everything up to this key is compared.
    pub(super) last: Option<DirtyKey>,
    /// Everything is compared.
    pub(super) ended: bool,
    /// Equal documents.
    pub(super) documents: u64,
    /// The destination does not have the collection.
    pub(super) is_gone: bool,
}

impl<'a> CollectionScan<'a> {
    /// The comparison of `collection` at `boundary`.
    pub(super) fn new(
        clusters: &'a VerifiedClusters,
        throttle: &'a Throttle,
        collection: &'a SyncedCollection,
        boundary: &VerificationBoundary,
    ) -> Self {
        Self {
            source: &clusters.source,
            destination: &clusters.destination,
            throttle,
            collection,
            at: boundary.at,
            destination_at: boundary.destination,
        }
    }

    /// Compares a range until `stops` says so.
    pub(super) async fn compare(
        &self,
        range: DocumentRange<'_>,
        stops: impl Fn() -> bool,
    ) -> Result<ScanEnd, Error> {
        let mut end = ScanEnd::default();
        let on_source = self.collection.on_source();
        let (source, destination) = tokio::join!(
            SideReader::open(self.source, &on_source, range, self.at),
            self.open_destination(range),
        );
        let (Some(mut source), destination) = (source?, destination?) else {
            // A later event reports the drop.
            return Err(crate::mongo::Error::Stale.into());
        };
        let Some(mut destination) = destination else {
            end.is_gone = true;
            return Ok(end);
        };
        let mut merge = RangeMerge::default();
        let (mut last_read, mut destination_ended) = (None, false);
        loop {
            self.take_steps(&mut merge, &mut end)?;
            let Some(side) = merge.wants() else {
                end.ended = true;
                return Ok(end);
            };
            if side == Side::Source && destination_ended && last_read.is_some() {
                // The plugins may have dropped all of them.
                end.last = last_read.take();
            }
            if end.last.is_some() && (stops() || end.suspects.len() >= MAX_SUSPECTS) {
                return Ok(end);
            }
            self.throttle.pace_copy().await;
            let (reader, chain) = match side {
                Side::Source => (&mut source, self.collection.chain.as_ref()),
                Side::Destination => (&mut destination, None),
            };
            match reader.next().await? {
                Some(reply) => {
                    if side == Side::Source && chain.is_some() {
                        last_read = last_key(&reply)?;
                    }
                    push(&mut merge, side, reply, chain)?;
                }
                None => {
                    destination_ended |= side == Side::Destination;
                    merge.end(side);
                }
            }
        }
    }

    /// Compares the documents from a place on, until `stops` says so.
    pub(super) async fn go_on(
        &self,
        from: Option<&RawDocumentBuf>,
        stops: impl Fn() -> bool,
    ) -> Result<ScanEnd, Error> {
        let mut end = self.compare(DocumentRange::From(from), stops).await?;
        if end.ended && from.is_some() {
            let rest = self.compare(DocumentRange::MaxKey, || false).await?;
            end.suspects.extend(rest.suspects);
            end.documents += rest.documents;
        }
        Ok(end)
    }

    async fn open_destination(
        &self,
        range: DocumentRange<'_>,
    ) -> Result<Option<SideReader>, Error> {
        let collection: &CollectionRef = &self.collection.destination;
        SideReader::open(self.destination, collection, range, self.destination_at).await
    }

    fn take_steps(&self, merge: &mut RangeMerge, end: &mut ScanEnd) -> Result<(), Error> {
        while let Some(pairing) = merge.next()? {
            let (document, is_pair) = match pairing {
                MergeStep::Equal(document) | MergeStep::Different(document, _) => (document, true),
                MergeStep::OnlySource(document) | MergeStep::OnlyDestination(document) => {
                    (document, false)
                }
            };
            let is_equal = matches!(pairing, MergeStep::Equal(_));
            let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
            if is_equal {
                end.documents += 1;
            } else {
                end.suspects.push((id.kind, id.value.into()));
            }
            // Under a collation only a pair shows that both sides are at the same place.
            if is_pair || !self.collection.collated {
                match &mut end.last {
                    Some((kind, last)) if is_equal && last.len() == id.value.len() => {
                        *kind = id.kind;
                        last.copy_from_slice(id.value);
                    }
                    last => *last = Some((id.kind, id.value.into())),
                }
            }
        }
        Ok(())
    }

    /// Compares documents by their keys. Calls `take` with each key that was compared. Returns `true` where the
    /// destination does not have the collection.
    pub(super) async fn compare_keys(
        &self,
        keys: &[DirtyKey],
        mut take: impl FnMut(&DirtyKey, Option<DocumentDifference>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut rest = keys;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(KEYS_TOGETHER).take_while(|(_, id)| {
                bytes += id.len();
                bytes <= KEY_BYTES
            });
            let (keys, later) = rest.split_at(fitting.count().max(1));
            let end = self.compare(DocumentRange::Keys(keys), || false).await?;
            if end.is_gone {
                return Ok(true);
            }
            let suspects: HashSet<OwnedDocumentKey> =
                end.suspects.iter().map(document_key).collect();
            for key in keys {
                let document_key = document_key(key);
                let is_suspect = suspects.contains(&document_key)
                    || !suspects.is_empty() && (self.collection.collated || is_ambiguous(key));
                let difference = match is_suspect {
                    true => self.examine(key).await?,
                    false => None,
                };
                take(key, difference)?;
            }
            rest = later;
        }
        Ok(false)
    }

    /// The difference between the two documents of a key; `None` for equal documents.
    pub(super) async fn examine(
        &self,
        key: &DirtyKey,
    ) -> Result<Option<DocumentDifference>, Error> {
        let keys = std::slice::from_ref(key);
        let range = DocumentRange::Keys(keys);
        let on_source = self.collection.on_source();
        let source = SideReader::open(self.source, &on_source, range, self.at).await?;
        let source = source.ok_or(crate::mongo::Error::Stale)?;
        let source = only(source, self.collection.chain.as_ref()).await?;
        let destination = self.open_destination(range).await?;
        let destination = destination.ok_or(crate::mongo::Error::Stale)?;
        let destination = only(destination, None).await?;
        Ok(match (source, destination) {
            (None, None) => None,
            (Some(_), None) => Some(DocumentDifference {
                kind: "missing",
                path: None,
            }),
            (None, Some(_)) => Some(DocumentDifference {
                kind: "extra",
                path: None,
            }),
            (Some(source), Some(destination)) => {
                let path = first_difference(&source, &destination)?;
                path.map(|path| DocumentDifference {
                    kind: "differs",
                    path: Some(path),
                })
            }
        })
    }
}

impl ScanEnd {
    /// The place to go on from; `None` if the last key cannot be one.
    pub(super) fn bound(&self) -> Result<Option<RawDocumentBuf>, Error> {
        let last = self.last.as_ref().map(id_document).transpose()?;
        Ok(last.filter(|last| can_be_bound(last)))
    }
}

fn document_key((id_kind, id): &DirtyKey) -> OwnedDocumentKey {
    DocumentKey::new(*id_kind, id).into_owned()
}

fn is_ambiguous((id_kind, id): &DirtyKey) -> bool {
    DocumentKey::can_be_ambiguous(*id_kind) && DocumentKey::new(*id_kind, id).is_ambiguous()
}

fn last_key(reply: &RawReply) -> Result<Option<DirtyKey>, Error> {
    let mut last = None;
    for document in reply.documents()? {
        last = Some(document?);
    }
    let Some(last) = last else {
        return Ok(None);
    };
    let id = raw::find(last, "_id")?.ok_or(raw::Malformed)?;
    Ok(Some((id.kind, id.value.into())))
}

/// Adds a batch, on the source as the plugins leave it.
fn push(
    merge: &mut RangeMerge,
    side: Side,
    reply: RawReply,
    chain: Option<&NamespaceChain>,
) -> Result<(), Error> {
    let Some(chain) = chain else {
        return Ok(merge.push_reply(side, reply)?);
    };
    let documents: Vec<&[u8]> = reply.documents()?.collect::<Result<_, _>>()?;
    let transformed = transformation::transform(chain, &documents)?;
    let kept = documents.iter().zip(transformed.outcomes());
    let kept: Vec<&[u8]> = kept
        .filter_map(|(document, outcome)| match outcome {
            Outcome::Keep => Some(*document),
            Outcome::Replaced(replacement) => Some(replacement),
            Outcome::Drop | Outcome::Quarantined(_) => None,
        })
        .collect();
    Ok(merge.push(side, kept)?)
}

/// The only document of a read, as plugins leave it.
async fn only(
    mut reader: SideReader,
    chain: Option<&NamespaceChain>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut found = None;
    while let Some(reply) = reader.next().await? {
        let mut merge = RangeMerge::default();
        push(&mut merge, Side::Source, reply, chain)?;
        merge.end(Side::Destination);
        if let Some(MergeStep::OnlySource(document)) = merge.next()? {
            found = Some(document.to_vec());
        }
    }
    Ok(found)
}

/// The end of a slice.
#[derive(Clone, Copy)]
pub(super) struct SliceDeadline(Option<Instant>);

impl SliceDeadline {
    /// After this time.
    pub(super) fn after(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    /// The time until the end of the slice; `None` if it has none, or has passed.
    pub(super) fn remaining(self) -> Option<Duration> {
        let left = self.0?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// No end.
    pub(super) fn never() -> Self {
        Self(None)
    }

    /// Whether the slice has to end.
    pub(super) fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
