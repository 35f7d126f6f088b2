//! The last release with the previous metadata version, on metadata of this version: refused, and nothing is
//! written.

use anyhow::{Result, ensure};
use support::{
    host,
    metadata::dump,
    upgrade::{Persisted, Phase},
};

use tidegate::metadata::METADATA_VERSION;

use super::course_with_migration;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn a_release_before_this_metadata_refuses_it() -> Result<()> {
    let mut course = course_with_migration().await?;
    course.rig.allow_log("MetadataVersionNotSupported");
    for phase in ["copy half done", "in step, paused", "commit, drained"] {
        course
            .reach_with(&host::binary()?, Phase::named(phase)?)
            .await?;
        course.end().await?;
        let before = dump(&course.rig.destination).await?;
        let refused = course.start_old().await;
        let Err(error) = refused else {
            anyhow::bail!("{phase}: the older release goes on with newer metadata");
        };
        let shown = format!("{error:#}");
        ensure!(shown.contains("MetadataVersionNotSupported"), "{shown}");
        let newer = format!("version {METADATA_VERSION}, written by {VERSION}");
        for said in [&*newer, "this release supports version"] {
            ensure!(shown.contains(said), "no {said} in: {shown}");
        }
        ensure!(
            dump(&course.rig.destination).await? == before,
            "{phase}: the older release has changed newer metadata"
        );
        course.start_new(None).await?;
        course.finish(&Persisted::of(&before)?).await?;
    }
    course.close()
}
