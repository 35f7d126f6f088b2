//! A data set with every kind of object, a loader for it, and a writer that keeps changing it. Seeded: a seed gives
//! the same documents and the same choices.

mod block;
pub mod dataset;
mod ddl;
mod fields;
pub mod plugins;
mod values;
mod writer;

pub use block::{Refusal, is_refused_by_block};
pub use dataset::{Loaded, load};
pub use writer::{Counts, Pace, Writer};
