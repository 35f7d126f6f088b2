//! Options of `/start`, in canonical form: the session persists them, and a later `/start` is compared with
//! them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A connection of the host's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterName {
    /// The cluster of the option `cluster0`.
    Cluster0,
    /// The cluster of the option `cluster1`.
    Cluster1,
}

impl ClusterName {
    /// The connection's name in options and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster0 => "cluster0",
            Self::Cluster1 => "cluster1",
        }
    }
}

/// Time of the index build on the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildIndexes {
    /// After the copy of all collections. The default, as in mongosync for sources from MongoDB 6.0 on. Building
    /// after the copy costs the destination a third of the work (docs/api.md).
    #[default]
    AfterDataCopy,
    /// At the creation of each collection, before its documents are copied.
    BeforeDataCopy,
    /// No build: the destination has the indexes of `_id` only.
    Never,
}

/// A regular expression with the server's `$regex` semantics and options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regex {
    /// The pattern. It matches anywhere in a name unless it is anchored, as in `$regex`.
    pub pattern: String,
    /// Letters among `i`, `m`, `s` and `x` (MongoDB manual, "$regex"); empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub options: String,
}

/// An entry of `includeNamespaces` or `excludeNamespaces`. Of a name and its regular expression, at most one is
/// set. A filter without a collection part covers whole databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceFilter {
    /// Exact name of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Pattern for names of databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_regex: Option<Regex>,
    /// Exact names of collections in the databases; `None` or at least one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
    /// Pattern for names of collections in the databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections_regex: Option<Regex>,
}

/// JSON of an operator, in a shape that only a component knows. It is persisted as text: a document cannot hold
/// all names and numbers of JSON.
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

/// Reaction to a document that a plugin cannot handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The sync stops before the document, and can be resumed.
    #[default]
    Stop,
    /// The document goes into the quarantine, and the sync continues.
    Quarantine,
}

/// An entry of `plugins`: a component and its use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginOptions {
    /// The component's name, its digest (`sha256:` and hex), or its place in a registry (`oci://…@sha256:…`).
    pub component: String,
    /// An object; checked against the component's own schema.
    pub config: Json,
    /// The source namespaces of its documents; empty for all.
    #[serde(default)]
    pub namespaces: Vec<NamespaceFilter>,
    /// Reaction to a document that the component cannot handle.
    #[serde(default)]
    pub on_error: OnError,
}

impl PluginOptions {
    fn component(&self) -> &str {
        &self.component
    }
}

/// Clusters whose user writes a sync blocks, in mongosync's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteBlockMode {
    /// The destination, from the start to the end of commit.
    #[default]
    DestinationOnly,
    /// The destination, and the source from commit on.
    SourceAndDestination,
    /// Neither.
    None,
}

/// Reaction to a position that the source's oplog no longer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OplogRollover {
    /// All collections are compared with the source, and differences are written.
    #[default]
    Resync,
    /// The sync stops.
    Stop,
}

impl OplogRollover {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Flow control: the bounds at which a sync slows itself down for its clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThrottleOptions {
    /// Seconds that a secondary of either cluster may be behind its primary; 0 turns flow control off.
    pub max_replication_lag_seconds: u32,
}

impl ThrottleOptions {
    /// The largest bound.
    pub const MAX_SECONDS: u32 = 3600;

    /// The largest lag of a secondary; `None` without flow control.
    pub fn bound(self) -> Option<Duration> {
        let seconds = self.max_replication_lag_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        Self {
            max_replication_lag_seconds: 10,
        }
    }
}

/// Reaction to documents that differ between the clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMismatch {
    /// They are listed, and commit fails.
    #[default]
    Report,
    /// They are listed, and written again from the source.
    Repair,
}

/// The verification of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationOptions {
    /// Whether documents are compared on both clusters.
    pub enabled: bool,
    /// Reaction to a mismatch.
    #[serde(default)]
    pub on_mismatch: OnMismatch,
}

impl VerificationOptions {
    /// Of a new sync whose start does not say.
    pub const ON: Self = Self {
        enabled: true,
        on_mismatch: OnMismatch::Report,
    };
    /// Of a sync that a release without verification has started.
    pub const OFF: Self = Self {
        enabled: false,
        ..Self::ON
    };
}

/// Reaction to a user or role that the destination has otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClash {
    /// It stays as it is, and is named.
    #[default]
    Report,
    /// It is replaced by that of the source.
    Overwrite,
}

/// The transfer of users and roles at commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsersAndRoles {
    /// Whether those of the databases `admin` and `$external` are transferred, too.
    #[serde(default)]
    pub admin: bool,
    /// Reaction to a clash.
    #[serde(default)]
    pub on_clash: OnClash,
}

/// The options of a sync. Invariant: they do not change after the start, except `load_level`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartOptions {
    /// The cluster that is read.
    pub source: ClusterName,
    /// The cluster that is written.
    pub destination: ClusterName,
    /// Namespaces to sync; empty for all.
    #[serde(default)]
    pub include_namespaces: Vec<NamespaceFilter>,
    /// Namespaces not to sync. They win over `include_namespaces`.
    #[serde(default)]
    pub exclude_namespaces: Vec<NamespaceFilter>,
    /// Time of the index build on the destination.
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
    /// Reaction to a lost position. Releases before 0.4 stop.
    #[serde(default, skip_serializing_if = "OplogRollover::is_default")]
    pub on_oplog_rollover: OplogRollover,
    /// Flow control.
    #[serde(default, skip_serializing_if = "ThrottleOptions::is_default")]
    pub throttle: ThrottleOptions,
    /// Blocks of user writes; `None` where the start has not asked for any, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_blocking: Option<WriteBlockMode>,
    /// Whether the sync can be reversed after its commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reversible: bool,
    /// The verification of the destination. `None` in a start that does not say, and in a sync that a release without
    /// verification has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationOptions>,
    /// The transfer of users and roles at commit; `None` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_and_roles: Option<UsersAndRoles>,
    /// The level of the last call of `loadLevel`; `None` for the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_level: Option<u8>,
}

impl StartOptions {
    /// The components of `plugins`, as they are named.
    pub fn named_components(&self) -> Vec<&str> {
        self.plugins.iter().map(PluginOptions::component).collect()
    }

    /// A sync of all namespaces, with the defaults.
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
            on_oplog_rollover: OplogRollover::default(),
            throttle: ThrottleOptions::default(),
            write_blocking: None,
            reversible: false,
            verification: None,
            users_and_roles: None,
            load_level: None,
        }
    }

    /// The wanted blocks of user writes.
    pub fn write_blocking(&self) -> WriteBlockMode {
        self.write_blocking.unwrap_or_default()
    }

    /// The verification of this sync.
    pub fn verification(&self) -> VerificationOptions {
        self.verification.unwrap_or(VerificationOptions::OFF)
    }

    /// API names of the fields of a start that differ from those of this sync. `load_level` is not a field of a start. A
    /// start without `verification` continues a sync of an earlier release, which has none, as well as one of this release.
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
            (
                "onOplogRollover",
                self.on_oplog_rollover != other.on_oplog_rollover,
            ),
            ("throttle", self.throttle != other.throttle),
            ("reversible", self.reversible != other.reversible),
            (
                "usersAndRoles",
                self.users_and_roles != other.users_and_roles,
            ),
            (
                "enableUserWriteBlocking",
                self.write_blocking() != other.write_blocking(),
            ),
            (
                "verification",
                other
                    .verification
                    .is_some_and(|asked| asked != self.verification()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests;
