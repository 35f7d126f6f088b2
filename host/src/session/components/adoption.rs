//! Adoption: newer builds of pinned components come in at a takeover.
//!
//! A sync continues with its pinned components. An installed build with equal semantics and a newer version is
//! adopted, so that bug fixes arrive. It is first compiled, configured and tried out, and must route every known
//! namespace as before. If any of that fails, the pinned build stays, with a warning. Builds with other
//! semantics wait for an operator ([`super::swap`]).
//!
//! No work runs during an adoption. The persisted position is the time from which an adopted component applies:
//! events after it that were already applied are applied again, by the adopted component.

use std::sync::Arc;

use super::pins::{self, blocking, configure};
use crate::{
    metadata::{PinnedComponent, SessionDocument, SwapDocument},
    model::{ClusterTime, ErrorName, Namespace, OperatorError, Route, StartOptions},
    mongo::listing,
    plugin::{Adoption, ComponentInfo, Registry, Slot, adoption, self_check},
    session::{
        active::{ActiveSync, RunningComponents},
        pin_info::{info, installed},
    },
};

/// The decision: new pins, and the builds that were rejected with the reasons.
struct AdoptionDecision {
    configured: RunningComponents,
    pinned: Vec<PinnedComponent>,
    rejected: Vec<String>,
}

/// The running components of a sync. The first call adopts newer builds and configures all.
pub(crate) async fn configured(
    active: &ActiveSync,
) -> Result<Arc<RunningComponents>, OperatorError> {
    if let Some(configured) = active.configured() {
        return Ok(configured);
    }
    let configured = adopt(active).await?;
    active.set_configured(configured.clone());
    Ok(configured)
}

/// Decides on the components of the sync, persists the decision, and configures them.
async fn adopt(active: &ActiveSync) -> Result<Arc<RunningComponents>, OperatorError> {
    let (store, registry) = (active.record.store(), &active.runtime.registry);
    pins::load(registry, store).await?;
    let SessionDocument {
        options, pinned, ..
    } = active.record.get();
    let known = if successors(registry, &pinned).is_empty() {
        Vec::new()
    } else {
        store.namespaces().await?
    };
    let routes = known
        .into_iter()
        .map(|namespace| (namespace.source, namespace.destination))
        .collect();
    let (installed, before) = (registry.clone(), pinned.clone());
    let decision =
        blocking(move || AdoptionTrial::new(&installed, options, routes).decide(&before)).await?;
    pins::store(registry, store, &decision.pinned).await?;
    if decision.pinned != pinned {
        persist(active, &pinned, decision.pinned).await?;
    }
    active.set_rejected(decision.rejected);
    Ok(Arc::new(decision.configured))
}

/// Persists new pins. Replacements apply from the position.
async fn persist(
    active: &ActiveSync,
    before: &[PinnedComponent],
    mut pinned: Vec<PinnedComponent>,
) -> Result<(), OperatorError> {
    let time = time_at_rest(active).await?;
    let at = local_time(active).await?;
    let mut swaps = Vec::new();
    for new in &mut pinned {
        let old = before.iter().find(|old| old.slot == new.slot);
        if let Some(old) = old.filter(|old| old.digest != new.digest) {
            new.since = Some(time);
            swaps.push(swap_document(at, old, new, false));
        }
    }
    for swap in &swaps {
        tracing::info!(plugin = swap.name, plugin_digest = swap.to_digest, slot = swap.slot, cluster_time = %time, "a component is swapped");
    }
    active
        .update(|session| {
            session.pinned = pinned;
            session.swaps.extend(swaps);
        })
        .await
}

/// The time at which a stopped sync continues: its position, or the source's operation time while it has none.
pub(crate) async fn time_at_rest(active: &ActiveSync) -> Result<ClusterTime, OperatorError> {
    match active.record.store().position().await? {
        Some(position) => Ok(position.safe.cluster_time),
        None => Ok(listing::operation_time(&active.source.client).await?),
    }
}

/// The destination's local time.
pub(crate) async fn local_time(active: &ActiveSync) -> Result<bson::DateTime, OperatorError> {
    Ok(listing::local_time(&active.destination.client).await?)
}

/// The history entry of a swap. `new.since` is the time from which it applies.
pub(crate) fn swap_document(
    at: bson::DateTime,
    old: &PinnedComponent,
    new: &PinnedComponent,
    recopied: bool,
) -> SwapDocument {
    SwapDocument {
        at,
        slot: new.slot.clone(),
        name: new.name.clone(),
        from_version: old.version.clone(),
        from_digest: old.digest.clone(),
        from_semantics: old.semantics,
        to_version: new.version.clone(),
        to_digest: new.digest.clone(),
        to_semantics: new.semantics,
        cluster_time: new.since,
        recopied,
    }
}

/// Installed builds to adopt, each name once.
fn successors(registry: &Registry, pinned: &[PinnedComponent]) -> Vec<ComponentInfo> {
    let mut successors: Vec<ComponentInfo> = Vec::new();
    for own in pinned {
        let installed = installed(registry, own);
        let known = |new: &ComponentInfo| successors.iter().any(|other| other.name == new.name);
        match (adoption(&info(own), installed), installed) {
            (Adoption::Swap, Some(new)) if !known(new) => successors.push(new.clone()),
            _ => {}
        }
    }
    successors
}

/// Tries installed builds in place of the pinned builds.
struct AdoptionTrial<'a> {
    registry: &'a Registry,
    options: StartOptions,
    /// Every namespace of the sync: source and destination name.
    routes: Vec<(Namespace, Namespace)>,
}

impl<'a> AdoptionTrial<'a> {
    fn new(
        registry: &'a Registry,
        options: StartOptions,
        routes: Vec<(Namespace, Namespace)>,
    ) -> Self {
        Self {
            registry,
            options,
            routes,
        }
    }

    /// Tries all builds together; if that fails, each one alone.
    fn decide(&self, before: &[PinnedComponent]) -> Result<AdoptionDecision, OperatorError> {
        let pinned = pins::complete(self.registry, &self.options, before)?;
        let successors = successors(self.registry, &pinned);
        if successors.is_empty() {
            return self.conclude(pinned, Vec::new());
        }
        let mut all = pinned.clone();
        for successor in &successors {
            self.put(&mut all, successor)?;
        }
        match self.configure(&pinned, &all) {
            Ok(configured) => Ok(AdoptionDecision {
                configured,
                pinned: all,
                rejected: Vec::new(),
            }),
            Err(_) => self.one_by_one(pinned, &successors),
        }
    }

    fn one_by_one(
        &self,
        mut pinned: Vec<PinnedComponent>,
        successors: &[ComponentInfo],
    ) -> Result<AdoptionDecision, OperatorError> {
        let mut rejected = Vec::new();
        for successor in successors {
            let mut trial = pinned.clone();
            let tried = self
                .put(&mut trial, successor)
                .and_then(|()| self.configure(&pinned, &trial));
            match tried {
                Ok(_) => pinned = trial,
                Err(error) => rejected.push(format!(
                    "{} {} was not adopted, and the pinned build stays: {error}",
                    successor.name, successor.version
                )),
            }
        }
        self.conclude(pinned, rejected)
    }

    fn conclude(
        &self,
        pinned: Vec<PinnedComponent>,
        rejected: Vec<String>,
    ) -> Result<AdoptionDecision, OperatorError> {
        let configured = configure(self.registry, &self.options, &pinned)?;
        Ok(AdoptionDecision {
            configured,
            pinned,
            rejected,
        })
    }

    /// Pins a build in every slot that is pinned to another build of its name.
    fn put(
        &self,
        pinned: &mut [PinnedComponent],
        successor: &ComponentInfo,
    ) -> Result<(), OperatorError> {
        let installed = self.registry.find(&successor.digest)?;
        for (slot, _) in Slot::all(&self.options) {
            let name = slot.to_string();
            let swapped = |own: &&mut PinnedComponent| {
                own.slot == name
                    && own.name == successor.name
                    && adoption(&info(own), Some(successor)) == Adoption::Swap
            };
            if let Some(own) = pinned.iter_mut().find(swapped) {
                let new = pins::pin(slot, &installed);
                if new.role != own.role {
                    return Err(other_role(own, &new));
                }
                *own = new;
            }
        }
        Ok(())
    }

    /// Configures `after`, and tries out the components that differ from `before`.
    fn configure(
        &self,
        before: &[PinnedComponent],
        after: &[PinnedComponent],
    ) -> Result<RunningComponents, OperatorError> {
        let configured = configure(self.registry, &self.options, after)?;
        let is_new = |slot: &Slot| pins::in_slot(before, *slot) != pins::in_slot(after, *slot);
        let slots = Slot::all(&self.options).into_iter().map(|(slot, _)| slot);
        let new: Vec<_> = slots.filter(is_new).collect();
        self_check(&configured.router, &configured.chain, &new)?;
        if !self.has_route(after, &new)? {
            return Ok(configured);
        }
        for (source, destination) in &self.routes {
            let route = configured.router.route(source)?;
            let same = match &route {
                Route::Skip => false,
                Route::Keep => source == destination,
                Route::Rename(to) => to == destination,
            };
            if !same {
                return Err(other_route(source, destination, &route));
            }
        }
        Ok(configured)
    }

    /// Whether any component in these slots routes namespaces.
    fn has_route(&self, pinned: &[PinnedComponent], slots: &[Slot]) -> Result<bool, OperatorError> {
        for slot in slots {
            if let Some(own) = pins::in_slot(pinned, *slot)
                && self.registry.find(&own.digest)?.exports("route")
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn other_role(old: &PinnedComponent, new: &PinnedComponent) -> OperatorError {
    OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!(
            "{} {} has the role {}, and {} {} has the role {}.",
            old.name, old.version, old.role, new.name, new.version, new.role
        ),
    )
}

fn other_route(source: &Namespace, destination: &Namespace, route: &Route) -> OperatorError {
    let other = match route {
        Route::Skip => "would no longer be synced".to_owned(),
        Route::Keep => format!("would go to {source}"),
        Route::Rename(to) => format!("would go to {to}"),
    };
    OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!("{source} goes to {destination}, and {other}."),
    )
}
