//! The body of `GET /progress`.

mod feature_set;
mod position;
mod resync;
mod snapshot;
mod upgrade;

pub(super) use snapshot::ProgressAnswer;
