//! `tidegate featureset show`: the components of a release.

use serde_json::json;

use crate::plugin::FeatureSet;

use super::super::table::table;
use super::name_of;

pub(super) fn text(set: &FeatureSet) -> String {
    let mut rows =
        vec![["role", "name", "version", "semantics", "abi", "digest"].map(str::to_owned)];
    rows.extend(set.components().iter().map(|info| {
        [
            info.role.clone(),
            info.name.clone(),
            info.version.clone(),
            info.semantics.to_string(),
            info.abi.clone(),
            info.digest.clone(),
        ]
    }));
    format!("{}\n\n{}", name_of(set), table(&rows))
}

pub(super) fn json(set: &FeatureSet) -> String {
    let shown = json!({
        "name": set.name(),
        "version": set.version(),
        "metadataVersion": set.metadata_version(),
        "components": set.components(),
    });
    format!("{shown:#}\n")
}
