//! tidegate copies a live MongoDB cluster into another and keeps the two in
//! step until cutover.
//!
//! One room a job. A room may use those to its right, never to its left:
//!
//! ```text
//! main -> {api, cli} -> session -> sync -> {metadata -> mongo, plugin} -> model
//! ```
//!
//! `plugin` does not know `metadata` and `mongo`: `sync` joins them.
//! `config` and `observe` use nothing of ours but `model`.
//! `tests/tests/house.rs` fails on an import that runs the other way.

pub mod api;
pub mod cli;
pub mod config;
pub mod metadata;
pub mod model;
pub mod mongo;
pub mod observe;
pub mod plugin;
pub mod session;
pub mod sync;
