//! What a tidegate plugin is written with.
//!
//! A plugin is a type that implements [`Plugin`] and [`Route`], [`Transform`] or
//! both, and one line that exports it. Documents are raw bytes, read and written
//! with [`bson`]; [`Transform`] has two examples. This plugin syncs nothing but
//! one tenant's databases, and takes the prefix off their names:
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
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown`; a plugin imports
//! nothing, so what the standard library would ask of a system (files, time,
//! randomness, printing) is not there and panics or does nothing.
//!
//! What the host promises and what it expects, word by word, is written in the
//! WIT package `tidegate:plugin` (`wit/since-v1.0.0`). In short: answers depend on
//! the arguments and the configuration alone, a panic ends the instance, and an
//! error is a sentence for the operator that never quotes a document. That is
//! why every method here takes `&self`: there is no state between calls.

extern crate self as tidegate_plugin_sdk;

pub mod date;
pub mod edit;
pub mod ejson;
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

/// What a plugin says of itself; the fields are those of `description` in
/// `describe.wit`.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Lower-case words joined by hyphens.
    pub name: &'static str,
    /// Semantic version; `env!("CARGO_PKG_VERSION")` for most.
    pub version: &'static str,
    /// The output contract, from 1: count up when answers change on purpose.
    pub semantics: u32,
    /// How much of a document [`Transform`] has to see.
    pub scope: Scope,
    /// JSON Schema of [`Plugin::Config`].
    pub config_schema: &'static str,
}

/// What every plugin is: a description, and a configured instance.
pub trait Plugin: Sized {
    /// The configuration. Derive `Deserialize` with `deny_unknown_fields`: what
    /// does not fit is refused with the path of the field, before
    /// [`configure`](Self::configure) sees it.
    type Config: serde::de::DeserializeOwned;

    const DESCRIPTION: Description;

    /// Called once. Do costly work here; refuse what makes no sense.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;
}

/// Decides which namespaces are synced, and under which name.
pub trait Route: Plugin {
    /// An error is one sentence for the operator, and stops the sync.
    fn route(&self, namespace: &Namespace) -> Result<Decision, String>;
}
