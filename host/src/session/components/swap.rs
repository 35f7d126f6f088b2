//! Swaps components of a sync at an operator's request: all of a request, or none.
//!
//! Everything that can fail comes first and changes nothing: the new components are compiled, configured and
//! tried out, and every namespace must keep its route. Then the work comes to a boundary
//! ([`crate::sync::Boundary`]), the new pins are persisted with the time from which they apply, and the pointers
//! are switched.
//!
//! A component with other semantics requires that the collections which it sees are copied again. They are
//! listed in the write that persists the pins, so a crash leaves both or neither; `sync::copy::invalidation`
//! does the rest, while the stream goes on.

mod refusal;

use std::{collections::HashSet, sync::Arc, time::Instant};

pub(crate) use refusal::nothing_to_upgrade;
use refusal::{check, commit_has_begun, not_in_use, other_route, stopped};

use super::{
    adoption::{configured, local_time, swap_document, time_at_rest},
    pins::{self, blocking, configure},
};
use crate::{
    metadata::{NamespaceKind, PinnedComponent, SessionDocument, SwapDocument},
    model::{
        ClusterTime, Namespace, OperatorError, State,
        plugins::{ComponentSwap, IncompatibilityPolicy, SwapRequest},
    },
    mongo::{Cluster, listing},
    observe::failpoint,
    plugin::{Chain, InstalledComponent, PreparedSwap, Registry, Slot, SlotSwap, SwapPolicy},
    session::{
        active::{ActiveSync, RunningComponents},
        progress::{
            deadline::{ClusterLabel, while_answering},
            monitor::Monitor,
        },
    },
};

/// The consequences of a failed swap, for error messages.
const UNCHANGED: &str =
    "The components of the sync are unchanged. Call upgrade again when the cluster answers.";

/// A swap whose remaining steps can fail only at a write.
struct SwapPlan {
    at: bson::DateTime,
    replacements: Vec<Replacement>,
    successors: PreparedSwap,
}

/// The old and the new component of one slot.
#[derive(Clone)]
struct Replacement {
    slot: Slot,
    old: PinnedComponent,
    new: PinnedComponent,
    routes: bool,
}

impl Replacement {
    /// Whether the two builds give different answers.
    fn changes_answers(&self) -> bool {
        self.old.semantics != self.new.semantics
    }
}

/// Swaps components of the sync, between two batches if it is running.
pub(crate) async fn upgrade(
    active: &ActiveSync,
    monitor: &Monitor,
    upgrade: &SwapRequest,
) -> Result<(), OperatorError> {
    let state = active.state().public();
    if !matches!(state, State::Running | State::Paused) {
        return Err(nothing_to_upgrade(state));
    }
    let configured = configured(active).await?;
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    let prepare = prepare(active, &configured, upgrade);
    let Some(prepared) = while_answering(monitor, clusters, UNCHANGED, prepare).await? else {
        return Ok(());
    };
    failpoint("swap_ready");
    let begun = Instant::now();
    if state == State::Paused {
        prepared.at_rest(active, &configured.chain).await?;
    } else {
        prepared.running(active, monitor, &configured.chain).await?;
    }
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(elapsed_ms, "components swapped");
    Ok(())
}

/// Checks and prepares a swap. `None` if the sync already uses these components.
async fn prepare(
    active: &ActiveSync,
    configured: &RunningComponents,
    upgrade: &SwapRequest,
) -> Result<Option<SwapPlan>, OperatorError> {
    let (session, registry) = (active.record.get(), &active.runtime.registry);
    let replacements = replacements(registry, &session, upgrade).await?;
    if replacements.is_empty() {
        return Ok(None);
    }
    if session.has_commit() && replacements.iter().any(Replacement::changes_answers) {
        return Err(commit_has_begun());
    }
    let answers = match upgrade.on_incompatible {
        IncompatibilityPolicy::Refuse => SwapPolicy::SameAnswers,
        IncompatibilityPolicy::Recopy => SwapPolicy::AnyAnswers,
    };
    let changes: Vec<_> = replacements.iter().map(Replacement::change).collect();
    let (router, chain) = (configured.router.clone(), configured.chain.clone());
    let installed = registry.clone();
    let ready = move || PreparedSwap::new(&installed, &router, &chain, &changes, answers);
    let successors = blocking(ready).await?;
    if replacements.iter().any(|replacement| replacement.routes) {
        check_routes(active, configured, &session, &replacements).await?;
    }
    let new: Vec<_> = replacements
        .iter()
        .map(|replacement| replacement.new.clone())
        .collect();
    pins::store(registry, active.record.store(), &new).await?;
    Ok(Some(SwapPlan {
        at: local_time(active).await?,
        replacements,
        successors,
    }))
}

/// The slots whose component changes.
async fn replacements(
    registry: &Arc<Registry>,
    session: &SessionDocument,
    upgrade: &SwapRequest,
) -> Result<Vec<Replacement>, OperatorError> {
    let mut replacements = Vec::new();
    for ComponentSwap { name, component } in &upgrade.components {
        let (registry, wanted) = (registry.clone(), component.clone());
        let new = blocking(move || registry.find(&wanted)).await?;
        let slots = Slot::all(&session.options).into_iter();
        let own: Vec<_> = slots
            .filter_map(|(slot, _)| Some((slot, pins::in_slot(&session.pinned, slot)?)))
            .filter(|(_, own)| own.name == *name)
            .collect();
        if own.is_empty() {
            return Err(not_in_use(name));
        }
        for (slot, old) in own {
            check(&new.info, old, upgrade.on_incompatible)?;
            if old.digest != new.info.digest {
                replacements.push(Replacement::new(slot, old, &new));
            }
        }
    }
    Ok(replacements)
}

/// Requires that every namespace of the source keeps its route: copied collections stay where they are, and
/// namespaces outside the scope have not been followed.
async fn check_routes(
    active: &ActiveSync,
    configured: &RunningComponents,
    session: &SessionDocument,
    replacements: &[Replacement],
) -> Result<(), OperatorError> {
    let namespaces = namespaces(active).await?;
    let mut pinned = session.pinned.clone();
    for own in &mut pinned {
        if let Some(replacement) = replacements.iter().find(|other| other.old.slot == own.slot) {
            own.clone_from(&replacement.new);
        }
    }
    let (registry, router) = (active.runtime.registry.clone(), configured.router.clone());
    let options = session.options.clone();
    let routes = replacements.iter().filter(|replacement| replacement.routes);
    let names: Vec<_> = routes
        .map(|replacement| format!("{} {}", replacement.new.name, replacement.new.version))
        .collect();
    blocking(move || {
        let successor = configure(&registry, &options, &pinned)?.router;
        for namespace in namespaces {
            if router.route(&namespace)? != successor.route(&namespace)? {
                return Err(other_route(&names, &namespace));
            }
        }
        Ok(())
    })
    .await
}

impl Replacement {
    fn new(slot: Slot, old: &PinnedComponent, new: &InstalledComponent) -> Self {
        Self {
            slot,
            old: old.clone(),
            new: pins::pin(slot, new),
            routes: new.exports("route"),
        }
    }

    fn change(&self) -> SlotSwap {
        SlotSwap {
            slot: self.slot,
            digest: self.new.digest.clone(),
        }
    }
}

impl SwapPlan {
    /// Swaps while no work runs.
    async fn at_rest(self, active: &ActiveSync, chain: &Chain) -> Result<(), OperatorError> {
        let affected = self.affected(active, chain).await?;
        let time = time_at_rest(active).await?;
        self.persist_and_switch(active, time, affected).await
    }

    async fn running(
        self,
        active: &ActiveSync,
        monitor: &Monitor,
        chain: &Chain,
    ) -> Result<(), OperatorError> {
        let clusters = ClusterLabel::both(active.source.name, active.destination.name);
        let boundary = while_answering(monitor, clusters, UNCHANGED, async {
            active.boundary().await.ok_or_else(stopped)?
        })
        .await?;
        let affected = self.affected(active, chain).await?;
        let copy_again = !affected.is_empty();
        self.persist_and_switch(active, boundary.time, affected)
            .await?;
        boundary.swapped(copy_again);
        Ok(())
    }

    /// Ids of the collections whose documents would get other answers.
    async fn affected(
        &self,
        active: &ActiveSync,
        chain: &Chain,
    ) -> Result<Vec<String>, OperatorError> {
        let replacements = self.replacements.iter();
        let slots: Vec<_> = replacements
            .filter(|replacement| replacement.changes_answers())
            .map(|replacement| replacement.slot)
            .collect();
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let mut affected = Vec::new();
        for namespace in active.record.store().namespaces().await? {
            let depends = |slot: &Slot| chain.depends_on(*slot, &namespace.source);
            let depends = tokio::task::block_in_place(|| {
                let all: Result<Vec<_>, _> = slots.iter().map(depends).collect();
                all.map(|all| all.contains(&true))
            })?;
            if depends && namespace.kind == NamespaceKind::Collection {
                affected.push(namespace.id);
            }
        }
        Ok(affected)
    }

    /// Persists the pins, then switches the pointers.
    async fn persist_and_switch(
        self,
        active: &ActiveSync,
        time: ClusterTime,
        affected: Vec<String>,
    ) -> Result<(), OperatorError> {
        let replacements = self.replacements.into_iter().map(|mut replacement| {
            replacement.new.since = Some(time);
            replacement
        });
        let replacements: Vec<_> = replacements.collect();
        let swaps: Vec<SwapDocument> = replacements
            .iter()
            .map(|replacement| {
                swap_document(
                    self.at,
                    &replacement.old,
                    &replacement.new,
                    replacement.changes_answers(),
                )
            })
            .collect();
        for swap in &swaps {
            tracing::info!(plugin = swap.name, plugin_digest = swap.to_digest, slot = swap.slot, cluster_time = %time, recopied = swap.recopied, "a component is swapped");
        }
        active
            .update(|session| {
                for own in &mut session.pinned {
                    if let Some(replacement) = replacements
                        .iter()
                        .find(|replacement| replacement.new.slot == own.slot)
                    {
                        own.clone_from(&replacement.new);
                    }
                }
                session.swaps.extend(swaps);
                let listed: HashSet<_> = session.recopy.iter().cloned().collect();
                let more = affected.into_iter().filter(|id| !listed.contains(id));
                session.recopy.extend(more);
            })
            .await?;
        failpoint("swap_persisted");
        self.successors.switch();
        failpoint("swap_switched");
        Ok(())
    }
}

/// Every namespace of the metadata, and every namespace that exists on the source now.
async fn namespaces(active: &ActiveSync) -> Result<HashSet<Namespace>, OperatorError> {
    let known = active.record.store().namespaces().await?;
    let mut all: HashSet<_> = known
        .into_iter()
        .map(|namespace| namespace.source)
        .collect();
    all.extend(on_source(&active.source).await?);
    Ok(all)
}

async fn on_source(source: &Cluster) -> Result<Vec<Namespace>, crate::mongo::Error> {
    let mut found = listing::user_namespaces(&source.client).await?;
    found.retain(|namespace| !namespace.is_internal());
    Ok(found)
}
