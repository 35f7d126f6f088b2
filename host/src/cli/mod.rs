//! Commands without a running host: tools for plugin authors, the content of feature sets, the metadata of a sync, and the
//! rehearsal of a start.

mod featureset;
mod metadata;
mod plan;
pub mod plugin;
mod status;
mod table;

pub use featureset::featureset;
pub use metadata::metadata;
pub use plan::plan;
pub use status::CommandStatus;
