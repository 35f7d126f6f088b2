//! Why a document has no outcome.

use std::fmt;

use super::super::error::Error;
use super::super::sandbox::TrapKind;

/// Why a document is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub component: String,
    pub digest: String,
    /// The function that was called.
    pub export: &'static str,
    pub kind: FaultKind,
    /// A sentence for the operator.
    pub reason: String,
}

/// Who says that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The plugin: it cannot handle the document.
    Document,
    /// The host: what the plugin gave for the document cannot be written.
    Output,
    /// Nobody: the call ended.
    Trap(TrapKind),
}

impl Fault {
    /// What the operator is told of `error`, which is about one document.
    pub(super) fn new(kind: FaultKind, error: &Error) -> Self {
        let (call, reason) = match error {
            Error::Failed { call, reason } => (Some(call), reason.clone()),
            Error::Trapped { call, trap } => (Some(call), format!("the call ended with {trap}")),
            error => (None, error.to_string()),
        };
        Self {
            component: call.map(|call| call.component.clone()).unwrap_or_default(),
            digest: call.map(|call| call.digest.clone()).unwrap_or_default(),
            export: call.map_or("", |call| call.export),
            kind,
            reason,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
