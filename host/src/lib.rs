//! tidegate copies a live MongoDB cluster into another and keeps both equal until cutover.
//!
//! Each room has a single task. A room uses only the rooms to its right:
//!
//! ```text
//! main -> {api, cli} -> session -> sync -> {metadata -> mongo, plugin} -> model
//! ```
//!
//! `distribution` uses `plugin` and `model`, and is used by `cli` and `session`. `plugin` does not use `metadata` or `mongo`: `sync` joins them. `config` and `observe` use only `model`, and are used
//! by all other rooms. `tests/tests/house` fails on imports in the other direction.

#![warn(missing_docs)]

pub mod api;
pub mod cli;
pub mod config;
pub mod distribution;
pub mod metadata;
pub mod model;
pub mod mongo;
pub mod observe;
pub mod plugin;
pub mod session;
pub mod sync;
