//! Who works on the sync, and what live upgrades it has been through.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::{LeaseProgress, Upgrade, UpgradeProgress};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeaseBody {
    /// True if this host works on the sync; false at a standby.
    ours: bool,
    /// `--id` of the host that works on the sync.
    instance: String,
    /// The id of its process.
    holder: String,
    release: String,
    /// Counts up each time the sync changes hands.
    term: i64,
    /// From what the host before applied last to what this one applied first; null until then.
    paused_ms: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpgradeBody {
    metadata_version: Option<i32>,
    binary_version: &'static str,
    /// Oldest first.
    history: Vec<UpgradeEntry>,
}

/// One live upgrade.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UpgradeEntry {
    /// By the destination's clock.
    at: String,
    from_binary: String,
    to_binary: String,
    from_metadata: i32,
    to_metadata: i32,
    /// Without an applied event; null where the sync was not running.
    paused_ms: Option<i64>,
    /// How the old host left.
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
