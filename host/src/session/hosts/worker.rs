//! The items that this host does for the leader while it is a standby.
//!
//! Invariants:
//!
//! - An assignment is begun once: a host that starts again has another id, and a task that has ended does not begin again.
//! - A host does items of a leader of its own release alone, with the components that the sync is pinned to.
//! - A host stops when its item is taken away, or the lease has another term.

use std::{collections::HashSet, sync::Weak, time::Duration};

use tokio::time::timeout;

use crate::{
    metadata::{ItemDocument, Reader, SessionDocument, VerifyReport},
    model::{ErrorName, OperatorError},
    observe::{self, failpoint},
    session::{
        active::RunningComponents,
        components::pins::{self, blocking, configure},
        context::HostContext,
        role::{
            host::Host,
            standby::{Standby, StandbyReason},
        },
    },
    sync::{Throttle, VerifyWork},
};

/// Interval between two looks for items.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Interval between two looks at an item that this host does.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Time for an answer of the destination.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Tokens that are remembered. A slice has one for each host, so these are those of hours.
const MAX_TOKENS: usize = 10_000;
/// Attempts to report. Beyond, the leader does without the report.
const REPORTS: usize = 5;

/// Does items until the host ends.
pub(crate) async fn work(host: Weak<Host>) {
    let mut worker = ItemWorker::default();
    while let Some(host) = host.upgrade() {
        let leaving = host.leaving.clone();
        if let Some(standby) = host.standby() {
            tokio::select! {
                () = worker.look(&host.context, &standby) => {}
                () = leaving.cancelled() => return,
            }
        }
        drop(host);
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = leaving.cancelled() => return,
        }
    }
}

/// The state of a host that does items.
#[derive(Default)]
struct ItemWorker {
    /// Tokens of the assignments that were begun.
    begun: HashSet<String>,
    /// The components of the sync, with the pins that they were configured for.
    configured: Option<(Vec<String>, RunningComponents)>,
}

impl ItemWorker {
    /// Does the items that this host has.
    async fn look(&mut self, context: &HostContext, standby: &Standby) {
        let is_led = matches!(&standby.reason, StandbyReason::LeaseHeld(lease) if lease.release == observe::VERSION);
        if !is_led || !context.hosts.is_several(context.settings.lease) {
            return;
        }
        let reader = &standby.sync.reader;
        let Ok(Ok(items)) = timeout(ANSWER_WITHIN, reader.items_of(&context.holder)).await else {
            return;
        };
        if self.begun.len() > MAX_TOKENS {
            self.begun.clear();
        }
        for item in items {
            if self.begun.insert(item.token.clone()) {
                self.carry_out(context, standby, &item).await;
            }
        }
    }

    async fn carry_out(&mut self, context: &HostContext, standby: &Standby, item: &ItemDocument) {
        let reader = &standby.sync.reader;
        tracing::debug!(
            item = item.id,
            collections = item.task.collections.len(),
            "an item begins"
        );
        failpoint("item_begun");
        let report = tokio::select! {
            report = self.verify(context, standby, item) => report,
            () = taken_away(reader, item) => {
                tracing::info!(item = item.id, "the leader has taken an item away");
                return;
            }
        };
        failpoint("item_done");
        for _ in 0..REPORTS {
            match timeout(ANSWER_WITHIN, reader.report_item(item, &report)).await {
                Ok(Ok(counts)) => {
                    tracing::debug!(item = item.id, counts, "an item is reported");
                    return;
                }
                // The same update again: it is done once.
                Ok(Err(error)) => tracing::debug!(error = %error, "an item is reported again"),
                Err(_elapsed) => {}
            }
        }
    }

    async fn verify(
        &mut self,
        context: &HostContext,
        standby: &Standby,
        item: &ItemDocument,
    ) -> VerifyReport {
        let session = match self.prepare(context, standby, item).await {
            Ok(session) => session,
            Err(error) => {
                return VerifyReport {
                    failure: Some(error.to_string()),
                    ..VerifyReport::default()
                };
            }
        };
        let (source, destination) = (
            &standby.sync.source.client,
            &standby.sync.destination.client,
        );
        let throttle = Throttle::of_item(session.options.throttle, (source, destination));
        let configured = self.configured.as_ref();
        let work = VerifyWork {
            source,
            destination,
            chain: configured.map(|(_, components)| &*components.chain),
            throttle,
        };
        work.run(&item.task).await
    }

    /// Reads the session, and configures the pinned components where plugins see a collection of the item.
    async fn prepare(
        &mut self,
        context: &HostContext,
        standby: &Standby,
        item: &ItemDocument,
    ) -> Result<SessionDocument, OperatorError> {
        let reader = &standby.sync.reader;
        let session = reader.session().await?.ok_or_else(other_pins)?;
        let pinned = session.pinned.iter().map(|pin| pin.digest.clone());
        let pinned: Vec<String> = pinned.collect();
        if pinned != item.task.pins {
            return Err(other_pins());
        }
        let known = self.configured.as_ref().map(|(pins, _)| pins);
        if known != Some(&pinned) {
            self.configured = None;
            if item.task.collections.iter().any(|one| one.has_chain) {
                let configured = configured(context, reader, &session).await?;
                self.configured = Some((pinned, configured));
            }
        }
        Ok(session)
    }
}

async fn configured(
    context: &HostContext,
    reader: &Reader,
    session: &SessionDocument,
) -> Result<RunningComponents, OperatorError> {
    pins::load(&context.registry, reader).await?;
    let (registry, session) = (context.registry.clone(), session.clone());
    blocking(move || {
        let missing = session.pinned.iter().find(|pin| !registry.has(&pin.digest));
        if missing.is_some() {
            return Err(other_pins());
        }
        configure(&registry, &session.options, &session.pinned)
    })
    .await
}

fn other_pins() -> OperatorError {
    OperatorError::new(
        ErrorName::IncompatiblePlugin,
        "The components of the sync are not those of the item, or this host lacks them.",
    )
}

/// Completes when the assignment does not count any more. A destination that does not answer takes nothing away.
async fn taken_away(reader: &Reader, item: &ItemDocument) {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if let Ok(Ok(false)) = timeout(ANSWER_WITHIN, reader.is_assigned(item)).await {
            return;
        }
    }
}
