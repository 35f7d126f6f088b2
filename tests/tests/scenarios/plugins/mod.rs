//! Plugins in a running sync: their effects on documents and names, and the limits of a bad plugin.

mod beside;
pub(crate) mod builds;
mod chain;
mod checks;
mod faults;
pub(crate) mod guests;
mod languages;
mod migration;
mod observations;
mod pins;
mod quarantine;
mod recopy;
mod registries;
mod remap;
mod shadows;
mod standby;
mod swaps;
mod uploads;
