//! Items of a slice: collections that other hosts compare at its boundary.
//!
//! Invariants:
//!
//! - A report counts for the slice that has assigned it: its token is read with it.
//! - A suspect of a report is compared once more by the leader. So a worker can find too much, and the leader decides.
//! - A collection without a report stays as it was, and is compared in a later slice.

use std::{sync::Arc, time::Duration};

use bson::{Binary, RawDocumentBuf, spec::BinarySubtype};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Error, SyncedCollection, Verification, VerificationBoundary, VerifiedClusters,
    dirty_keys::DirtyKey,
    progress::{VerificationState, id_document},
    scan::{CollectionScan, ScanEnd, SliceDeadline},
};
use crate::{
    metadata::{
        ItemDocument, ItemState, NamespaceDocument, VerifiedRange, VerifyCollection, VerifyReport,
        VerifyTask,
    },
    model::{ErrorName, OperatorError, raw},
    mongo::{Client, write::CollectionRef},
    observe::failpoint,
    plugin::{Chain, NamespaceChain},
    sync::throttle::Throttle,
};

/// Collections of an item at most.
const TOGETHER: usize = 200;

/// Time after the end of a slice in which reports are waited for.
const REPORTED_WITHIN: Duration = Duration::from_secs(5);

/// Interval between two looks for reports.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Bytes of suspects in a report.
const SUSPECT_BYTES: usize = 4 << 20;

/// The items of a slice.
pub(super) struct SliceItems {
    items: Vec<ItemDocument>,
    deadline: SliceDeadline,
}

impl SliceItems {
    /// Shares the collections that are not verified out among this host and those that can be given items. The first of
    /// them stays here, so a slice of one collection has no items.
    pub(super) async fn assign(
        clusters: &VerifiedClusters,
        verification: &Verification,
        boundary: &VerificationBoundary,
        state: &VerificationState,
        deadline: SliceDeadline,
    ) -> Result<Self, Error> {
        let holders = clusters.holders.get();
        let mut shares: Vec<Vec<VerifyCollection>> = vec![Vec::new(); holders.len() + 1];
        if holders.is_empty() || deadline.remaining().is_none() {
            let items = Vec::new();
            return Ok(Self { items, deadline });
        }
        let incomplete = boundary.collections.iter().filter_map(|collection| {
            let known = state.collections.get(&collection.uuid)?;
            let is_left = !known.document.complete && known.gone == 0;
            is_left.then(|| task_of(collection, known.document.up_to.clone()))?
        });
        for (number, collection) in incomplete.enumerate() {
            let share = number % shares.len();
            if let Some(share) = shares.get_mut(share)
                && share.len() < TOGETHER
            {
                share.push(collection);
            }
        }
        let shares = holders.into_iter().zip(shares.into_iter().skip(1));
        let items = shares
            .filter(|(_, collections)| !collections.is_empty())
            .enumerate()
            .map(|(number, (holder, collections))| ItemDocument {
                id: format!("verify:{number}"),
                token: Uuid::new_v4().to_string(),
                holder,
                state: ItemState::Open,
                task: VerifyTask {
                    at: boundary.at,
                    destination_at: boundary.destination,
                    within_ms: milliseconds(deadline.remaining().unwrap_or_default()),
                    pins: boundary.pins.to_vec(),
                    collections,
                },
                report: None,
                term: 0,
            });
        let items: Vec<_> = items.collect();
        if items.is_empty() {
            return Ok(Self { items, deadline });
        }
        verification
            .persist(clusters.store.put_items(&items))
            .await?;
        failpoint("items_assigned");
        Ok(Self { items, deadline })
    }

    /// Whether another host compares the collection.
    pub(super) fn has(&self, collection: &SyncedCollection) -> bool {
        let id = NamespaceDocument::id_of_uuid(collection.uuid);
        let mut collections = self.items.iter().flat_map(|item| &item.task.collections);
        collections.any(|own| own.namespace_id == id)
    }

    /// Waits for the reports, takes the items away, and returns the reported ranges. `ends` says that the slice has to end
    /// early.
    pub(super) async fn reports(
        self,
        clusters: &VerifiedClusters,
        ends: impl Fn() -> bool,
    ) -> Result<Vec<VerifiedRange>, Error> {
        if self.items.is_empty() {
            return Ok(Vec::new());
        }
        let until =
            Instant::now() + self.deadline.remaining().unwrap_or_default() + REPORTED_WITHIN;
        let ids: Vec<_> = self.items.iter().map(|item| item.id.as_str()).collect();
        let mut reported;
        loop {
            let found = clusters.store.items(&ids).await?;
            reported = found
                .into_iter()
                .filter(|found| self.items.iter().any(|own| own.token == found.token))
                .filter_map(|found| Some((found.holder, found.report?)))
                .collect::<Vec<_>>();
            let holders = clusters.holders.get();
            let is_awaited = |item: &&ItemDocument| {
                let is_reported = reported.iter().any(|(holder, _)| *holder == item.holder);
                !is_reported && holders.contains(&item.holder)
            };
            if !self.items.iter().any(|item| is_awaited(&item)) || Instant::now() >= until || ends()
            {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        failpoint("items_reported");
        clusters.store.remove_items(&ids).await?;
        for item in &self.items {
            let report = reported.iter().find(|(holder, _)| *holder == item.holder);
            let failure = match report {
                None if Instant::now() < until => None,
                None => Some("it has not reported"),
                Some((_, report)) => report.failure.as_deref(),
            };
            if let Some(failure) = failure {
                tracing::info!(
                    host = item.holder,
                    failure,
                    "an item of the verification was not done"
                );
                clusters.holders.pass_over(&item.holder);
            }
        }
        let ranges = reported
            .into_iter()
            .flat_map(|(_, report)| report.collections);
        Ok(ranges.collect())
    }
}

/// The collection as a task; `None` if it cannot be read by its UUID.
fn task_of(
    collection: &Arc<SyncedCollection>,
    from: Option<RawDocumentBuf>,
) -> Option<VerifyCollection> {
    Some(VerifyCollection {
        namespace_id: NamespaceDocument::id_of_uuid(collection.uuid),
        source: collection.source.clone(),
        destination: collection.destination.namespace.clone(),
        destination_uuid: NamespaceDocument::id_of_uuid(collection.destination.uuid?),
        collated: collection.collated,
        has_chain: collection.chain.is_some(),
        from,
    })
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl ScanEnd {
    /// The outcome of a range that another host has compared.
    pub(super) fn of_range(range: &VerifiedRange) -> Result<Self, Error> {
        let key = |document: &Binary| {
            let id = raw::find(&document.bytes, "_id")?.ok_or(raw::Malformed)?;
            Ok::<_, Error>((id.kind, id.value.into()))
        };
        Ok(Self {
            suspects: range.suspects.iter().map(key).collect::<Result<_, _>>()?,
            last: range.last.as_ref().map(key).transpose()?,
            ended: range.ended,
            documents: u64::try_from(range.documents).unwrap_or_default(),
            is_gone: range.is_gone,
        })
    }

    fn range(&self, namespace_id: &str) -> Result<VerifiedRange, Error> {
        let suspects = self.suspects.iter().map(id_bytes);
        Ok(VerifiedRange {
            namespace_id: namespace_id.to_owned(),
            suspects: suspects.collect::<Result<_, _>>()?,
            last: self.last.as_ref().map(id_bytes).transpose()?,
            ended: self.ended,
            documents: i64::try_from(self.documents).unwrap_or_default(),
            is_gone: self.is_gone,
        })
    }
}

fn id_bytes(key: &DirtyKey) -> Result<Binary, Error> {
    Ok(Binary {
        subtype: BinarySubtype::Generic,
        bytes: id_document(key)?.into_bytes(),
    })
}

/// The work of an item on the host that holds it.
pub struct VerifyWork<'a> {
    /// The source.
    pub source: &'a Client,
    /// The destination, for reads.
    pub destination: &'a Client,
    /// The configured plugins of the sync; `None` if no collection of the item has any.
    pub chain: Option<&'a Chain>,
    /// The flow control of this host.
    pub throttle: Throttle,
}

impl VerifyWork<'_> {
    /// Compares the collections of a task until its time is over. Writes nothing.
    ///
    /// Cancel safe: nothing is reported.
    pub async fn run(&self, task: &VerifyTask) -> VerifyReport {
        let within = Duration::from_millis(u64::try_from(task.within_ms).unwrap_or_default());
        let deadline = SliceDeadline::after(within);
        let (mut report, mut bytes) = (VerifyReport::default(), 0);
        for collection in &task.collections {
            if deadline.has_passed() || bytes > SUSPECT_BYTES {
                break;
            }
            match self.compare(task, collection, deadline).await {
                Ok(range) => {
                    let suspects = range.suspects.iter();
                    bytes += suspects.map(|id| id.bytes.len()).sum::<usize>();
                    report.collections.push(range);
                }
                Err(Error::Operator(error)) => {
                    report.failure = Some(error.to_string());
                    break;
                }
                // The leader compares the collection in a later slice.
                Err(error) => {
                    tracing::debug!(namespace = %collection.source, error = %error, "not compared");
                }
            }
        }
        report
    }

    async fn compare(
        &self,
        task: &VerifyTask,
        collection: &VerifyCollection,
        deadline: SliceDeadline,
    ) -> Result<VerifiedRange, Error> {
        let uuid = |id: &str| {
            NamespaceDocument::uuid_of_id(id).ok_or_else(|| {
                OperatorError::new(ErrorName::InternalError, "An item names no UUID.")
            })
        };
        let synced = SyncedCollection {
            uuid: uuid(&collection.namespace_id)?,
            source: collection.source.clone(),
            destination: CollectionRef {
                namespace: collection.destination.clone(),
                uuid: Some(uuid(&collection.destination_uuid)?),
            },
            collated: collection.collated,
            chain: self.chain_of(collection)?,
        };
        let scan = CollectionScan {
            source: self.source,
            destination: self.destination,
            throttle: &self.throttle,
            collection: &synced,
            at: task.at,
            destination_at: task.destination_at,
        };
        let stops = || deadline.has_passed();
        let end = scan.go_on(collection.from.as_ref(), stops).await?;
        end.range(&collection.namespace_id)
    }

    /// The plugins that see the collection. Invariant: they are those of the leader.
    fn chain_of(&self, collection: &VerifyCollection) -> Result<Option<NamespaceChain>, Error> {
        let chain = match self.chain {
            Some(chain) => chain.of(&collection.source)?.map(NamespaceChain::uncounted),
            None => None,
        };
        if chain.is_some() != collection.has_chain {
            let message = "The leader's plugins are not those of this host.";
            return Err(OperatorError::new(ErrorName::IncompatiblePlugin, message).into());
        }
        Ok(chain)
    }
}
