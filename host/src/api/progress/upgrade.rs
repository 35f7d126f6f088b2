//! The fields `lease` and `upgrade` of `GET /progress`: the host that works on the sync, and the history of live
//! upgrades.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::{LeaseProgress, Upgrade, UpgradeProgress};

/// The lease of the sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeaseBody {
    /// Whether this host works on the sync. False at a standby.
    ours: bool,
    /// `--id` of the host that works on the sync.
    instance: String,
    /// Id of the process that works on the sync.
    holder: String,
    /// Release of that process.
    release: String,
    /// Increases at each takeover.
    term: i64,
    /// Time from the last event that the previous host applied to the first event that this host applied. Null until
    /// then, and where the previous host's time is unknown.
    paused_ms: Option<i64>,
}

/// Versions of metadata and release, and the live upgrades of the sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpgradeBody {
    /// Null before start.
    metadata_version: Option<i32>,
    binary_version: &'static str,
    /// Oldest first.
    history: Vec<UpgradeEntry>,
}

/// A live upgrade.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UpgradeEntry {
    /// RFC 3339, by the clock of the destination.
    at: String,
    from_binary: String,
    to_binary: String,
    from_metadata: i32,
    to_metadata: i32,
    /// Time without an applied event. Null where the sync was not running.
    paused_ms: Option<i64>,
    /// How the previous host ended.
    outcome: String,
}

impl From<LeaseProgress> for LeaseBody {
    fn from(lease: LeaseProgress) -> Self {
        Self {
            ours: lease.ours,
            instance: lease.instance,
            holder: lease.holder,
            release: lease.release,
            term: lease.term,
            paused_ms: lease.paused_ms,
        }
    }
}

impl From<UpgradeProgress> for UpgradeBody {
    fn from(upgrade: UpgradeProgress) -> Self {
        Self {
            metadata_version: upgrade.metadata_version,
            binary_version: upgrade.binary_version,
            history: upgrade.history.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Upgrade> for UpgradeEntry {
    fn from(upgrade: Upgrade) -> Self {
        Self {
            at: upgrade.at,
            from_binary: upgrade.from_binary,
            to_binary: upgrade.to_binary,
            from_metadata: upgrade.from_metadata,
            to_metadata: upgrade.to_metadata,
            paused_ms: upgrade.paused_ms,
            outcome: upgrade.outcome,
        }
    }
}
