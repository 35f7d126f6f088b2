//! Native features: what this release can do with a sync that an earlier one could not.
//!
//! Which of them a sync has is persisted when it begins: one that an earlier release has
//! begun behaves as it did, until a migration step turns a feature on.

/// A native feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub description: &'static str,
}

/// All of them, oldest first. Names are persisted: never renamed, never reused.
pub const FEATURES: [Feature; 3] = [
    Feature {
        name: "plugins",
        description: "components that decide what becomes of each document",
    },
    Feature {
        name: "documentFilter",
        description: "a filter of documents by one of their fields",
    },
    Feature {
        name: "namespaceRemap",
        description: "other names for databases and collections on the destination",
    },
];

/// What a sync that begins now has.
pub fn names() -> Vec<String> {
    FEATURES
        .iter()
        .map(|feature| feature.name.to_owned())
        .collect()
}

/// Those that a sync lacks which has `features`.
pub fn missing(features: &[String]) -> impl Iterator<Item = &'static Feature> {
    FEATURES
        .iter()
        .filter(|feature| !features.iter().any(|has| has == feature.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sync_lacks_nothing_and_an_old_one_what_came_later() {
        assert_eq!(missing(&names()).count(), 0);
        let old = ["plugins".to_owned(), "of a later release".to_owned()];
        let lacks: Vec<_> = missing(&old).map(|feature| feature.name).collect();
        assert_eq!(lacks, ["documentFilter", "namespaceRemap"]);
    }
}
