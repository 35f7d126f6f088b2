//! Commands without a running host: tools for plugin authors, the content of feature sets, and the metadata of a sync.

mod featureset;
mod metadata;
pub mod plugin;

pub use featureset::featureset;
pub use metadata::{Ended, metadata};
