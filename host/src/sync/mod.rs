//! The work of one sync, from an empty destination to commit.
//!
//! Phases only go forward, and each is persisted before the next begins, so that a host that takes
//! over goes on where the previous host stopped: collection copy, index build, change event
//! application, restore, done.

mod apply_ops;
mod boundary;
mod budget;
mod catalog;
mod change_stream;
mod collection_status;
mod commit;
mod commit_request;
mod commit_time;
mod comparison;
mod context;
mod copy;
mod error;
mod hidden_ddl;
mod hidden_ddl_flag;
mod index_build;
mod items;
mod legacy_hosts;
mod migrate;
mod pair;
mod partitions;
mod plan;
mod principals_status;
mod quarantine;
mod record;
mod restore;
mod resync;
mod status;
mod stream;
mod throttle;
mod throttle_status;
mod transformation;
mod verification;
mod verification_status;
mod work;
mod workers;
mod write_block;
mod write_block_status;

pub use boundary::{Boundary, WorkRequest};
pub use catalog::time_series::refuse_transformed as refuse_transformed_series;
pub use commit::survey_principals;
pub use commit_time::take_commit_time;
use context::Context;
pub use error::Error;
pub use index_build::show as show_indexes;
pub use items::ItemHolders;
pub use legacy_hosts::lock_out_legacy_hosts;
pub use migrate::migrate;
pub use pair::{
    Certainty, Checkpoint, ClusterPair, Ledger, PairOptions, PairProgress, PairState, ReportEntry,
    verify,
};
pub use partitions::places;
pub use plan::{NamespacePlan, NamespaceSurvey, Plan, begin, plan, survey, time_series_in_scope};
pub use principals_status::PrincipalsStatus;
pub use record::Record;
pub use status::{Activity, Status};
pub use throttle::Throttle;
pub use verification::VerifyWork;
pub use verification_status::VerificationFigures;
pub use work::{Work, WorkEnd, run};
pub use workers::Workers;
pub use write_block::BlockKeeper;
pub use write_block_status::{BlockView, WriteBlockStatus};
