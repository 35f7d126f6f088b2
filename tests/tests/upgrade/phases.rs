//! Every phase. Nothing is copied again, no counter goes back, the state is unchanged, and in the end both clusters
//! are equal: [`Course::run`] asserts it.

use anyhow::{Result, ensure};
use support::upgrade::{
    Manner::{self, Kill, PauseFirst, Standby, Terminate},
    PHASES, Phase,
};

use super::course;

type Upgrades = &'static [(&'static str, Manner)];

const IN_THE_COPY: Upgrades = &[
    ("before start", Terminate),
    ("copy begun", Kill),
    ("first batch copied", Kill),
    ("copy early", Standby),
    ("copy half done", PauseFirst),
    ("copy half done, paused", Terminate),
    ("copy late", Kill),
];

const BEFORE_IN_STEP: Upgrades = &[
    ("copy done", Kill),
    ("index build", Terminate),
    ("index build done", Kill),
    ("catch-up", Standby),
    ("catch-up, events applied", Kill),
    ("catch-up, DDL applied", Kill),
    ("position persisted", Kill),
];

const IN_STEP: Upgrades = &[
    ("in step", Kill),
    ("in step", Terminate),
    ("in step", PauseFirst),
    ("in step", Standby),
    ("in step, paused", Terminate),
    ("in step, paused", Standby),
];

const IN_THE_COMMIT: Upgrades = &[
    ("committing", Terminate),
    ("committing", Standby),
    ("commit, drained", Kill),
    ("commit, preparing unique", Kill),
    ("commit, restored", Kill),
    ("committed", Terminate),
];

async fn upgraded(upgrades: Upgrades) -> Result<()> {
    let mut course = course().await?;
    for (phase, manner) in upgrades {
        course.run(Phase::named(phase)?, *manner).await?;
    }
    course.close()
}

#[tokio::test]
async fn upgraded_in_the_copy() -> Result<()> {
    upgraded(IN_THE_COPY).await
}

#[tokio::test]
async fn upgraded_between_copy_and_in_step() -> Result<()> {
    upgraded(BEFORE_IN_STEP).await
}

#[tokio::test]
async fn upgraded_in_step() -> Result<()> {
    upgraded(IN_STEP).await
}

#[tokio::test]
async fn upgraded_in_the_commit() -> Result<()> {
    upgraded(IN_THE_COMMIT).await
}

#[test]
fn every_phase_has_its_upgrade() -> Result<()> {
    let all = [IN_THE_COPY, BEFORE_IN_STEP, IN_STEP, IN_THE_COMMIT].concat();
    for phase in PHASES {
        let upgraded = all.iter().any(|(name, _)| *name == phase.name);
        ensure!(upgraded, "no sync is upgraded in phase `{}`", phase.name);
    }
    Ok(())
}
