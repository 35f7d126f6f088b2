//! Families of the verification, absent where documents are not verified.

use super::exposition::Exposition;
use super::family::{Counter, Family, Gauge, Unit};
use crate::model::progress::VerificationProgress;

const MISMATCHES: Family<Gauge, 0> = Family::new(
    "tidegate_verification_mismatches",
    Unit::One,
    "Documents that differ and are not repaired",
    [],
);

const REPAIRED: Family<Counter, 0> = Family::new(
    "tidegate_verification_repaired_documents",
    Unit::One,
    "Documents that differed and were written again from the source",
    [],
);

const FOREIGN: Family<Counter, 0> = Family::new(
    "tidegate_verification_foreign_writes",
    Unit::One,
    "Documents that other clients have written on the destination; absent where the user may not read its oplog",
    [],
);

const LAG: Family<Gauge, 0> = Family::new(
    "tidegate_verification_lag_seconds",
    Unit::Seconds,
    "Newest source cluster time minus the time of the last comparison; absent when not known",
    [],
);

const VERIFIED_TO: Family<Gauge, 0> = Family::new(
    "tidegate_verified_to_timestamp_seconds",
    Unit::Seconds,
    "Source cluster time up to which every document is proven equal; absent before, and with mismatches",
    [],
);

const VERIFIED: Family<Gauge, 0> = Family::new(
    "tidegate_verified_documents",
    Unit::One,
    "Documents that were compared and found equal",
    [],
);

const ESTIMATE: Family<Gauge, 0> = Family::new(
    "tidegate_verification_estimated_documents",
    Unit::One,
    "Documents to compare, as estimated",
    [],
);

const VERIFIED_COLLECTIONS: Family<Gauge, 0> = Family::new(
    "tidegate_verified_collections",
    Unit::One,
    "Collections of which every document was compared",
    [],
);

const COLLECTIONS: Family<Gauge, 0> = Family::new(
    "tidegate_verification_collections",
    Unit::One,
    "Collections to compare",
    [],
);

const FAILING: Family<Gauge, 0> = Family::new(
    "tidegate_verification_failing",
    Unit::One,
    "1 while the last comparison has failed, and is tried again",
    [],
);

/// Adds the numbers of the verification.
pub(super) fn expose(progress: Option<&VerificationProgress>, exposition: &mut Exposition) {
    let Some(progress) = progress else { return };
    let sees_others = progress.sees_foreign_writes == Some(true);
    let foreign = sees_others.then_some(progress.written_by_others);
    let verified_to = progress.verified_to.map(|time| time.seconds);
    let estimate = progress.estimated_documents.max(progress.documents);
    exposition.add(&MISMATCHES, [], progress.mismatches);
    exposition.add(&REPAIRED, [], progress.repaired);
    exposition.add_if_known(&FOREIGN, foreign);
    exposition.add_if_known(&LAG, progress.lag_seconds);
    exposition.add_if_known(&VERIFIED_TO, verified_to);
    exposition.add(&VERIFIED, [], progress.documents);
    exposition.add(&ESTIMATE, [], estimate);
    exposition.add(&VERIFIED_COLLECTIONS, [], progress.collections_verified);
    exposition.add(&COLLECTIONS, [], progress.collections);
    exposition.add(&FAILING, [], progress.failure.is_some());
}
