//! The verification in the answer of `GET /progress`, under mongosync's names, and ours beside them.

use serde::Serialize;
use utoipa::ToSchema;

use super::position::Time;
use crate::model::progress::VerificationProgress;

/// The comparison of both clusters.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VerificationProgress)]
pub(in crate::api) struct Verification {
    source: VerifiedSide,
    destination: VerifiedSide,
    /// Cluster time of the source up to which every document is proven equal. Null before that, and while documents
    /// differ.
    verified_to: Option<Time>,
    /// Documents that differ, see `GET /verification/mismatches`.
    mismatches: u64,
    /// Documents that differed, and were written again from the source.
    repaired: u64,
    /// Documents that other clients have written on the destination. Null where the user may not read its oplog.
    written_by_others: Option<u64>,
    /// Why the last comparison has failed. It is tried again.
    failure: Option<String>,
}

/// A cluster in the verification. Both are compared together, so the figures are equal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VerifiedCluster)]
struct VerifiedSide {
    /// "not started", "initial hashing", or "stream hashing" once every document was compared.
    phase: &'static str,
    estimated_document_count: u64,
    hashed_document_count: u64,
    total_collection_count: u64,
    scanned_collection_count: u64,
    /// Seconds between the source's newest cluster time and the last comparison.
    lag_time_seconds: Option<u32>,
}

impl From<VerificationProgress> for Verification {
    fn from(progress: VerificationProgress) -> Self {
        let sees_others = progress.sees_foreign_writes == Some(true);
        Self {
            source: VerifiedSide::new(&progress),
            destination: VerifiedSide::new(&progress),
            verified_to: progress.verified_to.map(Time::from),
            mismatches: progress.mismatches,
            repaired: progress.repaired,
            written_by_others: sees_others.then_some(progress.written_by_others),
            failure: progress.failure,
        }
    }
}

impl VerifiedSide {
    fn new(progress: &VerificationProgress) -> Self {
        let is_whole = progress.collections_verified == progress.collections;
        Self {
            phase: match progress.boundary {
                None => "not started",
                Some(_) if is_whole => "stream hashing",
                Some(_) => "initial hashing",
            },
            estimated_document_count: progress.estimated_documents.max(progress.documents),
            hashed_document_count: progress.documents,
            total_collection_count: progress.collections,
            scanned_collection_count: progress.collections_verified,
            lag_time_seconds: progress.lag_seconds,
        }
    }
}
