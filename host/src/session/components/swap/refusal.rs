//! Refusals of a swap.

use crate::{
    metadata::PinnedComponent,
    model::{ErrorName, Namespace, OperatorError, State, plugins::IncompatibilityPolicy},
    plugin::ComponentInfo,
};

/// Refuses a component that cannot replace `old`.
pub(super) fn check(
    new: &ComponentInfo,
    old: &PinnedComponent,
    on_incompatible: IncompatibilityPolicy,
) -> Result<(), OperatorError> {
    let same_name = new.name == old.name;
    let same_answers = i64::from(new.semantics) == old.semantics;
    if same_name && (same_answers || on_incompatible == IncompatibilityPolicy::Recopy) {
        return Ok(());
    }
    let way_out = if same_name {
        "Give a build with the same semantics, or \"onIncompatible\": \"recopy\", which copies its namespaces again."
    } else {
        "Give a build with the same name."
    };
    Err(OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!(
            "{} {} (semantics {}) cannot replace {} {} (semantics {}): documents that are already copied would \
             differ. {way_out}",
            new.name, new.version, new.semantics, old.name, old.version, old.semantics
        ),
    ))
}

/// No pin has this name.
pub(super) fn not_in_use(name: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::PluginNotFound,
        format!(
            "No component named {name} is in use. GET /api/v1/progress lists the components in use under \
             featureSet.pinned."
        ),
    )
}

/// A route would change.
pub(super) fn other_route(names: &[String], namespace: &Namespace) -> OperatorError {
    OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!(
            "With {}, {namespace} would get another route. Routes cannot change during a sync; start a new sync for \
             that.",
            names.join(" and ")
        ),
    )
}

/// The work ended before it reached a boundary.
pub(super) fn stopped() -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        "The sync has stopped meanwhile, and its components are unchanged. See GET /api/v1/progress, and call \
         upgrade again.",
    )
}

/// Collections that are copied again would be newer than the time at which the sync ends.
pub(super) fn commit_has_begun() -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        "The commit has started, and no collection can be copied again. Give builds with the same semantics.",
    )
}

/// The state does not allow a swap.
pub(crate) fn nothing_to_upgrade(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!("upgrade is possible in the states RUNNING and PAUSED, and the state is {state}."),
    )
}
