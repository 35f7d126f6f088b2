//! Live upgrades from the previous release to this build: in every phase of a sync under
//! load, step by step as operators do it, cut short at every write, and the way back.
//! `cargo xtask upgrade-matrix` has the phases from every release.

mod cut_off;
mod downgrade;
mod phases;
mod points;
mod standby;
mod steps;

use anyhow::Result;
use support::{
    host,
    release::{Profile, previous},
    upgrade::Course,
};

/// Clusters with the data set, and the previous release's host before them.
async fn course() -> Result<Course> {
    let release = previous()?;
    let old = release.binary(Profile::Dev)?;
    Course::prepare(&old, &host::binary()?, release.has_plugins()).await
}
