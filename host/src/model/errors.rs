//! Errors for operators: a stable name, and a message with fault, cause and remedy. Each name has a page in
//! `docs/errors/`.

use std::fmt;

/// Kind of an error, by the reaction of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Transient: another attempt can succeed.
    Transient,
    /// A transient error that lasted until the deadline of its attempts.
    Outage,
    /// An operator has to change something.
    Operator,
    /// A fault of tidegate.
    Bug,
}

macro_rules! error_names {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// The stable names. They are part of the API: never renamed, never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorName { $($(#[doc = $doc])+ $name),+ }

        impl ErrorName {
            /// All names, for the test that each has a page.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name as operators see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// Whether a commit that ends with this error is undone by the host itself.
            pub fn undoes_commit(self) -> bool {
                matches!(
                    self,
                    Self::CommitTimedOut
                        | Self::SourceCatalogChanged
                        | Self::SourceWrittenDuringCommit
                        | Self::VerificationFailed
                )
            }
        }
    };
}

error_names! {
    // ---- requests
    /// The body is not JSON, or not a JSON object.
    InvalidJson,
    /// A field that no release knows.
    UnknownField,
    /// A required field is missing.
    MissingField,
    /// A field has the wrong type or a value out of its range.
    InvalidField,
    /// A regular expression that does not compile, or unknown regex options.
    InvalidRegex,
    /// A documented option that this release does not have yet.
    NotSupported,
    /// The state does not allow the call.
    InvalidStateTransition,
    /// The sync was begun with other options.
    OptionsMismatch,
    /// Commit was asked for before `canCommit`.
    CannotCommit,
    /// The call names another sync than the host has.
    SyncMismatch,
    /// A commit was not done within its `maxBlockSeconds`, and is undone.
    CommitTimedOut,
    /// Commit has found DDL of a source before 6.0 that no change event has shown; the commit is undone.
    SourceCatalogChanged,
    /// The source was written to although the commit had blocked it; the commit is undone.
    SourceWrittenDuringCommit,
    /// A hook has refused the commit.
    CommitVetoed,
    /// A hook that may refuse a commit did not answer.
    HookFailed,
    /// No such path.
    NotFound,
    /// A call names a collection that the sync does not have.
    NamespaceNotFound,
    /// Commit has found documents that differ between the clusters, or could not compare them.
    VerificationFailed,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body is incomplete, or did not arrive in time.
    BodyIncomplete,
    /// Too many bytes of requests are in transit or held, or too many credentials of an address were wrong.
    TooManyRequests,
    /// The `Host` or `Origin` header is not this server's.
    HostNotAllowed,
    /// The call has no valid credentials.
    Unauthorized,
    /// The role of the caller does not permit the call.
    Forbidden,
    // ---- command line and start-up
    /// A flag, environment variable or configuration file value is wrong.
    InvalidConfig,
    /// A connection string that the driver refuses.
    InvalidUri,
    /// Other machines would reach an API without protection.
    UnprotectedAddress,
    /// A file with secrets can be read by others than its owner.
    FileNotPrivate,
    /// The API's port is taken.
    PortInUse,
    /// The log path cannot be written.
    LogPathNotWritable,
    // ---- clusters
    /// A cluster cannot be reached.
    ConnectionFailed,
    /// A cluster refuses the credentials.
    AuthenticationFailed,
    /// Both connection strings lead to the same cluster.
    SameCluster,
    /// The metadata belongs to a sync between other clusters.
    ClustersMismatch,
    /// A standalone server has no oplog to follow.
    StandaloneNotSupported,
    /// A sharded cluster.
    ShardedClusterNotSupported,
    /// A server version outside the supported range.
    ServerVersionNotSupported,
    /// A feature compatibility version outside the supported range.
    FeatureCompatibilityVersionNotSupported,
    /// A storage engine other than WiredTiger.
    StorageEngineNotSupported,
    /// The source cannot serve majority reads.
    MajorityReadsNotSupported,
    /// No majority of a cluster's members follows its primary.
    MajorityNotReached,
    /// A server that refuses queries without an index.
    TableScansNotAllowed,
    /// The destination holds data already.
    DestinationNotEmpty,
    /// User writes of the destination are blocked, also for this user.
    WritesBlocked,
    /// The user lacks privileges, listed by name.
    MissingPrivileges,
    /// A time-series collection, which change streams do not carry.
    TimeSeriesNotSupported,
    /// A collection that cannot be copied faithfully.
    CollectionNotSupported,
    /// Two namespaces would have one name on the destination.
    NamespaceCollision,
    // ---- a running sync
    /// The source's oplog no longer holds the safe position.
    OplogRolledOver,
    /// A change event that no change stream delivers, and a sync that stops where its position is lost.
    ChangeEventTooLarge,
    /// A change event of a kind that this release cannot apply.
    ChangeEventNotSupported,
    /// A component returned an error, or an answer that violates the contract.
    PluginFailed,
    /// A call of a component was aborted: a panic, an exceeded deadline or limit.
    PluginTrapped,
    /// A component cannot be loaded by this host.
    PluginNotSupported,
    /// No component has this name or digest.
    PluginNotFound,
    /// A component that is needed cannot be deleted.
    PluginInUse,
    /// No key that is trusted has signed a component from a registry.
    PluginNotTrusted,
    /// A registry of components did not answer, or refused a request.
    RegistryFailed,
    /// A plugin's configuration refers to a secret that this host does not have.
    SecretNotFound,
    /// A component cannot replace the component in use.
    IncompatiblePlugin,
    /// The metadata was written by a newer release.
    MetadataVersionNotSupported,
    /// Another host works on the sync.
    StandbyInstance,
    /// The metadata cannot be migrated to another version.
    MigrationFailed,
    /// A document or command that the destination permanently refuses.
    DestinationRefused,
    /// A bug of tidegate.
    InternalError,
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error for an operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}: {message}")]
pub struct OperatorError {
    /// Stable name: `error` in answers of the API, `error_code` in logs.
    pub name: ErrorName,
    /// One or two sentences: fault, cause, remedy. Invariant: no credentials and no contents of documents.
    pub message: String,
}

impl OperatorError {
    /// An error with a message of whole sentences.
    pub fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
        }
    }

    /// The kind of the error, by its name.
    pub fn kind(&self) -> ErrorKind {
        match self.name {
            ErrorName::InternalError => ErrorKind::Bug,
            ErrorName::ConnectionFailed => ErrorKind::Transient,
            _ => ErrorKind::Operator,
        }
    }
}
