//! Commands without a running host: tools for plugin authors, the content of feature sets, the metadata of a sync, the
//! rehearsal of a start, and the comparison of two clusters.

mod featureset;
mod metadata;
mod plan;
pub mod plugin;
mod status;
mod table;
mod verify;

pub use featureset::featureset;
pub use metadata::metadata;
pub use plan::plan;
pub use status::CommandStatus;
pub use verify::{Verdict, verify};
