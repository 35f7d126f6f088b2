//! The part of `GET /progress` about components: what is installed, what the sync
//! runs on, and what waits.

use serde::Serialize;
use utoipa::ToSchema;

use super::position::Time;
use crate::model::progress::{Available, Deferred, FeatureSetProgress, Pinned, Swapped};

/// What is installed, and what the sync runs on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeatureSet {
    /// Of the installed feature set.
    name: String,
    version: String,
    /// What the sync runs on, by slot.
    pinned: Vec<PinnedComponent>,
    /// What comes with this release.
    available: Vec<Component>,
    /// What this release could do that the sync does not, and why.
    deferred_features: Vec<DeferredFeature>,
    /// Every component that took the place of another one, oldest first.
    swaps: Vec<Swap>,
}

#[derive(Serialize, ToSchema)]
struct PinnedComponent {
    /// `namespaceFilter`, `namespaceRemap`, `documentFilter`, or `plugins[0]` and so on.
    slot: String,
    #[serde(flatten)]
    component: Component,
    /// The source's cluster time from which it applies; null if the sync began with it.
    since: Option<Time>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Component)]
struct Component {
    /// "route", "transform" or "migrate".
    role: String,
    name: String,
    version: String,
    /// `sha256:` and hex.
    digest: String,
    /// The version of the plugin contract that it was built for.
    abi: String,
    /// Counts up when the component answers the same input differently.
    semantics: i64,
}

#[derive(Serialize, ToSchema)]
struct DeferredFeature {
    /// A component's name, or a feature's.
    name: String,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SwappedComponent)]
struct Swap {
    /// By the destination's clock, RFC 3339.
    at: String,
    slot: String,
    name: String,
    from_version: String,
    from_digest: String,
    to_version: String,
    to_digest: String,
    /// The source's cluster time from which the new one applies.
    cluster_time: Option<Time>,
    /// It gives other answers, and what it sees was copied again.
    recopied: bool,
}

impl From<FeatureSetProgress> for FeatureSet {
    fn from(progress: FeatureSetProgress) -> Self {
        Self {
            name: progress.name,
            version: progress.version,
            pinned: progress.pinned.into_iter().map(Into::into).collect(),
            available: progress.available.into_iter().map(Into::into).collect(),
            deferred_features: progress.deferred.into_iter().map(Into::into).collect(),
            swaps: progress.swaps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Pinned> for PinnedComponent {
    fn from(pinned: Pinned) -> Self {
        Self {
            slot: pinned.slot,
            component: pinned.component.into(),
            since: pinned.since.map(Time::from),
        }
    }
}

impl From<Available> for Component {
    fn from(component: Available) -> Self {
        Self {
            role: component.role,
            name: component.name,
            version: component.version,
            digest: component.digest,
            abi: component.abi,
            semantics: component.semantics,
        }
    }
}

impl From<Deferred> for DeferredFeature {
    fn from(deferred: Deferred) -> Self {
        Self {
            name: deferred.name,
            reason: deferred.reason,
        }
    }
}

impl From<Swapped> for Swap {
    fn from(swap: Swapped) -> Self {
        Self {
            at: swap.at,
            slot: swap.slot,
            name: swap.name,
            from_version: swap.from_version,
            from_digest: swap.from_digest,
            to_version: swap.to_version,
            to_digest: swap.to_digest,
            cluster_time: swap.cluster_time.map(Time::from),
            recopied: swap.recopied,
        }
    }
}
