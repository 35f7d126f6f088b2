//! Families of shadows, counted since each began.

use super::exposition::Exposition;
use super::family::{Counter, Family, Number, Summary, Unit};
use crate::model::shadow::ShadowProgress;

const DOCUMENTS: Family<Counter, 4> = Family::new(
    "tidegate_shadow_documents",
    Unit::One,
    "Documents by the comparison of the shadow's answer: equal, different, skipped because it was behind, failed",
    ["slot", "plugin", "digest", "outcome"],
);

const BATCH: Family<Summary, 3> = Family::new(
    "tidegate_shadow_batch_seconds",
    Unit::Seconds,
    "Duration of the shadow's calls, each for a batch of documents: quantiles",
    ["slot", "plugin", "digest"],
);

/// Adds the numbers of the shadows.
pub(super) fn expose(shadows: &[ShadowProgress], exposition: &mut Exposition) {
    for shadow in shadows {
        let labels: [&str; 3] = [&shadow.slot, &shadow.name, &shadow.digest];
        for (outcome, documents) in [
            ("equal", shadow.documents.saturating_sub(shadow.different)),
            ("different", shadow.different),
            ("skipped", shadow.skipped),
            ("failed", shadow.failed),
        ] {
            let [slot, name, digest] = labels;
            exposition.add(&DOCUMENTS, [slot, name, digest, outcome], documents);
        }
        let quantiles = vec![
            ("0.5", Number::seconds_of_us(shadow.p50_us)),
            ("0.99", Number::seconds_of_us(shadow.p99_us)),
        ];
        exposition.add(&BATCH, labels, quantiles);
    }
}
