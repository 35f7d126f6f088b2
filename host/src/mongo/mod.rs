//! The only room that talks to the driver.

use crate::model::options::ClusterName;

pub mod connect;
mod documents;
mod error;
pub mod listing;
pub mod preflight;
mod retry;
pub mod sample;
pub mod write;

pub use documents::Documents;
pub use error::{Error, Whereabouts, code};
pub use retry::{OUTAGE, retry};

/// One of the two clusters, connected.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    pub client: mongodb::Client,
}
