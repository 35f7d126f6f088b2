//! Commands without a running host: tools for plugin authors, the content of feature sets, the metadata of a sync, the
//! rehearsal of a start, the comparison of two clusters, and files for shells and `man`.

mod completions;
mod featureset;
mod manual;
mod metadata;
mod plan;
pub mod plugin;
mod status;
mod table;
mod verify;

pub use completions::completions;
pub use featureset::featureset;
pub use manual::manual;
pub use metadata::metadata;
pub use plan::plan;
pub use status::CommandStatus;
pub use verify::{Verdict, verify};
