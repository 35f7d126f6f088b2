//! The occurrences of a sync that hooks have to receive, in memory and in the metadata.
//!
//! One task writes the metadata, one change after the other, and is never dropped within a transaction.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    config::HookOptions,
    metadata::{HookDocument, Store},
    mongo::{self, Client, Error, listing},
    observe::failpoint,
    session::active::ActiveSync,
};

/// Interval between two attempts to write or read the metadata.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// The wait for the destination's clock.
const CLOCK_WITHIN: Duration = Duration::from_secs(2);
/// The wait for the destination before an occurrence that it may be the cause of is sent.
const PERSIST_WITHIN: Duration = Duration::from_secs(5);

/// The occurrences that are known, sent or not. `None` until they are read.
type Documents = Option<Vec<HookDocument>>;

pub(super) struct Outbox {
    store: Store,
    destination: Client,
    occurrences: Arc<Occurrences>,
    writes: mpsc::UnboundedSender<Write>,
}

/// The occurrences in memory.
#[derive(Default)]
struct Occurrences {
    documents: watch::Sender<Documents>,
    /// Ids of facts that are being written, before they are sent.
    unwritten: Mutex<HashSet<String>>,
}

impl Occurrences {
    /// Gives an occurrence to the senders.
    fn send(&self, document: HookDocument) {
        failpoint("hook_recorded");
        let id = document.id.clone();
        self.documents
            .send_modify(|all| all.get_or_insert_default().push(document));
        self.unwritten.lock().remove(&id);
    }
}

/// A change of the metadata, with the notice that it is durable.
struct Write {
    change: OutboxChange,
    durable: oneshot::Sender<()>,
}

enum OutboxChange {
    /// Writes a fact, and sends it then.
    Record(HookDocument),
    Put(HookDocument),
    Remove(String),
}

impl Outbox {
    /// The outbox of a sync. Starts the task that writes it.
    pub(super) fn open(active: &ActiveSync) -> Arc<Self> {
        let store = active.record.store().clone();
        let occurrences = Arc::new(Occurrences::default());
        let (writes, queue) = mpsc::unbounded_channel();
        tokio::spawn(write_all(store.clone(), occurrences.clone(), queue));
        Arc::new(Self {
            store,
            destination: active.destination.client.clone(),
            occurrences,
            writes,
        })
    }

    /// Reads the occurrences of earlier hosts. Repeated until the destination answers.
    pub(super) async fn load(&self, sync_id: &str) {
        loop {
            match self.store.hook_documents().await {
                Ok(mut documents) => {
                    // A sync that was given up leaves none, since the start of the next removes them.
                    let prefix = format!("{sync_id}:");
                    documents.retain(|document| document.id.starts_with(&prefix));
                    self.occurrences.documents.send_replace(Some(documents));
                    return;
                }
                Err(error) => {
                    tracing::debug!(error = %error, "occurrences for hooks are not read yet");
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    /// The time of the destination's clock; `None` if it does not answer.
    pub(super) async fn now(&self) -> Option<bson::DateTime> {
        let read = timeout(CLOCK_WITHIN, listing::local_time(&self.destination)).await;
        read.ok()?.ok()
    }

    /// Whether an occurrence is known.
    pub(super) fn has(&self, id: &str) -> bool {
        let documents = self.occurrences.documents.borrow();
        let is_written = documents.iter().flatten().any(|known| known.id == id);
        is_written || self.occurrences.unwritten.lock().contains(id)
    }

    /// Whether occurrences were read, and these hooks have received all.
    pub(super) fn is_received(&self, hooks: &[Arc<HookOptions>]) -> bool {
        let documents = self.occurrences.documents.borrow();
        let is_ours = |name: &String| hooks.iter().any(|hook| hook.name == *name);
        let is_received = |document: &HookDocument| !document.pending.iter().any(is_ours);
        documents
            .as_ref()
            .is_some_and(|all| all.iter().all(is_received))
            && self.occurrences.unwritten.lock().is_empty()
    }

    /// Records an occurrence. A fact is sent when it is durable. A failure of this host is sent although the destination
    /// does not answer: its silence can be what is to be told.
    pub(super) async fn record(&self, document: HookDocument) {
        if document.fact {
            let id = document.id.clone();
            self.occurrences.unwritten.lock().insert(id);
            drop(self.write(OutboxChange::Record(document)));
        } else {
            let durable = self.write(OutboxChange::Put(document.clone()));
            let _ = timeout(PERSIST_WITHIN, durable).await;
            self.occurrences.send(document);
        }
    }

    /// The oldest occurrence that a hook has to receive. Waits for one. Cancel safe.
    pub(super) async fn next(&self, hook: &str) -> HookDocument {
        let mut documents = self.occurrences.documents.subscribe();
        loop {
            let found = {
                let all = documents.borrow_and_update();
                let mut waiting = all.iter().flatten();
                waiting
                    .find(|document| document.pending.iter().any(|name| name == hook))
                    .cloned()
            };
            match found {
                Some(document) => return document,
                // The sender is in `self`, so no error occurs.
                None => _ = documents.changed().await,
            }
        }
    }

    /// Takes a hook off an occurrence that it has received. Returns when that is durable, or can no longer be.
    pub(super) async fn received(&self, id: &str, hook: &str) {
        let mut change = None;
        self.occurrences.documents.send_modify(|all| {
            let Some(all) = all else { return };
            let Some(document) = all.iter_mut().find(|document| document.id == id) else {
                return;
            };
            document.pending.retain(|name| name != hook);
            if document.pending.is_empty() && !document.fact {
                all.retain(|document| document.id != id);
                change = Some(OutboxChange::Remove(id.to_owned()));
            } else {
                change = Some(OutboxChange::Put(document.clone()));
            }
        });
        if let Some(change) = change {
            // A lost lease ends the tasks of this host.
            let _ = self.write(change).await;
        }
    }

    fn write(&self, change: OutboxChange) -> oneshot::Receiver<()> {
        let (durable, receiver) = oneshot::channel();
        // A closed queue drops the sender, which the receiver sees.
        let _ = self.writes.send(Write { change, durable });
        receiver
    }
}

/// Writes changes in their order, until the lease is lost or the outbox is dropped.
async fn write_all(
    store: Store,
    occurrences: Arc<Occurrences>,
    mut queue: mpsc::UnboundedReceiver<Write>,
) {
    while let Some(Write { change, durable }) = queue.recv().await {
        loop {
            let written = match &change {
                OutboxChange::Record(document) | OutboxChange::Put(document) => {
                    store.put_hook_document(document).await
                }
                OutboxChange::Remove(id) => store.remove_hook_document(id).await,
            };
            match written {
                Ok(()) => break,
                Err(mongo::Error::Fenced) => return,
                Err(error) => pause(&error).await,
            }
        }
        if let OutboxChange::Record(document) = change {
            occurrences.send(document);
        }
        let _ = durable.send(());
    }
}

async fn pause(error: &Error) {
    tracing::debug!(error = %error, "an occurrence for hooks is not persisted yet");
    tokio::time::sleep(RETRY_EVERY).await;
}
