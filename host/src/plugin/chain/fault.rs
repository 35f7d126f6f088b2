//! Faults: the reasons for which documents are quarantined.

use std::fmt;

use super::super::error::Error;
use super::super::sandbox::TrapKind;

/// The reason for which a document is quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the component; empty if the error names no call.
    pub component: String,
    /// Digest of the component, `sha256:` and lower-case hex; empty if the error names no call.
    pub digest: String,
    /// The called function.
    pub export: &'static str,
    /// Cause: the plugin, its output, or a trap.
    pub kind: FaultKind,
    /// A sentence for the operator.
    pub reason: String,
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The plugin reports that it cannot handle the document.
    Document,
    /// The host cannot write the output of the plugin.
    Output,
    /// The call trapped.
    Trap(TrapKind),
}

impl Fault {
    /// The fault of an error about one document.
    pub(super) fn new(kind: FaultKind, error: &Error) -> Self {
        let (call, reason) = match error {
            Error::Failed { call, reason } => (Some(call), reason.clone()),
            Error::Trapped { call, trap } => (Some(call), format!("the call trapped: {trap}")),
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
