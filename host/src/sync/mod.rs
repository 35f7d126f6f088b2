//! The work of one sync, from an empty destination to commit.
//!
//! Phases only go forward, and each is persisted before the next begins, so a
//! host that takes over goes on where the last one stopped:
//! collection copy, index build, change event application, restore, done.

mod apply_ops;
mod budget;
mod catalog;
mod collection_options;
mod commit;
mod commit_time;
mod context;
mod copy;
mod destination;
mod error;
mod giving_way;
mod index_build;
mod letters;
mod migrate;
mod names;
mod pipeline;
mod plan;
mod quarantine;
mod recopy;
mod record;
mod relaxed;
mod scope;
mod shut_out;
mod source_indexes;
mod status;
mod stream;
mod views;
mod wish;
mod work;

pub use commit_time::take_commit_time;
use context::Context;
pub use context::Workers;
pub use error::Error;
pub use index_build::show as show_indexes;
pub use migrate::migrate;
pub use plan::{Plan, begin, plan};
pub use record::Record;
pub use shut_out::shut_out;
pub use status::{Status, Step};
pub use wish::{Boundary, Wish};
pub use work::{End, Work, run};
