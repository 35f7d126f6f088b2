//! Syncs between sets of three members while these fail: step-downs, kills, frozen members, partitions, roll-backs, slow
//! and lossy lines, lagging secondaries, and clusters that are away. A seed draws a [`Plan`]; at its end both clusters
//! are compared.

mod course;
mod failure;
mod host;
mod plan;
mod rig;
mod stage;

pub use self::{
    failure::{Failure, Timed},
    plan::{Course, Plan, Shape},
    stage::{Outcome, Stage, Stages},
};
