//! Plugins in a running sync: what they do to documents and names, and what a
//! bad one cannot do.

pub(crate) mod builds;
mod chain;
mod checks;
mod faults;
pub(crate) mod guests;
mod languages;
mod migration;
mod pins;
mod quarantine;
mod recopy;
mod remap;
mod standby;
mod swaps;
mod uploads;
