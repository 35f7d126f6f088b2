//! Suites against real clusters: each file in `tests/` is one. What they stand
//! on is the crate `support`.
