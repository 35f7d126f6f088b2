//! Native features: abilities of this release that earlier releases lack.
//!
//! The features of a sync are persisted when it begins. A sync that an earlier release has begun keeps its behaviour
//! until a migration step turns a feature on.

/// A native feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Name in the session's `features`.
    pub name: &'static str,
    /// Noun phrase for operators, without a full stop.
    pub description: &'static str,
}

/// All features, oldest first. Names are persisted: never rename or reuse them.
pub const FEATURES: [Feature; 5] = [
    Feature {
        name: "plugins",
        description: "components that filter and change documents",
    },
    Feature {
        name: "documentFilter",
        description: "a filter of documents by a field",
    },
    Feature {
        name: "namespaceRemap",
        description: "other names for databases and collections on the destination",
    },
    Feature {
        name: TIME_SERIES,
        description: "time-series collections",
    },
    Feature {
        name: STORED_FUNCTIONS,
        description: "stored functions",
    },
];

/// The feature of a sync that takes time-series collections.
pub const TIME_SERIES: &str = "timeSeries";

/// The feature of a sync that brings stored functions over.
pub const STORED_FUNCTIONS: &str = "storedFunctions";

/// The names of the features of a sync that begins now.
pub fn names() -> Vec<String> {
    FEATURES
        .iter()
        .map(|feature| feature.name.to_owned())
        .collect()
}

/// The features that a sync with `features` lacks.
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
        let later = ["timeSeries", "storedFunctions"];
        assert_eq!(
            lacks,
            [["documentFilter", "namespaceRemap"], later].concat()
        );
    }
}
