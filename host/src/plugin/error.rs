//! What can go wrong with a component, and what the operator reads of it.

use std::fmt;

use crate::model::{ErrorName, OperatorError};

use super::featureset::ComponentInfo;

/// The result of this room's inner functions.
pub(super) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The files of a feature set are not what its manifest says.
    #[error(
        "the feature set cannot be used: {0}; give the folder of a complete release to --featureSet"
    )]
    FeatureSet(String),
    /// A component that this host cannot run.
    #[error("the component {component} cannot be loaded: {reason}")]
    NotSupported { component: String, reason: String },
    /// A configuration that the component refuses: the operator's to correct.
    #[error("{}{}{reason}", path, if path.is_empty() { "" } else { ": " })]
    Refused {
        name: ErrorName,
        path: String,
        reason: String,
    },
    /// A call that the component answered with an error, or with nonsense.
    #[error("{call} failed: {reason}")]
    Failed { call: Call, reason: String },
    /// A call that ended in a trap. The backtrace is for the author: it goes to the log.
    #[error("{call} ended with {trap}; the sync stops, and can go on with a mended component")]
    Trapped {
        call: Call,
        trap: TrapKind,
        backtrace: String,
    },
    /// The WebAssembly engine itself.
    #[error("the WebAssembly engine cannot be set up: {0:#}")]
    Engine(wasmtime::Error),
}

/// Who was called.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) component: String,
    pub(super) digest: String,
    pub(super) export: &'static str,
}

impl Call {
    pub(super) fn new(info: &ComponentInfo, export: &'static str) -> Self {
        Self {
            component: info.name.clone(),
            digest: info.digest.clone(),
            export,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` of the component {} ({})",
            self.export, self.component, self.digest
        )
    }
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrapKind {
    Deadline,
    Memory,
    Stack,
    Panic,
    Other,
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "a passed deadline",
            Self::Memory => "its memory cap reached",
            Self::Stack => "a stack overflow",
            Self::Panic => "a panic",
            Self::Other => "an invalid operation",
        })
    }
}

impl From<Error> for OperatorError {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::FeatureSet(_) => ErrorName::InvalidConfig,
            Error::NotSupported { .. } => ErrorName::PluginNotSupported,
            Error::Refused { name, .. } => *name,
            Error::Failed { .. } | Error::Trapped { .. } => ErrorName::PluginFailed,
            Error::Engine(_) => ErrorName::InternalError,
        };
        Self::new(name, error.to_string())
    }
}
