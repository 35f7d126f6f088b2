//! Ways in which tools of this kind have lost or changed data, refused to go on,
//! or hung. Each is a test of its own, named after its number in the list of
//! scenarios, on real clusters and the real host, and ends with a comparison of
//! both clusters.
//!
//! Events before the copy of a document are produced without a race: the
//! host kills itself at a named point, the source is written to, and the host is
//! started again.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "small numbers, literals and JSON of the tests' own, and what they have measured"
)]

mod before_commit;
mod capped;
mod console;
mod copy_ddl;
mod copy_keys;
mod copy_states;
mod copy_stops;
mod cutover;
mod ddl;
mod ddl_in_copy;
mod faults;
mod findings_bounds;
mod findings_bytes;
mod findings_commands;
mod findings_ddl;
mod findings_ids;
mod findings_lease;
mod findings_operators;
mod findings_privacy;
mod findings_silence;
mod findings_specs;
mod findings_state;
mod findings_stops;
mod findings_time_series;
mod findings_writes;
mod flow_control;
mod hook_listener;
mod hooks;
mod ids;
mod indexes;
mod indexes_beside;
mod items;
mod late_renames;
mod lease;
mod odd_specs;
mod odd_updates;
mod operator_pages;
mod oversize;
mod plugins;
mod recopy_call;
mod rehearsal;
mod resume;
mod resync;
mod reverse;
mod server_features;
mod several_hosts;
mod sources;
mod state;
mod steps;
mod stored_functions;
mod time_series;
mod updates;
mod users;
mod users_before_commit;
mod verification;
mod views;
