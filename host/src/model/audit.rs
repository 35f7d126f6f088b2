//! Records of calls: the caller, the call and its outcome.

use std::collections::BTreeMap;

/// A call that changes something, or a refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Unique; later records have greater ids, as far as the clocks of the hosts agree.
    pub id: String,
    /// Milliseconds since 1970, by the host's clock.
    pub at_ms: i64,
    /// Name of the caller; `None` without valid credentials.
    pub who: Option<String>,
    /// Role of the caller.
    pub role: Option<String>,
    /// Address of the client, with its port.
    pub from: Option<String>,
    /// Method and path.
    pub call: String,
    /// Names of options and namespaces, and short values, of an accepted body. Invariant: no secrets, no contents of
    /// documents.
    pub parameters: BTreeMap<String, String>,
    /// HTTP status; `None` while the call is in progress.
    pub status: Option<u16>,
    /// Name of the error.
    pub error: Option<String>,
    /// Number of refused calls since the previous record of a refused call that have no record.
    pub unrecorded: u64,
}
