//! The body of `GET /progress`.

mod collection;
mod feature_set;
mod index_builds;
mod position;
mod resync;
mod snapshot;
mod throttle;
mod upgrade;
mod verification;
mod write_blocking;

pub(super) use snapshot::ProgressAnswer;
pub(super) use verification::Verification;
