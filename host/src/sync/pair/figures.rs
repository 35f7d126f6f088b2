//! The figures of a verification.

use super::report::Certainty;

/// The figures of a verification.
#[derive(Clone, Debug, Default)]
pub struct PairProgress {
    /// Collections and views in scope, of either cluster; known at the end.
    pub namespaces: usize,
    /// Collections that both clusters have, and that were found so far.
    pub collections: usize,
    /// Those that are compared and settled.
    pub collections_done: usize,
    /// Documents of the source that were compared, with those of an earlier run.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of all collections.
    pub total_bytes: u64,
    /// Keys that are looked at again.
    pub pending: usize,
    /// Settled differences.
    pub mismatches: u64,
    /// Differences that kept changing.
    pub unsettled: u64,
    /// Documents that a plugin cannot handle.
    pub quarantined: u64,
    /// Whether the verification has ended at its bound of mismatches.
    pub is_cut_short: bool,
}

impl PairProgress {
    /// Adds a finding to its figure, or takes it back.
    pub(super) fn count(&mut self, certainty: Certainty, is_added: bool) {
        let figure = match certainty {
            Certainty::Settled => &mut self.mismatches,
            Certainty::Unsettled => &mut self.unsettled,
            Certainty::Quarantined => &mut self.quarantined,
        };
        *figure = match is_added {
            true => *figure + 1,
            false => figure.saturating_sub(1),
        };
    }
}
