//! Sets of three members that fail under a sync: each kind of failure in a fixed plan, and a sample of the runs of
//! `cargo xtask failovers`. The seed is printed. `TIDEGATE_SEED` repeats a sample.

use std::time::Duration;

use anyhow::{Result, ensure};
use support::{
    failovers::{Course, Failure, Outcome, Plan, Shape, Stages, Timed},
    faults::Side::{self, Destination, Source},
    replica_set::Partition,
};

/// Runs of the sample.
const RUNS: u64 = 2;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plan(shape: Shape, course: Course, failures: &[(Side, Failure)]) -> Plan {
    let failures = failures.iter();
    Plan {
        seed: 190,
        source: shape,
        destination: shape,
        course,
        ddl: true,
        failures: failures
            .map(|(side, failure)| Timed::new(*side, *failure))
            .collect(),
    }
}

/// Plays a plan, and fails with it.
#[expect(clippy::print_stderr, reason = "a run is repeated by its seed")]
async fn play(stages: &mut Stages, plan: &Plan) -> Result<Outcome> {
    eprintln!("{plan}");
    let outcome = Box::pin(stages.run(plan)).await;
    if let Some(failure) = &outcome.failure {
        anyhow::bail!("{plan}\n{failure}");
    }
    eprintln!("{:.1} s", outcome.seconds);
    Ok(outcome)
}

async fn play_alone(plan: Plan) -> Result<Outcome> {
    let mut stages = Stages::default();
    let outcome = play(&mut stages, &plan).await?;
    stages.end();
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f190_primaries_step_down_are_killed_and_stand_still() -> Result<()> {
    let failures = [
        (Source, Failure::StepDown),
        (Destination, Failure::StepDown),
        (Source, Failure::PrimaryKilled(seconds(1))),
        (Destination, Failure::PrimaryKilled(seconds(1))),
        (Source, Failure::PrimaryFrozen(seconds(4))),
        (Destination, Failure::PrimaryFrozen(seconds(4))),
    ];
    let outcome = play_alone(plan(Shape::Three, Course::Copy, &failures)).await?;
    // The sync has met the failures: they take longer than it takes without them.
    ensure!(outcome.seconds > 5.0, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f191_writes_of_parted_primaries_are_rolled_back() -> Result<()> {
    let failures = [
        (
            Source,
            Failure::PrimaryParted(Partition::Refused, seconds(5)),
        ),
        (
            Destination,
            Failure::PrimaryParted(Partition::Silent, seconds(5)),
        ),
        (Source, Failure::RolledBack(seconds(1))),
        (Destination, Failure::RolledBack(seconds(1))),
    ];
    let outcome = play_alone(plan(Shape::Three, Course::Changes, &failures)).await?;
    let [source, destination] = outcome.rolled_back;
    ensure!(source > 0 && destination > 0, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f192_sets_with_an_arbiter_lose_their_majority_and_their_primary() -> Result<()> {
    let failures = [
        (Source, Failure::SecondaryKilled(seconds(3))),
        (Destination, Failure::SecondaryLags(seconds(3))),
        (Source, Failure::PrimaryKilled(seconds(3))),
        (
            Destination,
            Failure::PrimaryParted(Partition::Refused, seconds(5)),
        ),
    ];
    let outcome = play_alone(plan(Shape::Arbiter, Course::Pause, &failures)).await?;
    ensure!(outcome.seconds > 5.0, "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f193_lines_are_slow_lossy_and_silent_and_clusters_are_away_in_a_commit() -> Result<()> {
    let lossy = Failure::LineLossy {
        of_thousand: 20,
        lasts: seconds(4),
    };
    let slow = Failure::LineSlow {
        by: Duration::from_millis(30),
        lasts: seconds(4),
    };
    let failures = [
        (Source, lossy),
        (Destination, slow),
        (Source, Failure::Away(seconds(6))),
        (Destination, Failure::LineSilent(seconds(3))),
        (Destination, Failure::HostKilled(seconds(1))),
        (Destination, Failure::Away(seconds(6))),
        (Source, Failure::LineRefused(seconds(2))),
    ];
    let outcome = play_alone(plan(Shape::Three, Course::Commit, &failures)).await?;
    ensure!(outcome.seconds > 5.0, "{outcome:?}");
    Ok(())
}

/// The seed of the environment, or a random seed. Printed, so that a sample can be repeated.
#[expect(clippy::print_stderr, reason = "a sample is drawn again by its seed")]
fn seed() -> u64 {
    let given = std::env::var("TIDEGATE_SEED").ok();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| rand::random_range(0..1_000_000));
    eprintln!("failovers: TIDEGATE_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f194_a_sample_of_sets_that_fail() -> Result<()> {
    let seed = seed();
    let mut plans: Vec<Plan> = (seed..seed + RUNS).map(Plan::draw).collect();
    plans.sort_by_key(Plan::shapes);
    let mut stages = Stages::default();
    for plan in &plans {
        play(&mut stages, plan).await?;
    }
    stages.end();
    Ok(())
}
