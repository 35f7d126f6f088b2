//! DDL that is about to change the destination: persisted before its effect, ended after it.
//!
//! Invariants:
//!
//! - an intent is persisted in one transaction with the exact position before its event;
//! - it ends in one transaction with the record of its effect and the position after it;
//! - one that was pending at a takeover may still take effect late, and is `inFlight` from then on.

use bson::doc;

use super::{
    collections::INTENTS,
    documents::{IntentDocument, IntentState, PartitionDocument, PositionDocument},
    store::{Reader, Store, remove},
};
use crate::mongo::{Change, Error};

impl Reader {
    /// All intents, pending or in flight.
    pub async fn intents(&self) -> Result<Vec<IntentDocument>, Error> {
        self.documents.find(INTENTS, doc! {}).await
    }
}

impl Store {
    /// Persists an intent, together with the exact position before its event, if there is one.
    pub async fn put_intent(
        &self,
        intent: &IntentDocument,
        position: Option<&PositionDocument>,
    ) -> Result<(), Error> {
        let mut changes = vec![self.intent_change(intent)?];
        if let Some(position) = position {
            changes.push(self.position_change(position)?);
        }
        self.commit(changes).await
    }

    /// The change that writes an intent.
    pub fn intent_change(&self, intent: &IntentDocument) -> Result<Change, Error> {
        self.put(INTENTS, &intent.id, intent)
    }

    /// The change that ends an intent.
    pub fn intent_removal(&self, id: &str) -> Change {
        remove(INTENTS, doc! { "_id": id })
    }

    /// Records what DDL has changed, together with the position after it.
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

    /// Work begins: what earlier work was at may still arrive at the destination. Partitions that were
    /// begun and are not done are suspect from now on, and pending intents in flight. Whatever work
    /// reads after this, it reads under its own term.
    pub async fn begin_work(&self) -> Result<(), Error> {
        let mut changes = Vec::new();
        for mut intent in self.intents().await? {
            if intent.state == IntentState::Pending {
                intent.state = IntentState::InFlight;
                changes.push(self.intent_change(&intent)?);
            }
        }
        let begun = doc! { "begun": true, "done": false };
        let begun: Vec<PartitionDocument> = self.partitions_where(begun).await?;
        for mut partition in begun {
            (partition.begun, partition.suspect) = (false, true);
            changes.push(self.partition_change(&partition)?);
        }
        self.commit(changes).await
    }
}
