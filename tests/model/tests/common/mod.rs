//! Checks that every suite makes of a model. `--nocapture` prints figures and counterexamples.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a suite's own module is not taken for a test"
)]

use protocol_model::checker::{Model, check};

/// Every property holds in all states.
pub(crate) fn holds<M: Model>(model: &M) {
    match check(model) {
        Ok(holds) => println!("{holds}"),
        Err(counterexample) => panic!("{counterexample}"),
    }
}

/// The checker finds the fault.
pub(crate) fn found<M: Model>(model: &M) {
    match check(model) {
        Ok(holds) => panic!("the fault is not found in {holds}"),
        Err(counterexample) => println!("{counterexample}"),
    }
}
