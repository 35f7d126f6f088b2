//! The SDK for tidegate plugins.
//!
//! A plugin is a type that implements [`Plugin`] and [`Route`], [`Transform`] or both, and a line that exports
//! it. Documents are raw bytes, read and written with [`bson`]; [`Transform`] has two examples. This plugin
//! syncs only the databases of a tenant, and removes the prefix of their names:
//!
//! ```
//! use tidegate_plugin_sdk::{ConfigError, Decision, Description, Namespace, Plugin, Route, Scope};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     tenant: String,
//! }
//!
//! struct OneTenant {
//!     prefix: String,
//! }
//!
//! impl Plugin for OneTenant {
//!     type Config = Config;
//!
//!     const DESCRIPTION: Description = Description {
//!         name: "one-tenant",
//!         version: "1.0.0",
//!         semantics: 1,
//!         scope: Scope::Delta,
//!         config_schema: r#"{"type": "object", "required": ["tenant"]}"#,
//!     };
//!
//!     fn configure(config: Config) -> Result<Self, ConfigError> {
//!         Ok(Self { prefix: format!("{}_", config.tenant) })
//!     }
//! }
//!
//! impl Route for OneTenant {
//!     fn route(&self, namespace: &Namespace) -> Result<Decision, String> {
//!         Ok(match namespace.database.strip_prefix(&self.prefix) {
//!             Some(database) => Decision::Rename(Namespace {
//!                 database: database.to_owned(),
//!                 collection: namespace.collection.clone(),
//!             }),
//!             None => Decision::Skip,
//!         })
//!     }
//! }
//!
//! tidegate_plugin_sdk::export!(OneTenant: route);
//!
//! // A test needs no component: a plugin is a type like any other.
//! use tidegate_plugin_sdk::parse;
//!
//! let plugin = OneTenant::configure(parse(r#"{"tenant": "acme"}"#)?)?;
//! let other = Namespace { database: "umbrella_shop".to_owned(), collection: "c".to_owned() };
//! assert!(matches!(plugin.route(&other), Ok(Decision::Skip)));
//! assert!(parse::<Config>(r#"{"tenent": "acme"}"#).is_err());
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown`. A plugin imports nothing, except for
//! [`observe`] where it logs or counts: system functions of the standard library (files, time, randomness, printing) are
//! missing, and panic or do nothing.
//!
//! The full contract is the WIT package `tidegate:plugin` (`wit/since-v1.0.0`, `wit/since-v1.1.0`). In short: answers depend on the
//! arguments and the configuration only, a panic ends the instance, and an error is a sentence for the operator
//! that never quotes a document. There is no state between calls, so every method takes `&self`.

extern crate self as tidegate_plugin_sdk;

pub mod date;
pub mod edit;
pub mod ejson;
pub mod observe;
pub mod walk;

mod batch;
mod config;
mod export;
mod migrate;
#[doc(hidden)]
pub mod panic;
mod transform;

#[doc(hidden)]
#[expect(
    clippy::mem_forget,
    reason = "how generated code hands memory to the host"
)]
pub mod bindings;
#[doc(hidden)]
pub use batch::transform_batch;
#[doc(hidden)]
pub use migrate::{migrate_batch, step_of};
#[doc(hidden)]
pub use wit_bindgen;

pub use bindings::describe::exports::tidegate::plugin::describe::{
    ConfigError, ConfigFault, Scope,
};
pub use bindings::route::exports::tidegate::plugin::route::{Decision, Namespace};
pub use config::parse;
pub use migrate::{Context, Direction, Migrate, Output, Step};
pub use raw_bson as bson;
pub use raw_bson::decimal;
pub use transform::{DocumentFailure, Outcome, Transform, Verdict, transform_one};

/// A plugin's description; the fields are those of `description` in `describe.wit`.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Lower-case words joined by hyphens.
    pub name: &'static str,
    /// The semantic version, usually `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The version of the output contract, from 1. Raise it when answers change on purpose.
    pub semantics: u32,
    /// The part of a document that [`Transform`] needs.
    pub scope: Scope,
    /// The JSON Schema of [`Plugin::Config`].
    pub config_schema: &'static str,
}

/// A plugin: its description, and a configured instance.
pub trait Plugin: Sized {
    /// The configuration. Derive `Deserialize` with `deny_unknown_fields`: an invalid field is then refused
    /// with its path, before [`configure`](Self::configure) runs.
    type Config: serde::de::DeserializeOwned;

    /// The answer to `describe`.
    const DESCRIPTION: Description;

    /// Builds an instance. Called once; do costly work here.
    ///
    /// # Errors
    ///
    /// The path and fault of a setting that the plugin cannot use.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;
}

/// Decides which namespaces are synced, and under which name.
pub trait Route: Plugin {
    /// Decides about a namespace.
    ///
    /// # Errors
    ///
    /// A sentence for the operator; it stops the sync.
    fn route(&self, namespace: &Namespace) -> Result<Decision, String>;
}
