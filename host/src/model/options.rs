//! What `/start` asks for, in canonical form: this is what a session persists
//! and what a later `/start` is compared with.

use serde::{Deserialize, Serialize};

/// Which of the two connections a role is played by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterName {
    Cluster0,
    Cluster1,
}

impl ClusterName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster0 => "cluster0",
            Self::Cluster1 => "cluster1",
        }
    }
}

/// When indexes are built on the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildIndexes {
    #[default]
    AfterDataCopy,
    BeforeDataCopy,
    Never,
}

/// A regular expression with the server's `$regex` semantics and options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regex {
    pub pattern: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub options: String,
}

/// One entry of `includeNamespaces` or `excludeNamespaces`: at most one of each
/// pair is set; a filter without a collection part takes whole databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_regex: Option<Regex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections_regex: Option<Regex>,
}

/// The options of a sync. Immutable once it has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartOptions {
    pub source: ClusterName,
    pub destination: ClusterName,
    #[serde(default)]
    pub include_namespaces: Vec<NamespaceFilter>,
    #[serde(default)]
    pub exclude_namespaces: Vec<NamespaceFilter>,
    #[serde(default)]
    pub build_indexes: BuildIndexes,
}

impl StartOptions {
    /// The API names of the fields in which two sets of options differ.
    pub fn differing_fields(&self, other: &Self) -> Vec<&'static str> {
        [
            ("source", self.source != other.source),
            ("destination", self.destination != other.destination),
            (
                "includeNamespaces",
                self.include_namespaces != other.include_namespaces,
            ),
            (
                "excludeNamespaces",
                self.exclude_namespaces != other.exclude_namespaces,
            ),
            ("buildIndexes", self.build_indexes != other.build_indexes),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}
