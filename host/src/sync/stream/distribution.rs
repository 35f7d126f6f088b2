//! The events of a batch: decided one by one, and handed out to the appliers in rounds between DDL
//! events.

use std::{collections::HashMap, sync::Arc};

use super::{
    Error, ddl, event_application::EventApplication, position::position_after, reader::StreamBatch,
    round::RoundBuilder,
};
use crate::{
    metadata::PositionDocument,
    model::{
        Namespace, Position,
        event::{ChangeEvent, CollectionUuid, OpType},
        raw::Malformed,
    },
    mongo::{self, Change},
    observe::failpoint,
    sync::{
        Context,
        catalog::database_names,
        partitions::{Decision, ParkedKey, UnplacedKey, server_order},
        status::Activity,
    },
};

impl EventApplication {
    /// Splits a batch into rounds at its DDL events and hands them out.
    pub(super) async fn take(&mut self, batch: StreamBatch) -> Result<(), Error> {
        self.fit_appliers().await?;
        let batch = Arc::new(batch);
        let events = batch.events()?.collect::<Result<Vec<_>, _>>()?;
        if self.meet_verification(&events, batch.position()).await? {
            return Ok(());
        }
        self.note_changes(&events);
        for run in events.chunk_by(|a, b| a.op_type.is_crud() && b.op_type.is_crud()) {
            let is_crud = run.first().is_some_and(|event| event.op_type.is_crud());
            if is_crud {
                let last = run.last().map(|event| event.resume_token);
                let round = self.decide(&batch, run).await?;
                // The last round of the batch has the batch's position, which is later.
                let is_last = run.as_ptr_range().end == events.as_ptr_range().end;
                let position = match is_last {
                    true => batch.position(),
                    false => last.map(position_after).transpose()?.flatten(),
                };
                self.submit(round, position).await?;
            } else {
                for event in run {
                    self.apply_ddl(event).await?;
                }
            }
        }
        let ends_with_round = events.last().is_some_and(|event| event.op_type.is_crud());
        if !ends_with_round {
            let empty = RoundBuilder::new(&batch, self.appliers.count());
            self.submit(empty, batch.position()).await?;
        }
        Ok(())
    }

    /// Decides on events of documents, in order.
    async fn decide(
        &mut self,
        batch: &Arc<StreamBatch>,
        run: &[ChangeEvent<'_>],
    ) -> Result<RoundBuilder, Error> {
        let mut round = RoundBuilder::new(batch, self.appliers.count());
        let mut rest = run;
        loop {
            rest = self.decide_known(&mut round, rest)?;
            if rest.is_empty() {
                self.context.partitions.forget_places();
                return Ok(round);
            }
            self.ask_places(rest).await?;
        }
    }

    /// Decides on events until the server has to give a place. Returns the rest. All decisions are
    /// one critical section with the beginning of partitions.
    fn decide_known<'r, 'e>(
        &self,
        round: &mut RoundBuilder,
        run: &'r [ChangeEvent<'e>],
    ) -> Result<&'r [ChangeEvent<'e>], Error> {
        let mut decisions = self.context.partitions.decisions();
        let is_trivial = decisions.is_trivial();
        for (at, event) in run.iter().enumerate() {
            let Some(tracked) = self.tracked_collections.get(event.uuid) else {
                decisions.decided(event.cluster_time);
                continue;
            };
            if is_trivial {
                round.push(event, tracked, true)?;
                continue;
            }
            let id = event.document_id.ok_or(Malformed)?;
            match decisions.decide(tracked.uuid, id, event.cluster_time) {
                Decision::PassedOver => {}
                Decision::Parked => round.count(),
                Decision::Applied(settled) => {
                    round.push(event, tracked, event.cluster_time > settled)?;
                }
                Decision::PlaceUnknown => return Ok(run.get(at..).unwrap_or_default()),
            }
        }
        if let Some(last) = run.last() {
            decisions.decided(last.cluster_time);
        }
        Ok(&[])
    }

    /// Asks the server for the places of documents whose order the host does not know.
    async fn ask_places(&mut self, events: &[ChangeEvent<'_>]) -> Result<(), Error> {
        let mut unplaced: HashMap<CollectionUuid, Vec<UnplacedKey>> = HashMap::new();
        {
            let decisions = self.context.partitions.decisions();
            for event in events {
                if let (Some(uuid), Some((id_kind, id))) = (event.uuid, event.document_id)
                    && decisions.is_unplaced(uuid, (id_kind, id))
                {
                    unplaced.entry(uuid).or_default().push((id_kind, id.into()));
                }
            }
        }
        for (uuid, keys) in unplaced {
            self.learn_places(uuid, &keys).await?;
        }
        Ok(())
    }

    /// Asks the server for the places of these keys.
    pub(super) async fn learn_places(
        &mut self,
        uuid: CollectionUuid,
        keys: &[UnplacedKey],
    ) -> Result<(), Error> {
        let partitions = &self.context.partitions;
        if let Some(of) = partitions.bounds(uuid) {
            let collation = of.collation();
            let keys_of: Vec<(u8, &[u8])> = keys.iter().map(|(kind, id)| (*kind, &**id)).collect();
            let source = &self.context.source;
            let destination = self.context.destination.reads();
            let server = match source.features().await?.documents_stage {
                true => source,
                false => &destination,
            };
            let places = server_order::places(server, collation, &of.bounds, &keys_of).await?;
            partitions.learn(uuid, &of, keys, &places);
        }
        Ok(())
    }

    /// Puts persisted keys of a collection back to their partitions, as of the begin of work.
    pub(super) async fn park_again(
        &mut self,
        uuid: CollectionUuid,
        keys: Vec<ParkedKey>,
    ) -> Result<(), Error> {
        let unplaced = self.context.partitions.park_again(uuid, keys);
        if unplaced.is_empty() {
            return Ok(());
        }
        let keys = unplaced.iter().map(|key| (key.id_kind, key.id.clone()));
        self.learn_places(uuid, &keys.collect::<Vec<_>>()).await?;
        if self
            .context
            .partitions
            .park_again(uuid, unplaced)
            .is_empty()
        {
            Ok(())
        } else {
            Err(mongo::Error::Broken("the server gives the place of every parked key").into())
        }
    }

    /// Hands out a round. `position` is the stream's position after it.
    async fn submit(
        &mut self,
        round: RoundBuilder,
        position: Option<Position>,
    ) -> Result<(), Error> {
        if round.is_empty() && position.is_none() {
            return Ok(());
        }
        let finished = self.appliers.submit(round, position).await?;
        self.rounds.push_back(finished);
        Ok(())
    }

    async fn apply_ddl(&mut self, event: &ChangeEvent<'_>) -> Result<(), Error> {
        self.finish_rounds().await?;
        let event = &self.with_dropped_target(event)?;
        let collections = collections_of(event);
        self.withdraw(&collections).await?;
        self.persist_copies().await?;
        if !self.in_flight.is_empty() {
            ddl::settle(&self.context, &self.in_flight).await?;
        }
        let before = self.position.document();
        let ddl::DdlResult {
            in_scope,
            changes,
            pending,
        } = ddl::apply(
            &self.context,
            &mut self.tracked_collections,
            event,
            before,
            &mut self.numbers,
        )
        .await?;
        failpoint("ddl_applied");
        let is_copied = !pending.is_empty();
        if is_copied {
            // Before the position after the event is shown: the sync is not in step.
            self.context.status.set_activity(Activity::Recopy);
        }
        self.context.status.add_events_applied(u64::from(in_scope));
        let after = position_after(event.resume_token)?.or(self.position.safe().cloned());
        if changes.is_empty() {
            self.position.pass(after);
        } else {
            self.record(changes, after).await?;
        }
        let partitions = &self.context.partitions;
        partitions.decisions().decided(event.cluster_time);
        partitions.read_after(self.exactness.after_restart());
        self.forget_verified(&pending).await;
        let partitions = &self.context.partitions;
        partitions.add(pending);
        for uuid in collections {
            partitions.give_back(uuid);
        }
        if is_copied {
            self.show_phase().await?;
        }
        self.position.show();
        Ok(())
    }

    /// The event, with the collection that a plain rename has dropped: names are unique, so the tracked collection of the
    /// new name must be gone. Drops are events, and come before.
    fn with_dropped_target<'e>(&self, event: &ChangeEvent<'e>) -> Result<ChangeEvent<'e>, Error> {
        if event.op_type != OpType::Rename || event.operation_description.is_some() {
            return Ok(*event);
        }
        let (database, collection) = event.rename_to()?;
        let to = Namespace::new(database, collection);
        let mut tracked = self.tracked_collections.all();
        let target = tracked.find(|it| it.source == to && Some(it.uuid) != event.uuid);
        Ok(target.map_or(*event, |target| event.with_dropped_target(target.uuid)))
    }

    /// Records the changes of a DDL event with the position after it. Until then the position stays
    /// before the event, since work that fails persists it again.
    async fn record(&mut self, changes: Vec<Change>, after: Option<Position>) -> Result<(), Error> {
        let document = self.position.document_at(after.clone(), false);
        record_ddl(&self.context, changes, document.as_ref()).await?;
        self.position.recorded(after, document.as_ref());
        self.in_flight = self.context.store.intents().await?;
        self.tracked_collections.fill_uuids(&self.context).await?;
        failpoint("position_persisted");
        Ok(())
    }
}

/// The collections that a DDL event changes.
fn collections_of(event: &ChangeEvent<'_>) -> Vec<CollectionUuid> {
    let mut collections: Vec<_> = event.uuid.into_iter().collect();
    if event.op_type == OpType::Rename {
        collections.extend(event.dropped_target());
    }
    collections
}

/// Records the changes of a DDL event. A collection that the event creates is created in the same
/// transaction.
async fn record_ddl(
    context: &Context,
    changes: Vec<Change>,
    after: Option<&PositionDocument>,
) -> Result<(), Error> {
    let store = &context.store;
    let Err(error) = store.record_ddl(changes.clone(), after).await else {
        return Ok(());
    };
    let created = changes.iter().find_map(|change| match change {
        Change::Command { database, .. } => Some(database),
        _ => None,
    });
    match created {
        Some(database)
            if database_names::free_database_name(&context.destination, database, &error)
                .await? =>
        {
            Ok(store.record_ddl(changes, after).await?)
        }
        _ => Err(error.into()),
    }
}
