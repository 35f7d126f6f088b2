//! The components in `/progress`: installed, pinned and deferred.

use crate::{
    metadata::{PinnedComponent, SessionDocument, SwapDocument},
    model::{
        feature,
        progress::{ComponentPin, FeatureDeferral, FeatureSetProgress, SwapRecord},
    },
    plugin::{Adoption, ComponentInfo, Registry, adoption},
    session::{
        pin_info::{info, installed},
        write_blocks,
    },
};

/// The feature set of this host, and the pins of its sync.
pub(crate) fn snapshot(
    registry: &Registry,
    document: Option<&SessionDocument>,
) -> FeatureSetProgress {
    let features = registry.feature_set();
    let installed = features.components().iter();
    let mut progress = FeatureSetProgress {
        name: features.name().to_owned(),
        version: features.version().to_owned(),
        available: installed.cloned().collect(),
        ..FeatureSetProgress::default()
    };
    if let Some(document) = document {
        progress.pinned = document.pinned.iter().map(pinned).collect();
        progress.swaps = document.swaps.iter().map(swapped).collect();
        progress.deferred = deferred(registry, document);
    }
    progress
}

/// Components with other semantics, and features that are newer than the sync.
fn deferred(registry: &Registry, document: &SessionDocument) -> Vec<FeatureDeferral> {
    let mut deferred: Vec<FeatureDeferral> = Vec::new();
    for own in &document.pinned {
        let newer = installed(registry, own);
        let is_known = deferred.iter().any(|other| other.name == own.name);
        if let (Adoption::Deferred, Some(newer), false) =
            (adoption(&info(own), newer), newer, is_known)
        {
            deferred.push(FeatureDeferral {
                name: own.name.clone(),
                reason: waits(own, newer),
            });
        }
    }
    let missing = feature::missing(&document.features);
    deferred.extend(missing.map(|feature| FeatureDeferral {
        name: feature.name.to_owned(),
        reason: format!(
            "The sync was started by a release without it; a new sync has it: {}.",
            feature.description
        ),
    }));
    deferred.extend(write_blocks::deferral(document));
    deferred
}

fn waits(own: &PinnedComponent, newer: &ComponentInfo) -> String {
    format!(
        "The sync uses {} {} (semantics {}), and the installed {} (semantics {}) gives other answers. POST \
         /api/v1/upgrade with \"onIncompatible\": \"recopy\" swaps it in, and copies its namespaces again.",
        own.name, own.version, own.semantics, newer.version, newer.semantics
    )
}

fn pinned(own: &PinnedComponent) -> ComponentPin {
    ComponentPin {
        slot: own.slot.clone(),
        component: info(own),
        since: own.since,
        signed_by: own.signed_by.clone(),
    }
}

fn swapped(swap: &SwapDocument) -> SwapRecord {
    SwapRecord {
        at: swap.at.try_to_rfc3339_string().unwrap_or_default(),
        slot: swap.slot.clone(),
        name: swap.name.clone(),
        from_version: swap.from_version.clone(),
        from_digest: swap.from_digest.clone(),
        to_version: swap.to_version.clone(),
        to_digest: swap.to_digest.clone(),
        cluster_time: swap.cluster_time,
        recopied: swap.recopied,
    }
}
