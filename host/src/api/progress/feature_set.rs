//! The field `featureSet` of `GET /progress`: installed components, pinned components, deferred features and swaps.

use serde::Serialize;
use utoipa::ToSchema;

use super::position::Time;
use crate::model::ComponentInfo;
use crate::model::progress::{ComponentPin, FeatureDeferral, FeatureSetProgress, SwapRecord};

/// The installed feature set, and the components of the sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeatureSet {
    /// Name of the installed feature set.
    name: String,
    /// Version of the installed feature set.
    version: String,
    /// Pinned components, by slot.
    pinned: Vec<PinnedComponent>,
    /// Components of this release.
    available: Vec<Component>,
    /// Features of this release that the sync does not use, with the reason.
    deferred_features: Vec<DeferredFeature>,
    /// All swaps, oldest first.
    swaps: Vec<Swap>,
}

/// A component that the sync uses.
#[derive(Serialize, ToSchema)]
struct PinnedComponent {
    /// `namespaceFilter`, `namespaceRemap`, `documentFilter`, or `plugins[0]` and so on.
    slot: String,
    #[serde(flatten)]
    component: Component,
    /// Cluster time of the source from which the component applies. Null if the sync began with it.
    since: Option<Time>,
    /// The key of pluginTrust that has signed the component. Null for one that is shipped or uploaded.
    #[serde(rename = "signedBy")]
    signed_by: Option<String>,
}

/// Identity of a component.
#[derive(Serialize, ToSchema)]
#[schema(as = Component)]
struct Component {
    /// "route", "transform" or "migrate".
    role: String,
    name: String,
    version: String,
    /// `sha256:` and hex.
    digest: String,
    /// Version of the plugin contract that the component was built for.
    abi: String,
    /// Increases when the component answers the same input differently.
    semantics: i64,
}

/// A component or feature that the sync does not use.
#[derive(Serialize, ToSchema)]
struct DeferredFeature {
    /// Name of a component or of a feature.
    name: String,
    reason: String,
}

/// A swap of a pinned component.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SwappedComponent)]
struct Swap {
    /// RFC 3339, by the clock of the destination.
    at: String,
    slot: String,
    name: String,
    from_version: String,
    from_digest: String,
    to_version: String,
    to_digest: String,
    /// Cluster time of the source from which the new component applies.
    cluster_time: Option<Time>,
    /// Whether the new component has other semantics, so that its collections were copied again.
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

impl From<ComponentPin> for PinnedComponent {
    fn from(pinned: ComponentPin) -> Self {
        Self {
            slot: pinned.slot,
            component: pinned.component.into(),
            since: pinned.since.map(Time::from),
            signed_by: pinned.signed_by,
        }
    }
}

impl From<ComponentInfo> for Component {
    fn from(component: ComponentInfo) -> Self {
        Self {
            role: component.role,
            name: component.name,
            version: component.version,
            digest: component.digest,
            abi: component.abi,
            semantics: component.semantics.into(),
        }
    }
}

impl From<FeatureDeferral> for DeferredFeature {
    fn from(deferred: FeatureDeferral) -> Self {
        Self {
            name: deferred.name,
            reason: deferred.reason,
        }
    }
}

impl From<SwapRecord> for Swap {
    fn from(swap: SwapRecord) -> Self {
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
