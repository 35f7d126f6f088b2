//! Every fault at every command: a sample of the runs of `cargo xtask faults`. The seed is printed. `TIDEGATE_SEED`
//! repeats a sample, and a run is repeated by its name.

use std::{collections::VecDeque, sync::Mutex};

use anyhow::{Result, ensure};
use support::faults::{Name, Plan, Stages};

/// One of each kind of fault. A run has a copy with DDL and writes beside it.
const RUNS: usize = 20;

/// The seed of the environment, or a random seed. Printed, so that a sample can be repeated.
#[expect(clippy::print_stderr, reason = "a sample is drawn again by its seed")]
fn seed() -> u64 {
    let given = std::env::var("TIDEGATE_SEED").ok();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    eprintln!("faults: TIDEGATE_SEED={seed}");
    seed
}

#[derive(Default)]
struct Found {
    met: usize,
    failures: Vec<String>,
}

/// Runs the remaining syncs in sequence. Each is printed before it begins, so that a run that never ends has a
/// name.
#[expect(clippy::print_stderr, reason = "a run is repeated by its name")]
async fn job(mut stages: Stages, left: &Mutex<VecDeque<Name>>, found: &Mutex<Found>) -> Result<()> {
    loop {
        let next = left.lock().expect("a lock").pop_front();
        let Some(name) = next else {
            break;
        };
        eprintln!("{name}");
        let outcome = stages.run(&name).await?;
        let mut found = found.lock().expect("a lock");
        found.met += usize::from(outcome.met);
        let failure = outcome.failure.map(|failure| format!("{name}\n{failure}"));
        found.failures.extend(failure);
    }
    stages.end();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_of_every_fault_at_every_command() -> Result<()> {
    let seed = seed();
    let mut stages = Stages::default();
    let plan = Plan::of(&stages.record().await?);
    ensure!(plan.0.len() > 3000, "only {} runs were found", plan.0.len());
    let left = Mutex::new(VecDeque::from(plan.sample(RUNS, seed).0));
    let found = Mutex::new(Found::default());
    let second = job(Stages::default(), &left, &found);
    tokio::try_join!(job(stages, &left, &found), second)?;
    let Found { met, failures } = found.into_inner()?;
    ensure!(
        failures.is_empty(),
        "{} of {RUNS} runs failed; repeat one with `cargo xtask faults --only NAME`:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    ensure!(met >= RUNS * 9 / 10, "{met} of {RUNS} commands have come");
    Ok(())
}
