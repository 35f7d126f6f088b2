//! Terms of the domain as plain values: no I/O, no tasks, no clock.
//!
//! All other rooms may use this room. It uses no other room.

pub mod audit;
pub mod caller;
pub mod commit;
pub mod component;
pub mod document_key;
pub mod errors;
pub mod event;
pub mod feature;
pub mod history;
pub mod hook;
pub mod hosts;
pub mod input;
pub mod key_order;
pub mod latency;
pub mod mismatch;
pub mod namespace;
pub mod options;
pub mod plugins;
pub mod position;
pub mod principals;
pub mod progress;
pub mod resume_token;
pub mod state;

pub use caller::{Caller, Role};
pub use component::ComponentInfo;
pub use errors::{ErrorKind, ErrorName, OperatorError};
pub use namespace::{Namespace, Route};
pub use options::StartOptions;
pub use position::{ClusterTime, Position};
pub use progress::{Progress, Readiness};
pub use raw_bson as raw;
pub use state::State;
