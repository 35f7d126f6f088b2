//! Flags, environment and configuration file, made into one checked [`Config`].
//!
//! Precedence: flag, environment, file, default. Every value is checked once,
//! here, and refused with a sentence that holds the value, unless it is a
//! secret. Nothing outside this room reads an environment variable of ours,
//! failpoints apart.

mod command;
mod connection_string;
mod file;
mod host;
mod options;
mod refusals;

pub use command::{FeatureSetCommand, MetadataCommand, Request, load};
pub use connection_string::{ConnectionString, is_secret_option, mask_text};
pub use host::Config;
pub use options::MetadataTask;
pub use refusals::unknown_variables;

#[cfg(test)]
mod tests;
