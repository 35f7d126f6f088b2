//! The intents of one DDL event: persisted before its effects, ended with its record.

use bson::RawDocumentBuf;

use crate::{
    metadata::{
        self, IntentDocument, IntentKind, IntentState, NamespaceDocument, PositionDocument,
    },
    model::{Namespace, event::ChangeEvent},
    mongo::{self, Change},
    sync::{Context, Error},
};

/// The numbers of the intents of a term.
#[derive(Debug, Default)]
pub(in crate::sync::stream) struct IntentNumbers(u64);

impl IntentNumbers {
    /// Continues after the numbers of persisted intents.
    pub(in crate::sync::stream) fn after(intents: &[IntentDocument]) -> Self {
        let number = |intent: &IntentDocument| intent.id.rsplit_once(':')?.1.parse().ok();
        Self(intents.iter().filter_map(number).max().unwrap_or_default())
    }

    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// The intents that an event has persisted, and whether their commands may still arrive.
pub(super) struct Intents<'a> {
    numbers: &'a mut IntentNumbers,
    /// The exact position before the event, until an intent has been persisted with it.
    before: Option<PositionDocument>,
    written: Vec<IntentDocument>,
    /// The answer of a command was lost, so the command may still be done, or be done again.
    unknown: bool,
}

/// An intent that is about to be persisted.
pub(super) struct NewIntent<'i, 'a> {
    context: &'i Context,
    intents: &'i mut Intents<'a>,
    document: IntentDocument,
}

impl<'a> Intents<'a> {
    /// No intents yet. `before` is the exact position before the event.
    pub(super) fn new(numbers: &'a mut IntentNumbers, before: Option<PositionDocument>) -> Self {
        Self {
            numbers,
            before,
            written: Vec::new(),
            unknown: false,
        }
    }

    /// Begins an intent of `event`; [`NewIntent::write`] persists it.
    pub(super) fn begin<'i>(
        &'i mut self,
        context: &'i Context,
        event: &ChangeEvent<'_>,
        what: IntentKind,
        destination: &Namespace,
    ) -> NewIntent<'i, 'a> {
        let term = context.store.key().term;
        let token = RawDocumentBuf::from_bytes(event.resume_token.to_vec());
        let document = IntentDocument {
            id: IntentDocument::id_of(term, self.numbers.next()),
            what,
            token: token.unwrap_or_default(),
            cluster_time: event.cluster_time,
            namespace_id: None,
            source: Namespace::new(event.database, event.collection),
            destination: destination.clone(),
            destination_to: None,
            destination_uuid: None,
            replaced_uuid: None,
            state: IntentState::Pending,
        };
        NewIntent {
            context,
            intents: self,
            document,
        }
    }

    /// Notes whether a command was sent more than once, or its answer was lost.
    pub(super) fn note_repeated(&mut self, repeated: bool) {
        self.unknown |= repeated;
    }

    /// Adds the end of the intents to `changes`. Intents whose commands may still arrive stay, in
    /// flight.
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

impl NewIntent<'_, '_> {
    /// Names the collection that the intent is about.
    pub(super) fn of(mut self, namespace: &NamespaceDocument) -> Self {
        self.document.namespace_id = Some(namespace.id.clone());
        self.document
            .destination_uuid
            .clone_from(&namespace.destination_uuid);
        self
    }

    /// Names the destination of a rename.
    pub(super) fn to(mut self, to: &Namespace) -> Self {
        self.document.destination_to = Some(to.clone());
        self
    }

    /// Persists the intent, the first of an event together with the position before it.
    pub(super) async fn write(self) -> Result<(), Error> {
        let Self {
            context,
            intents,
            document,
        } = self;
        let before = intents.before.take();
        context
            .store
            .put_intent(&document, before.as_ref(), Vec::new())
            .await?;
        intents.written.push(document);
        Ok(())
    }
}
