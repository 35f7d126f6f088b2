//! The comparison of two clusters that any tool has synced, for `tidegate verify`. It reads both clusters and writes to
//! none.
//!
//! Each collection is compared in ranges of `_id`, both sides at a snapshot of their own. Since nothing ties the two
//! times together, a difference proves nothing by itself: its key is looked at until both sides agree, or until neither
//! has changed for the time to settle. So on clusters that nothing writes to, the result is exact. On live clusters each
//! document was equal at one moment of the verification, or its difference outlasted the time to settle.

mod catalogs;
mod clusters;
mod collection;
mod figures;
mod forms;
mod ledger;
mod lookup;
mod natural_order;
mod plan;
mod range;
mod report;
mod settling;
mod state;
mod watch;
mod workers;

use std::sync::Arc;

pub use clusters::{ClusterPair, PairOptions};
pub use figures::PairProgress;
pub use ledger::{Checkpoint, Ledger};
pub use report::{Certainty, ReportEntry};
pub use state::PairState;

use super::Error;
use crate::model::mismatch::{Mismatch, MismatchKind, MismatchSubject};

/// Rounds over collections that are created or renamed during the verification.
const ROUNDS: usize = 10;

/// Compares two clusters, and notes the results in `ledger`.
///
/// Not cancel safe: a dropped verification has not looked at all keys. The ledger's checkpoints stay valid, and a later
/// run goes on from them.
///
/// # Errors
/// A cluster that fails for the time of an outage, refuses a read, or has collections that no sync supports; a plugin
/// that fails.
pub async fn verify(pair: Arc<ClusterPair>, ledger: Arc<Ledger>) -> Result<(), Error> {
    let mut namespaces = catalogs::read(&pair).await?;
    for _ in 0..ROUNDS {
        let partitions = plan::plan(&pair, &ledger, &namespaces).await?;
        workers::compare(&pair, &ledger, partitions).await?;
        if ledger.is_cut_short() {
            return Ok(());
        }
        let (read, mut findings) = forms::compare(&pair).await?;
        findings.extend(natural_order::compare(&pair, &ledger, &read).await?);
        let left: Vec<ReportEntry> = read
            .iter()
            .filter_map(|it| unplanned(it, &ledger))
            .collect();
        let is_complete = left.is_empty();
        findings.extend(left);
        ledger.set_catalog(findings, read.len());
        if is_complete {
            return Ok(());
        }
        namespaces = read;
    }
    Ok(())
}

/// A collection that was created during the verification and is not compared.
fn unplanned(namespace: &catalogs::NamespacePair, ledger: &Ledger) -> Option<ReportEntry> {
    let (source, destination) = namespace.uuids()?;
    let id = collection::CollectionPair::id(source, destination);
    let mismatch = Mismatch {
        source: namespace.source.shown(),
        destination: namespace.destination.shown(),
        subject: MismatchSubject::Collection,
        kind: MismatchKind::Differs,
        path: None,
    };
    (!ledger.is_planned(&id)).then(|| ReportEntry::new(mismatch, Certainty::Unsettled))
}
