//! Plugins in a running sync: what they do to documents and names, and what a
//! bad one cannot do.

mod chain;
mod faults;
mod guests;
mod languages;
mod quarantine;
mod remap;
mod uploads;
