//! The copy beside the stream: reports of its workers, look-ups of parked keys, and the persistence
//! of its state.
//!
//! Invariant: parked keys and finished partitions are persisted before any position that passes an
//! event which was parked for them or applied to them. Parked keys are removed after the position
//! that follows their look-ups.

use std::collections::HashMap;

use super::{Error, event_application::EventApplication, round::ParkedPartition};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, ParkedKeyDocument, Phase},
    model::event::CollectionUuid,
    observe::failpoint,
    sync::{
        copy::{self, CopyReport, invalidation},
        index_build,
        partitions::{FinishedPartition, ParkedKey},
        resync,
        status::Activity,
    },
};

/// Documents of the metadata that one transaction writes.
const TOGETHER: usize = 500;

/// Parked keys that one transaction writes, and bytes of their `_id`s. A larger `_id` goes alone.
const KEYS_TOGETHER: usize = 5_000;
const KEY_BYTES: usize = 4 << 20;

impl EventApplication {
    /// Takes up the copy where an earlier run has left it.
    pub(super) async fn go_on_copying(&mut self) -> Result<(), Error> {
        let context = self.context.clone();
        let listed = context.record.get().recopy;
        if !listed.is_empty() {
            invalidation::mark(&context, &listed).await?;
            failpoint("recopy_marked");
            context
                .record
                .update(|session| session.recopy.clear())
                .await?;
        }
        let mut namespaces = context.store.namespaces().await?;
        self.ready_views(&mut namespaces).await?;
        self.tracked_collections.load(&context, &namespaces).await?;
        // An attempt before this one has counted what is counted again now.
        context.status.reset();
        copy::show(&context, &namespaces);
        index_build::plan(&context, &namespaces);
        let mut parked: HashMap<String, Vec<ParkedKey>> = HashMap::new();
        for key in context.store.parked_keys().await? {
            let of_namespace = parked.entry(key.namespace_id.clone()).or_default();
            of_namespace.push(ParkedKey::of_document(&key)?);
        }
        namespaces.retain(|namespace| {
            let is_ready = namespace.copy_state == CopyState::Ready;
            if is_ready {
                copy::show_counts(&context, namespace, &[]);
            }
            namespace.kind == NamespaceKind::Collection
                && (!is_ready || parked.contains_key(&namespace.id))
        });
        let uuids: Vec<_> = namespaces
            .iter()
            .filter_map(NamespaceDocument::uuid)
            .collect();
        self.put_to_work(namespaces).await?;
        for uuid in uuids {
            let id = NamespaceDocument::id_of_uuid(uuid);
            let keys = parked.remove(&id).unwrap_or_default();
            self.park_again(uuid, keys).await?;
        }
        context.partitions.forget_places();
        for (uuid, finished) in context.partitions.finished() {
            self.look_up_parked(uuid, finished).await?;
        }
        Ok(())
    }

    /// Marks views as ready: they are made at commit, so their names block no other namespace
    /// before.
    async fn ready_views(&mut self, namespaces: &mut [NamespaceDocument]) -> Result<(), Error> {
        let mut views = Vec::new();
        for namespace in namespaces {
            if namespace.kind == NamespaceKind::View && namespace.copy_state != CopyState::Ready {
                namespace.copy_state = CopyState::Ready;
                views.push(namespace.clone());
            }
        }
        for views in views.chunks(TOGETHER) {
            self.context.store.put_namespaces(views).await?;
        }
        Ok(())
    }

    /// Gives collections to the workers, as far as their copy is.
    pub(super) async fn put_to_work(
        &mut self,
        namespaces: Vec<NamespaceDocument>,
    ) -> Result<(), Error> {
        self.forget_verified(&namespaces).await;
        let (pending, begun): (Vec<_>, Vec<_>) = namespaces
            .into_iter()
            .partition(|namespace| namespace.copy_state == CopyState::Pending);
        self.context.partitions.add(pending);
        let uuids: Vec<_> = begun.iter().filter_map(NamespaceDocument::uuid).collect();
        let done = copy::go_on(&self.context, begun).await?;
        for uuid in uuids {
            self.know_destination(uuid)?;
        }
        for (uuid, state) in done {
            match state {
                CopyState::Ready => self.context.partitions.ready(uuid),
                _ => self.all_copied(uuid),
            }
        }
        Ok(())
    }

    /// Takes the UUID of a collection on the destination from the map of partitions.
    fn know_destination(&mut self, uuid: CollectionUuid) -> Result<(), Error> {
        match self.context.partitions.namespace(uuid) {
            Some(namespace) => self.tracked_collections.insert(&self.context, &namespace),
            None => Ok(()),
        }
    }

    /// Takes a report of a worker.
    pub(super) async fn take_report(&mut self, report: CopyReport) -> Result<(), Error> {
        match report {
            CopyReport::Planned(collections) => {
                for (uuid, on_destination) in collections {
                    if let Some(mut namespace) = self.context.partitions.namespace(uuid) {
                        namespace.destination_uuid = on_destination;
                        self.tracked_collections.insert(&self.context, &namespace)?;
                    }
                }
            }
            CopyReport::Done {
                plan,
                partition,
                at,
            } => {
                if let Some(finished) = self.context.partitions.done(plan, partition, at) {
                    self.exactness.note(at);
                    self.context.status.has_moved();
                    self.unpersisted.partitions.push(finished.document.clone());
                    let is_last = finished.is_last;
                    self.look_up_parked(plan.0, finished).await?;
                    if is_last {
                        self.all_copied(plan.0);
                    }
                    failpoint("partition_done");
                }
            }
            CopyReport::IndexesBuilt { uuid, namespace } => self.indexes_built(uuid, &namespace),
            CopyReport::Failed(error) => return Err(error),
        }
        self.show_phase().await
    }

    fn all_copied(&mut self, uuid: CollectionUuid) {
        if let Some(namespace) = self.context.partitions.copied(uuid) {
            let status = &self.context.status;
            status
                .collections
                .change(&namespace.source, |collection| collection.state = "copied");
            self.unpersisted.namespaces.push(namespace);
        }
    }

    /// Marks a collection as ready, unless its record has other indexes by now.
    fn indexes_built(&mut self, uuid: CollectionUuid, built: &NamespaceDocument) {
        let partitions = &self.context.partitions;
        let Some(recorded) = partitions.namespace(uuid) else {
            return;
        };
        if recorded.indexes != built.indexes {
            partitions.build_again(uuid);
            return;
        }
        partitions.ready(uuid);
        if let Some(namespace) = partitions.namespace(uuid) {
            index_build::show_ready(&self.context, &namespace);
            self.unpersisted.namespaces.push(namespace);
        }
    }

    /// Hands the parked keys of a finished partition to the appliers.
    async fn look_up_parked(
        &mut self,
        uuid: CollectionUuid,
        finished: FinishedPartition,
    ) -> Result<(), Error> {
        let partition = ParkedPartition {
            uuid,
            id: finished.document.id.clone(),
        };
        let mut keys = finished.parked;
        if finished.has_stored_keys {
            for key in self.context.store.parked_keys_of(&partition.id).await? {
                keys.push(ParkedKey::of_document(&key)?);
            }
            keys.sort_by_key(|key| key.order);
        }
        match self.tracked_collections.get(Some(uuid)) {
            Some(tracked) if !keys.is_empty() => {
                let at_least = self.context.partitions.decided();
                let looked_up = self.appliers.look_up(tracked, keys, at_least, partition);
                self.rounds.push_back(looked_up.await?);
            }
            _ => self.looked_up(partition),
        }
        Ok(())
    }

    /// Notes that the parked keys of a partition are looked up, and their documents durable.
    pub(super) fn looked_up(&mut self, partition: ParkedPartition) {
        let ParkedPartition { uuid, id } = partition;
        let had_keys = self.context.partitions.looked_up(uuid, &id);
        if had_keys {
            self.unpersisted.looked_up.push(id);
        }
        failpoint("parked_looked_up");
    }

    /// Persists the state of the copy, and the position if it has moved.
    pub(super) async fn persist(&mut self, clean: bool) -> Result<(), Error> {
        self.persist_states().await?;
        self.position.persist(clean).await?;
        self.remove_looked_up().await?;
        self.context.partitions.retire();
        if self.context.partitions.is_idle() {
            resync::finish(&self.context).await?;
        }
        Ok(())
    }

    /// Persists the state of the copy, if there is any to persist.
    pub(super) async fn persist_copies(&mut self) -> Result<(), Error> {
        self.persist_states().await?;
        if self.unpersisted.looked_up.is_empty() {
            return Ok(());
        }
        self.position.persist(false).await?;
        self.remove_looked_up().await
    }

    async fn persist_states(&mut self) -> Result<(), Error> {
        let context = &self.context;
        let parked = context.partitions.unpersisted()?;
        let mut rest = parked.documents.as_slice();
        while !rest.is_empty() {
            let (keys, later) = rest.split_at(fitting(rest));
            context.store.put_parked(keys).await?;
            rest = later;
        }
        if !parked.documents.is_empty() {
            context.partitions.persisted(&parked);
            failpoint("parked_persisted");
        }
        let copies = &mut self.unpersisted;
        while !copies.partitions.is_empty() || !copies.namespaces.is_empty() {
            let partitions = copies.partitions.len().min(TOGETHER);
            let partitions: Vec<_> = copies.partitions.drain(..partitions).collect();
            // A namespace follows its partitions.
            let namespaces = match copies.partitions.is_empty() {
                true => copies.namespaces.len().min(TOGETHER),
                false => 0,
            };
            let namespaces: Vec<_> = copies.namespaces.drain(..namespaces).collect();
            context.store.put_done(&partitions, &namespaces).await?;
            failpoint("copy_persisted");
        }
        Ok(())
    }

    async fn remove_looked_up(&mut self) -> Result<(), Error> {
        let looked_up = std::mem::take(&mut self.unpersisted.looked_up);
        for ids in looked_up.chunks(TOGETHER) {
            self.context.store.remove_parked(ids).await?;
        }
        Ok(())
    }

    /// Keeps workers out of collections.
    ///
    /// # Errors
    /// `Cancelled` on cancellation.
    pub(super) async fn withdraw(&mut self, collections: &[CollectionUuid]) -> Result<(), Error> {
        for uuid in collections {
            tokio::select! {
                () = self.context.partitions.withdraw(*uuid) => {}
                () = self.context.cancel.cancelled() => return Err(Error::Cancelled),
            }
        }
        Ok(())
    }

    /// Compares collections again, while later events are applied. Invariant: all rounds are
    /// finished.
    pub(super) async fn compare_again(&mut self, ids: &[String]) -> Result<(), Error> {
        let uuids = ids.iter();
        let uuids: Vec<_> = uuids
            .filter_map(|id| NamespaceDocument::uuid_of_id(id))
            .collect();
        self.withdraw(&uuids).await?;
        self.persist(false).await?;
        let marked = invalidation::mark(&self.context, ids).await?;
        failpoint("recopy_marked");
        let partitions = &self.context.partitions;
        partitions.read_after(self.exactness.after_restart());
        for uuid in uuids {
            partitions.remove(uuid);
        }
        self.put_to_work(marked).await?;
        self.show_phase().await
    }

    /// Shows the activity, and persists the phase when the first copy has reached the next.
    pub(super) async fn show_phase(&mut self) -> Result<(), Error> {
        let (phase, recorded) = (
            self.context.partitions.phase(),
            self.context.record.get().phase,
        );
        let is_first = recorded < Phase::ChangeEventApplication;
        self.is_copying = phase == Phase::CollectionCopy;
        let status = &self.context.status;
        let was_recopied = !is_first && status.activity().is_recopy();
        status.set_activity(match phase {
            Phase::CollectionCopy if is_first => Activity::CollectionCopy,
            Phase::CollectionCopy => Activity::Recopy,
            Phase::IndexBuild => Activity::IndexBuild,
            _ => Activity::ChangeEventApplication,
        });
        if is_first && phase > recorded {
            self.persist(false).await?;
            let update = self.context.record.update(|session| session.phase = phase);
            update.await?;
            if recorded == Phase::CollectionCopy {
                failpoint("copy_done");
            }
            if phase == Phase::ChangeEventApplication {
                failpoint("indexes_built");
            }
        } else if was_recopied && phase == Phase::ChangeEventApplication {
            self.persist(false).await?;
            failpoint("recopy_done");
        }
        Ok(())
    }
}

/// The number of parked keys for the next transaction; at least 1.
fn fitting(keys: &[ParkedKeyDocument]) -> usize {
    let mut bytes = 0;
    let fitting = keys.iter().take(KEYS_TOGETHER).take_while(|key| {
        bytes += key.document_id.as_bytes().len();
        bytes <= KEY_BYTES
    });
    fitting.count().max(1)
}
