//! Commands without a running host: tools for plugin authors, the content of feature sets, the metadata of a sync, the
//! rehearsal of a start, the comparison of two clusters, and files for shells and `man`. And commands that ask the running
//! host of this machine.

mod api_client;
mod completions;
mod credentials;
mod featureset;
mod health;
mod manual;
mod metadata;
mod plan;
pub mod plugin;
mod status;
mod sync_status;
mod table;
mod verify;

pub use completions::completions;
pub use featureset::featureset;
pub use health::health;
pub use manual::manual;
pub use metadata::metadata;
pub use plan::plan;
pub use status::CommandStatus;
pub use sync_status::sync_status;
pub use verify::{Verdict, verify};
