//! Hosts of a sync, and calls that they pass on.

/// A host of a sync, for `/progress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProgress {
    /// Id of the process, as in the lease.
    pub id: String,
    /// Its `--id`.
    pub instance: String,
    /// Its release.
    pub release: String,
    /// Its part in the sync.
    pub role: HostRole,
    /// Items that it works on.
    pub items: u64,
    /// Milliseconds since its last sign of life.
    pub heartbeat_age_ms: u64,
}

/// The part of a host in a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRole {
    /// It holds the lease.
    Leader,
    /// It does the items of the leader, and takes the sync over when the leader leaves.
    Worker,
    /// It is of another release than the leader, so it gets no items. It takes the sync over when the leader leaves.
    Standby,
}

impl HostRole {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Worker => "worker",
            Self::Standby => "standby",
        }
    }
}

/// A call of the API that a standby has admitted, for the leader.
#[derive(Clone, Debug)]
pub struct PassedCall {
    /// Path, as `/api/v1/pause`.
    pub path: String,
    /// Body, as it was received.
    pub body: String,
    /// Name of the caller.
    pub who: String,
    /// Name of the caller's role.
    pub role: String,
    /// Id of the record of the call: both hosts record it once.
    pub record: String,
}

/// A passed call that this host has taken, and has to answer.
#[derive(Clone, Debug)]
pub struct TakenCall {
    /// Id of the passed call.
    pub id: String,
    /// The call.
    pub call: PassedCall,
    /// `--id` of the host that was called.
    pub instance: String,
}

/// The answer of the leader to a passed call.
#[derive(Clone, Debug)]
pub struct PassedAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}
