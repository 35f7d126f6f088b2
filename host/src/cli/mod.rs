//! Commands without a running host: tools for plugin authors, the content of feature sets, and the metadata of a sync.

mod featureset;
mod metadata;
pub mod plugin;
mod status;

pub use featureset::featureset;
pub use metadata::metadata;
pub use status::CommandStatus;
