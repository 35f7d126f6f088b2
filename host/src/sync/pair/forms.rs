//! The comparison of collections, views, options and indexes. Catalogs have no snapshot, so they are read until their
//! differences stay.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    catalogs::{self, NamespacePair},
    clusters::ClusterPair,
    report::{Certainty, ReportEntry},
};
use crate::{model::mismatch::Mismatch, sync::Error};

/// The pause between two readings of both catalogs.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads both catalogs until each difference has stayed for the time to settle, and returns the last reading. A
/// difference that is younger when the patience is over is unsettled.
pub(super) async fn compare(
    pair: &ClusterPair,
) -> Result<(Vec<NamespacePair>, Vec<ReportEntry>), Error> {
    let begun = Instant::now();
    let mut differences: BTreeMap<String, (Mismatch, Instant)> = BTreeMap::new();
    loop {
        let namespaces = catalogs::read(pair).await?;
        let now = Instant::now();
        let mut found = BTreeMap::new();
        for namespace in &namespaces {
            for mismatch in namespace.mismatches(pair)? {
                let key = mismatch.to_string();
                let since = differences
                    .get(&key)
                    .filter(|(before, _)| *before == mismatch);
                let since = since.map_or(now, |(_, since)| *since);
                found.insert(key, (mismatch, since));
            }
        }
        differences = found;
        let is_settled = |since: Instant| now.duration_since(since) >= pair.options.settle;
        let all_settled = differences.values().all(|(_, since)| is_settled(*since));
        if all_settled || begun.elapsed() >= pair.options.settle + pair.options.patience {
            let findings = differences.into_values().map(|(mismatch, since)| {
                let certainty = match is_settled(since) {
                    true => Certainty::Settled,
                    false => Certainty::Unsettled,
                };
                ReportEntry::new(mismatch, certainty)
            });
            return Ok((namespaces, findings.collect()));
        }
        sleep(PAUSE.min(pair.options.settle)).await;
    }
}
