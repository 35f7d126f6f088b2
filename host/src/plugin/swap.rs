//! Puts components in the place of others: all of them, or none.
//!
//! Whatever can fail is done first: each successor is compiled, configured as the
//! one in use is, and tried out. What is left then is a switch of pointers, which
//! cannot fail: the router and the chain that are in use, with everything that has
//! been made of them, call the successors from then on. No batch sees some of them
//! and not others.

use std::sync::Arc;

use crate::model::OperatorError;

use super::chain::{Chain, SwapLock};
use super::component_info::Scope;
use super::error::{Error, Result};
use super::pins::Slot;
use super::registry::Registry;
use super::router::Router;
use super::runtime::{Component, Pool};
use super::usage::Usage;

/// Which successors are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapPolicy {
    /// Those that give the same answers, bug fixes apart, and see no more.
    SameAnswers,
    /// Any: whatever it has answered is asked for again.
    AnyAnswers,
}

/// A component that is to take the place of the one in a slot.
#[derive(Clone, Debug)]
pub struct SlotSwap {
    pub slot: Slot,
    pub digest: String,
}

/// Components that are ready to take over.
pub struct PreparedSwap {
    ready: Vec<(Arc<Usage>, Arc<Pool>)>,
    swap_lock: SwapLock,
}

impl PreparedSwap {
    /// Prepares the successors of components that `router` and `chain` use: compiles, configures and tries out each.
    pub fn new(
        registry: &Registry,
        router: &Router,
        chain: &Chain,
        changes: &[SlotSwap],
        answers: SwapPolicy,
    ) -> std::result::Result<Self, OperatorError> {
        let mut ready = Vec::new();
        for change in changes {
            let one = prepare(registry, router, chain, change, answers);
            ready.extend(one.map_err(Error::reported)?);
        }
        Ok(Self {
            ready,
            swap_lock: chain.swap_lock(),
        })
    }

    /// From now on these are called; calls in flight end with the old ones.
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
    answers: SwapPolicy,
) -> Result<Vec<(Arc<Usage>, Arc<Pool>)>> {
    let component = registry.of_digest(&change.digest)?;
    let mut ready = Vec::new();
    for usage in router.usages().chain(chain.usages()) {
        if usage.slot == change.slot {
            let current = usage.pool();
            check_fit(current.component(), &component, answers)?;
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

/// Asks the components in these slots, before a sync relies on them.
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

/// A successor is used for the same, under the same name.
fn check_fit(current: &Component, successor: &Component, answers: SwapPolicy) -> Result<()> {
    let (old, new) = (current.info(), successor.info());
    let scopes = (current.installed().scope, successor.installed().scope);
    let used = ["route", "transform"];
    let other = used
        .into_iter()
        .find(|interface| current.exports(interface) != successor.exports(interface));
    let reason = if old.name != new.name {
        format!("it would take the place of {}", old.name)
    } else if answers == SwapPolicy::SameAnswers && old.semantics != new.semantics {
        format!(
            "its semantics are {}, and the sync has begun with {}; its answers would differ",
            new.semantics, old.semantics
        )
    } else if let Some(interface) = other {
        let does = if successor.exports(interface) {
            "exports"
        } else {
            "does not export"
        };
        format!("it {does} {interface}, unlike the one in use")
    } else if answers == SwapPolicy::SameAnswers && scopes == (Scope::Delta, Scope::Document) {
        "it has to see whole documents, and the one in use does not".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Incompatible {
        component: format!("{} {} ({})", new.name, new.version, new.digest),
        reason,
    })
}
