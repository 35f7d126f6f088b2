//! What `/start` asks for, in canonical form: this is what a session persists
//! and what a later `/start` is compared with.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

/// JSON as an operator gave it, of a shape that only a component knows. Persisted
/// as text: a document could not hold every name and number that JSON can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub serde_json::Value);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// What happens when a plugin cannot handle a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The sync stops, resumably and not past the document.
    #[default]
    Stop,
    /// The document is put aside, and the sync goes on.
    Quarantine,
}

/// One entry of `plugins`: a component and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginOptions {
    /// The component's name or its digest (`sha256:` and hex).
    pub component: String,
    /// An object; checked against the component's own schema.
    pub config: Json,
    /// The source namespaces whose documents it sees; empty for all.
    #[serde(default)]
    pub namespaces: Vec<NamespaceFilter>,
    #[serde(default)]
    pub on_error: OnError,
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
    /// `documentFilter`: the configuration of the document-filter component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_filter: Option<Json>,
    /// `namespaceRemap`: the list that configures the namespace-remap component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_remap: Option<Json>,
    /// The chain, in order.
    #[serde(default)]
    pub plugins: Vec<PluginOptions>,
}

impl StartOptions {
    /// A sync of everything, with the defaults.
    pub fn between(source: ClusterName, destination: ClusterName) -> Self {
        Self {
            source,
            destination,
            include_namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            build_indexes: BuildIndexes::default(),
            document_filter: None,
            namespace_remap: None,
            plugins: Vec::new(),
        }
    }

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
            (
                "documentFilter",
                self.document_filter != other.document_filter,
            ),
            (
                "namespaceRemap",
                self.namespace_remap != other.namespace_remap,
            ),
            ("plugins", self.plugins != other.plugins),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}
