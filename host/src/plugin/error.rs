//! Errors of components, and their messages for operators.

use std::fmt;

use crate::model::{ComponentInfo, ErrorName, OperatorError};
use crate::observe::field;

use super::document_name::truncate;
use super::sandbox::Trap;

/// The longest reason of a guest that is passed on, in characters.
const REASON_CHARS: usize = 500;

/// The result of functions inside this room. Public functions return [`OperatorError`].
pub(super) type Result<T> = std::result::Result<T, Error>;

/// An error of a component.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The files of a feature set do not match its manifest.
    #[error(
        "the feature set cannot be used: {0}; give the folder of a complete release to --featureSet"
    )]
    FeatureSet(String),
    /// A component that this host does not have.
    #[error("no component has the name or digest {wanted}; {hint}")]
    NotFound { wanted: String, hint: String },
    /// A component that this host cannot run.
    #[error("the component {component} cannot be loaded: {reason}")]
    NotSupported { component: String, reason: String },
    /// A component that cannot replace the component in use.
    #[error("{component} cannot be swapped in: {reason}")]
    Incompatible { component: String, reason: String },
    /// A configuration that the schema or the component refused. The operator corrects it.
    #[error("{}{}{reason}", path, if path.is_empty() { "" } else { ": " })]
    Refused {
        name: ErrorName,
        path: String,
        reason: String,
    },
    /// A call that the component answered with an error or with invalid output.
    #[error("{call} failed: {reason}")]
    Failed { call: Call, reason: String },
    /// A call that ended in a trap.
    #[error("{call} trapped: {trap}; the sync stops, and can go on with a fixed component")]
    Trapped { call: Call, trap: Box<Trap> },
    /// A bug in the host.
    #[error("{0}")]
    Internal(String),
    /// The WebAssembly engine itself.
    #[error("the WebAssembly engine cannot be set up: {0:#}")]
    Engine(wasmtime::Error),
}

impl Error {
    /// A call that the component answered with an error. The reason goes into logs and answers, so it is truncated.
    pub(super) fn failed(call: Call, reason: &str) -> Self {
        Self::Failed {
            call,
            reason: truncate(reason, REASON_CHARS),
        }
    }

    /// Prepends the path of the whole configuration to the path inside it.
    pub(super) fn within(mut self, prefix: &str) -> Self {
        if let Self::Refused { path, .. } = &mut self {
            *path = join(prefix, path);
        }
        self
    }

    /// The error for the operator. Logs a trap for the plugin author.
    pub(super) fn reported(self) -> OperatorError {
        self.log();
        self.into()
    }

    /// Logs a trap. Called once per trap, after [`Error::about`] has named the document.
    pub(super) fn log(&self) {
        if let Self::Trapped { call, trap } = self {
            tracing::warn!(
                { field::PLUGIN } = call.component,
                { field::PLUGIN_DIGEST } = call.digest,
                { field::ERROR } = trap.backtrace,
                export = call.export,
                document = call.document,
                trap = %trap,
                "a plugin trapped; its instance is discarded"
            );
        }
    }

    /// Adds the name of the document to the call.
    pub(super) fn about(mut self, document: &str) -> Self {
        if let Self::Failed { call, .. } | Self::Trapped { call, .. } = &mut self {
            call.document = Some(document.to_owned());
        }
        self
    }
}

/// Joins a path such as `plugins[1].config` with `rules[0].path`, `[0]`, or an empty path.
fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, path) if path.starts_with('[') => format!("{prefix}{path}"),
        (prefix, path) => format!("{prefix}.{path}"),
    }
}

/// A call of a component: the callee, and the document if it is known.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) component: String,
    pub(super) digest: String,
    pub(super) export: &'static str,
    /// The namespace and `_id` of the document.
    pub(super) document: Option<String>,
}

impl Call {
    pub(super) fn new(info: &ComponentInfo, export: &'static str) -> Self {
        Self {
            component: info.name.clone(),
            digest: info.digest.clone(),
            export,
            document: None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            component,
            digest,
            export,
            document,
        } = self;
        write!(f, "`{export}` of the component {component} ({digest})")?;
        match document {
            Some(document) => write!(f, ", on {document},"),
            None => Ok(()),
        }
    }
}

impl From<Error> for OperatorError {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::FeatureSet(_) => ErrorName::InvalidConfig,
            Error::NotFound { .. } => ErrorName::PluginNotFound,
            Error::NotSupported { .. } => ErrorName::PluginNotSupported,
            Error::Incompatible { .. } => ErrorName::IncompatiblePlugin,
            Error::Refused { name, .. } => *name,
            Error::Failed { .. } => ErrorName::PluginFailed,
            Error::Trapped { .. } => ErrorName::PluginTrapped,
            Error::Internal(_) | Error::Engine(_) => ErrorName::InternalError,
        };
        Self::new(name, error.to_string())
    }
}
