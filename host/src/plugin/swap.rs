//! Swaps components in use: all components of a request, or none.
//!
//! Everything that can fail comes first: each successor is compiled, configured like the component in use, and tried.
//! The switch itself replaces pointers and cannot fail. The router and the chain in use, and everything built from
//! them, call the successors from then on.
//!
//! Invariant: no batch sees some successors and not the others ([`SwapLock`]).

use std::sync::Arc;

use crate::model::OperatorError;

use super::chain::{Chain, SwapLock};
use super::error::{Error, Result};
use super::installed_component::Scope;
use super::pins::Slot;
use super::registry::Registry;
use super::router::Router;
use super::runtime::{Component, Pool};
use super::usage::Usage;

/// The successors that a swap accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapPolicy {
    /// Successors with the same semantics that need no larger part of a document.
    SameAnswers,
    /// Successors with any semantics. The caller copies the affected namespaces again.
    AnyAnswers,
}

/// The replacement of the component in a slot.
#[derive(Clone, Debug)]
pub struct SlotSwap {
    /// Slot of the replaced component.
    pub slot: Slot,
    /// Digest of the successor, `sha256:` and lower-case hex. The registry has its bytes.
    pub digest: String,
}

/// Successors that are compiled, configured and tried.
pub struct PreparedSwap {
    ready: Vec<(Arc<Usage>, Arc<Pool>)>,
    swap_lock: SwapLock,
}

impl PreparedSwap {
    /// Compiles, configures and tries the successors of components that `router` and `chain` use. Changes nothing.
    ///
    /// # Errors
    ///
    /// `IncompatiblePlugin` for a successor that `policy` does not accept; the errors of its configuration or its
    /// calls.
    pub fn new(
        registry: &Registry,
        router: &Router,
        chain: &Chain,
        changes: &[SlotSwap],
        policy: SwapPolicy,
    ) -> std::result::Result<Self, OperatorError> {
        let mut ready = Vec::new();
        for change in changes {
            let prepared = prepare(registry, router, chain, change, policy);
            ready.extend(prepared.map_err(Error::reported)?);
        }
        Ok(Self {
            ready,
            swap_lock: chain.swap_lock(),
        })
    }

    /// Switches to the successors. Calls in flight finish on the previous components.
    pub fn switch(self) {
        let _no_batch_takes_any = self.swap_lock.exclusive();
        for (usage, pool) in self.ready {
            usage.switch(pool);
        }
    }
}

fn prepare(
    registry: &Registry,
    router: &Router,
    chain: &Chain,
    change: &SlotSwap,
    policy: SwapPolicy,
) -> Result<Vec<(Arc<Usage>, Arc<Pool>)>> {
    let component = registry.of_digest(&change.digest)?;
    let mut ready = Vec::new();
    for usage in router.usages().chain(chain.usages()) {
        if usage.slot == change.slot {
            let current = usage.pool();
            check_fit(current.component(), &component, policy)?;
            let pool = Arc::new(usage.successor(Arc::clone(&component))?);
            ready.push((Arc::clone(usage), pool));
        }
    }
    for (usage, pool) in &ready {
        router.try_out(usage, pool)?;
        chain.try_out(usage, pool)?;
    }
    Ok(ready)
}

/// Tries the components in these slots, before a sync relies on them.
///
/// # Errors
///
/// `PluginFailed` or `PluginTrapped`.
pub fn self_check(
    router: &Router,
    chain: &Chain,
    slots: &[Slot],
) -> std::result::Result<(), OperatorError> {
    router
        .self_check(slots)
        .and_then(|()| chain.self_check(slots))
        .map_err(Error::reported)
}

/// Checks that a successor has the same name and the same use.
pub(super) fn check_fit(
    current: &Component,
    successor: &Component,
    policy: SwapPolicy,
) -> Result<()> {
    let (old, new) = (current.info(), successor.info());
    let scopes = (current.installed().scope, successor.installed().scope);
    let used = ["route", "transform"];
    let other = used
        .into_iter()
        .find(|interface| current.exports(interface) != successor.exports(interface));
    let reason = if old.name != new.name {
        format!("it would replace {}, a component of another name", old.name)
    } else if policy == SwapPolicy::SameAnswers && old.semantics != new.semantics {
        format!(
            "its semantics is {}, and that of the component in use {}; its answers would differ",
            new.semantics, old.semantics
        )
    } else if let Some(interface) = other {
        let does = if successor.exports(interface) {
            "exports"
        } else {
            "does not export"
        };
        format!("it {does} {interface}, unlike the component in use")
    } else if policy == SwapPolicy::SameAnswers && scopes == (Scope::Delta, Scope::Document) {
        "its scope is document, and that of the component in use is delta".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Incompatible {
        component: format!("{} {} ({})", new.name, new.version, new.digest),
        reason,
    })
}
