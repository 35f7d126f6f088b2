//! Intents: DDL that is persisted before its effect on the destination, and removed after it.
//!
//! Invariants:
//!
//! - An intent is persisted in one transaction with the exact position before its event.
//! - It is removed in one transaction with the record of its effect and the position after the event.
//! - An intent that was pending at a takeover may take effect late. It is `inFlight` from then on.

use bson::doc;

use super::{
    collections::INTENTS,
    documents::{IntentDocument, IntentState, PositionDocument},
    store::{Reader, Store, remove},
};
use crate::mongo::{Change, Error};

impl Reader {
    /// All intents, pending and in flight.
    pub async fn intents(&self) -> Result<Vec<IntentDocument>, Error> {
        self.documents.find(INTENTS, doc! {}).await
    }
}

impl Store {
    /// Writes an intent, and the exact position before its event, if there is one, in one transaction with other
    /// changes.
    pub async fn put_intent(
        &self,
        intent: &IntentDocument,
        position: Option<&PositionDocument>,
        mut more: Vec<Change>,
    ) -> Result<(), Error> {
        more.push(self.intent_change(intent)?);
        if let Some(position) = position {
            more.push(self.position_change(position)?);
        }
        self.commit(more).await
    }

    /// The change that writes an intent.
    pub fn intent_change(&self, intent: &IntentDocument) -> Result<Change, Error> {
        self.put(INTENTS, &intent.id, intent)
    }

    /// The change that removes an intent.
    pub fn intent_removal(&self, id: &str) -> Change {
        remove(INTENTS, doc! { "_id": id })
    }

    /// Writes the record of a DDL event and the position after it.
    pub async fn record_ddl(
        &self,
        mut changes: Vec<Change>,
        position: Option<&PositionDocument>,
    ) -> Result<(), Error> {
        if let Some(position) = position {
            changes.push(self.position_change(position)?);
        }
        self.commit(changes).await
    }

    /// Marks partitions in work as suspect and pending intents as in flight: statements of previous work may
    /// still arrive at the destination. Items of earlier work are taken away. The partitions stay in work, and are read at or after the position. Work
    /// begins with this write, and reads everything after it, in its own term.
    pub async fn begin_work(&self) -> Result<(), Error> {
        let mut changes = Vec::new();
        for mut intent in self.intents().await? {
            if intent.state == IntentState::Pending {
                intent.state = IntentState::InFlight;
                changes.push(self.intent_change(&intent)?);
            }
        }
        changes.extend(self.items_removal().await?);
        let position = self.position().await?;
        let safe = position.map(|position| position.safe.cluster_time);
        for mut partition in self.partitions_in_work().await? {
            // A recopy of a release before 0.4.0 reads at the position, and its migration knows the start time only.
            let begun_at = partition.begun_at.max(safe);
            if !partition.suspect || partition.begun_at != begun_at {
                (partition.suspect, partition.begun_at) = (true, begun_at);
                changes.push(self.partition_change(&partition)?);
            }
        }
        self.commit(changes).await
    }
}
