//! Live upgrades from the previous release to this build: in every phase of a sync under
//! load, step by step as operators do it, cut short at every write, and the way back.
//! `cargo xtask upgrade-matrix` has the phases from every release.

mod adoption;
mod copy_states;
mod cut_off;
mod downgrade;
mod phases;
mod points;
mod standby;
mod steps;

use anyhow::Result;
use support::{
    host,
    release::{BEFORE_THIS_METADATA, Profile, Release, previous},
    upgrade::Course,
};

/// Clusters with the data set, and the previous release's host before them.
async fn course() -> Result<Course> {
    course_from(&previous()?).await
}

/// The same with the last release whose metadata is migrated.
async fn course_with_migration() -> Result<Course> {
    course_from(&Release::of(BEFORE_THIS_METADATA)?).await
}

/// The same with a sync of this release.
async fn course_without_migration() -> Result<Course> {
    let this = host::binary()?;
    Course::prepare(&this, &this, true).await
}

async fn course_from(release: &Release) -> Result<Course> {
    let old = release.binary(Profile::Dev)?;
    Course::prepare(&old, &host::binary()?, release.has_plugins()).await
}
