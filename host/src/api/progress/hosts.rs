//! The field `hosts` of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::hosts::HostProgress;

/// A registered host of the sync.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HostProgress)]
pub(super) struct HostBody {
    /// Id of the process, as `lease.holder`.
    id: String,
    /// `--id` of the host.
    instance: String,
    release: String,
    /// "leader" holds the lease, "worker" does items of the leader, "standby" is of another release and gets none.
    role: &'static str,
    /// Items that the host works on.
    items: u64,
    /// Milliseconds since its last sign of life. A host that has given none for leaseSeconds is not listed.
    heartbeat_age_ms: u64,
}

impl From<HostProgress> for HostBody {
    fn from(host: HostProgress) -> Self {
        Self {
            id: host.id,
            instance: host.instance,
            release: host.release,
            role: host.role.as_str(),
            items: host.items,
            heartbeat_age_ms: host.heartbeat_age_ms,
        }
    }
}
