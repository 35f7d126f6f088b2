//! The intents of one DDL event: persisted before its effects, ended with its record.

use bson::{RawDocumentBuf, rawdoc};

use super::{Context, Ddl, Error};
use crate::{
    metadata::{
        self, IntentDocument, IntentKind, IntentState, NamespaceDocument, PositionDocument,
    },
    model::Namespace,
    mongo::{self, Change, DestinationDatabase},
};

/// Numbers the intents of a term.
#[derive(Debug, Default)]
pub(in crate::sync::stream) struct Numbers(u64);

impl Numbers {
    /// Goes on behind the intents that a term has left.
    pub(in crate::sync::stream) fn after(intents: &[IntentDocument]) -> Self {
        let number = |intent: &IntentDocument| intent.id.rsplit_once(':')?.1.parse().ok();
        Self(intents.iter().filter_map(number).max().unwrap_or_default())
    }

    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

pub(super) struct Intents<'a> {
    numbers: &'a mut Numbers,
    /// The exact position before the event, until an intent has been persisted with it.
    before: Option<PositionDocument>,
    written: Vec<IntentDocument>,
    /// The answer of a command was lost: it may still be done, or be done again.
    unknown: bool,
}

/// An intent that is about to be persisted.
pub(super) struct NewIntent<'i, 'a> {
    context: &'i Context,
    intents: &'i mut Intents<'a>,
    document: IntentDocument,
}

impl<'a> Intents<'a> {
    pub(super) fn new(numbers: &'a mut Numbers, before: Option<PositionDocument>) -> Self {
        Self {
            numbers,
            before,
            written: Vec::new(),
            unknown: false,
        }
    }

    /// Adds the end of the intents to what is recorded. Those whose commands may still arrive stay.
    pub(super) fn end(
        self,
        store: &metadata::Store,
        mut changes: Vec<Change>,
    ) -> Result<Vec<Change>, mongo::Error> {
        for mut intent in self.written {
            changes.push(if self.unknown {
                intent.state = IntentState::InFlight;
                store.intent_change(&intent)?
            } else {
                store.intent_removal(&intent.id)
            });
        }
        Ok(changes)
    }
}

impl<'a> Ddl<'a, '_> {
    /// Begins an intent of this event; it is persisted by [`NewIntent::write`].
    pub(super) fn intend(
        &mut self,
        what: IntentKind,
        destination: &Namespace,
    ) -> NewIntent<'_, 'a> {
        let term = self.context.store.key().term;
        let token = RawDocumentBuf::from_bytes(self.event.resume_token.to_vec());
        let document = IntentDocument {
            id: IntentDocument::id_of(term, self.intents.numbers.next()),
            what,
            token: token.unwrap_or_default(),
            cluster_time: self.event.cluster_time,
            namespace_id: None,
            source: self.namespace(),
            destination: destination.clone(),
            destination_to: None,
            destination_uuid: None,
            replaced_uuid: None,
            state: IntentState::Pending,
        };
        NewIntent {
            context: self.context,
            intents: &mut self.intents,
            document,
        }
    }

    /// Persists the exact position before the event, for an effect that persists its own progress.
    pub(super) async fn record_before(&mut self) -> Result<(), Error> {
        if let Some(before) = self.intents.before.take() {
            self.context.store.put_position(&before).await?;
        }
        Ok(())
    }

    /// Runs a command of the effect: again after transient failures, so that it must be one that
    /// tells when it finds itself done.
    pub(super) async fn run(
        &mut self,
        database: &DestinationDatabase,
        mut command: RawDocumentBuf,
    ) -> Result<(), Error> {
        command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        let mut repeated = false;
        let run = database.run_noting(command, &mut repeated).await;
        self.intents.unknown |= repeated;
        Ok(run?)
    }
}

impl NewIntent<'_, '_> {
    pub(super) fn of(mut self, namespace: &NamespaceDocument) -> Self {
        self.document.namespace_id = Some(namespace.id.clone());
        self.document
            .destination_uuid
            .clone_from(&namespace.destination_uuid);
        self
    }

    pub(super) fn to(mut self, to: &Namespace) -> Self {
        self.document.destination_to = Some(to.clone());
        self
    }

    pub(super) async fn write(self) -> Result<(), Error> {
        let Self {
            context,
            intents,
            document,
        } = self;
        let before = intents.before.take();
        context.store.put_intent(&document, before.as_ref()).await?;
        intents.written.push(document);
        Ok(())
    }
}
