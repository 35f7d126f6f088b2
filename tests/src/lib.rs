//! Suites against real clusters: each file in `tests/` is a suite. The harness is the crate `support`.
