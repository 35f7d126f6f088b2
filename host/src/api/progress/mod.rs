//! The body of `GET /progress`.

mod collection;
mod feature_set;
mod hosts;
mod index_builds;
mod position;
mod principals;
mod resync;
mod snapshot;
mod throttle;
mod upgrade;
mod verification;
mod write_blocking;

pub(super) use principals::PrincipalCountsBody;
pub(super) use snapshot::ProgressAnswer;
pub(super) use verification::Verification;
