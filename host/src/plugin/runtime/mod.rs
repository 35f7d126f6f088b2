//! Compiled components and their configured instances.

mod component;
mod pool;
mod schema;

pub(super) use component::{Component, Instance, admit};
pub(super) use pool::Pool;
