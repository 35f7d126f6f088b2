//! Flags, environment and configuration file, as a checked [`Config`].
//!
//! Precedence: flag, environment, file, default. Each value is checked here, and refused with a sentence that
//! contains the value, unless it is a secret. Invariant: no other room reads an environment variable of
//! tidegate, except for failpoints.

mod callers;
mod collector;
mod command;
mod command_line;
mod connection_string;
mod file;
mod hooks;
mod host;
mod local;
mod local_arguments;
mod options;
mod plugin_trust;
mod private_file;
mod protection;
mod refusals;
mod registry_access;
mod values;
mod verify;
mod yaml;

pub use callers::{CallerEntry, Credential, TokenHash, read_callers};
pub use collector::{CollectorHeader, CollectorOptions, read_headers};
pub use command::{FeatureSetCommand, MetadataCommand, PlanCommand, Request, grammar, load};
pub use command_line::MetadataTask;
pub use connection_string::{ConnectionString, is_secret_option, mask_text};
pub use hooks::{HookOptions, HookReceiver, HookUrl, WebhookOptions};
pub use host::Config;
pub use local::{HealthCommand, LocalHost, StatusCommand};
pub use plugin_trust::{PluginTrust, TrustedKey, read_plugin_trust};
pub use private_file::read_private;
pub use protection::{ProtectionOptions, TlsOptions};
pub use refusals::unknown_variables;
pub use registry_access::RegistryAccess;
pub use verify::VerifyCommand;

#[cfg(test)]
mod tests;
