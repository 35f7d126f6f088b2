//! kill -9 before and after every write of a takeover, a migration and a handover. The new host goes on from there.
//! The old host goes on, too, or refuses by name without any change.

use anyhow::{Context, Result, ensure};
use support::{
    Host, doc, host,
    metadata::dump,
    upgrade::{Course, Persisted, Phase},
};

use super::{course, course_with_migration, course_without_migration};

/// Of a takeover of a sync that is of the previous metadata version.
const OF_A_TAKEOVER: &[&str] = &[
    "lease_taking",
    "lease_taken",
    "term_begun",
    "migration_begun",
    "migration_written",
    "migration_done",
    "old_hosts_shut_out",
    "upgrade_recorded",
];

/// Of a takeover of a sync that is of this metadata version.
const WITHOUT_MIGRATION: &[&str] = &[
    "lease_taking",
    "lease_taken",
    "term_begun",
    "upgrade_recorded",
];

/// Of a handover from a host of this release to another host of this release.
const OF_A_HANDOVER: &[&str] = &["handover_drained", "lease_released"];

/// A sync of an earlier release that has been stopped, and then a new host that has died
/// at the point.
async fn died_at(course: &mut Course, point: &str) -> Result<()> {
    course.reach(Phase::named("in step")?).await?;
    course.end().await?;
    course.start_new_to_die_at(point).await
}

#[tokio::test]
async fn the_new_host_goes_on_from_every_point_of_a_takeover() -> Result<()> {
    goes_on_from(course_with_migration().await?, OF_A_TAKEOVER).await
}

#[tokio::test]
async fn the_new_host_goes_on_from_every_point_without_a_migration() -> Result<()> {
    goes_on_from(course_without_migration().await?, WITHOUT_MIGRATION).await
}

async fn goes_on_from(mut course: Course, points: &[&str]) -> Result<()> {
    for point in points {
        let gone_on = async {
            died_at(&mut course, point).await?;
            let before = dump(&course.rig.destination).await?;
            course.start_new(None).await?;
            course.finish(&Persisted::of(&before)?).await
        };
        gone_on.await.with_context(|| (*point).to_owned())?;
    }
    course.close()
}

#[tokio::test]
async fn the_old_host_goes_on_or_refuses_at_every_point_of_a_takeover() -> Result<()> {
    let mut course = course_with_migration().await?;
    course.rig.allow_log("MetadataVersionNotSupported");
    // The transaction of a migration that was killed holds its documents until then: a minute by default. The
    // previous release waits for it; this release ends it.
    let lifetime = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 10 };
    course.rig.destination.admin(lifetime).await?;
    for point in OF_A_TAKEOVER {
        let gone_on = async {
            died_at(&mut course, point).await?;
            let before = dump(&course.rig.destination).await?;
            match course.start_old().await {
                Ok(()) => {
                    course.wait_in_step().await?;
                    course.end().await?;
                }
                Err(error) => {
                    let shown = format!("{error:#}");
                    ensure!(shown.contains("MetadataVersionNotSupported"), "{shown}");
                    let after = dump(&course.rig.destination).await?;
                    ensure!(after == before, "a refused host has changed metadata");
                }
            }
            course.start_new(None).await?;
            course.finish(&Persisted::of(&before)?).await
        };
        gone_on.await.with_context(|| (*point).to_owned())?;
    }
    course.close()
}

#[tokio::test]
async fn the_standby_goes_on_from_every_point_of_a_handover() -> Result<()> {
    let mut course = course().await?;
    for point in OF_A_HANDOVER {
        let gone_on = async {
            let new = host::binary()?;
            course.reach_with(&new, Phase::named("in step")?).await?;
            // The same sync again, by a host that dies when it hands it over.
            course.end().await?;
            course.start_new(Some(point)).await?;
            course.wait_in_step().await?;
            let standby = Host::spawn(course.rig.host.arguments().clone()).await?;
            let before = dump(&course.rig.destination).await?;
            let mut active = std::mem::replace(&mut course.rig.host, standby);
            // The answer may be lost with the host.
            let _ = active.call("POST", "/api/v1/handover", "").await;
            active.wait_for_end().await?;
            course.wait_in_step().await?;
            course.finish(&Persisted::of(&before)?).await
        };
        gone_on.await.with_context(|| (*point).to_owned())?;
    }
    course.close()
}
