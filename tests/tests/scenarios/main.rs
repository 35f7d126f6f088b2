//! Ways in which tools of this kind have lost or changed data, refused to go on,
//! or hung. Each is a test of its own, named after its number in the list of
//! scenarios, on real clusters and the real host, and ends with a comparison of
//! both clusters.
//!
//! Events that lie before the copy of a document are had without a race: the
//! host kills itself at a named point, the source is written to, and the host is
//! started again.

mod capped;
mod ddl;
mod faults;
mod ids;
mod indexes;
mod resume;
mod state;
mod steps;
mod updates;
mod views;
