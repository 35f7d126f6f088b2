//! Families of the host, present before a sync begins.

use super::exposition::Exposition;
use super::family::{Family, Gauge, Unit};
use crate::model::Readiness;
use crate::observe::VERSION;

const ROLES: [&str; 4] = ["starting", "idle", "active", "standby"];

const BUILD_INFO: Family<Gauge, 1> = Family::new(
    "tidegate_build_info",
    Unit::One,
    "1, with the release as a label",
    ["version"],
);

const ROLE: Family<Gauge, 1> = Family::new(
    "tidegate_role",
    Unit::One,
    "1 for the role of this host in the sync, 0 for the others",
    ["role"],
);

const CLUSTER_UP: Family<Gauge, 1> = Family::new(
    "tidegate_cluster_up",
    Unit::One,
    "1 while the cluster answers, 0 when it has not for 2 seconds",
    ["cluster"],
);

const READY: Family<Gauge, 0> = Family::new(
    "tidegate_ready",
    Unit::One,
    "1 while both clusters answer, as /readyz tells",
    [],
);

/// Adds the numbers of this host.
pub(super) fn expose(readiness: &Readiness, exposition: &mut Exposition) {
    exposition.add(&BUILD_INFO, [VERSION], true);
    for role in ROLES {
        exposition.add(&ROLE, [role], role == readiness.role);
    }
    exposition.add(&READY, [], readiness.ready);
    for (cluster, answers) in readiness.clusters {
        exposition.add(&CLUSTER_UP, [cluster], answers);
    }
}
