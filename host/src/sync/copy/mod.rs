//! Collection copy: every collection in scope, as raw documents, in partitions, while the change
//! stream is applied.
//!
//! A collection is read by its UUID, under its current name, and written under the name that the
//! applied events have given it. A partition is read at or after the time of the newest decided
//! event, and events of its documents wait until it is done (`sync::partitions`).
//!
//! Invariant: a partition's `lastId` is persisted after every document up to it is durable. A
//! killed copy goes on from there. Documents that it had copied beyond are copied again and refused
//! as duplicates, which is harmless.
//!
//! Inserts of the copy have no guard: transactions would cost the destination a third more. A late
//! insert can only bring back a document that was deleted since. So a partition is persisted as
//! begun before its first insert. It is suspect while an insert may still arrive: it was begun and
//! not done when work began, or an answer was lost. Suspect partitions are compared before commit
//! (`comparison`).
//!
//! A partition whose documents the destination has already is compared, and only differences are
//! written (`range_comparison`).

mod alone;
mod collection_reader;
mod comparison;
mod creation;
mod find;
mod insertion;
pub(super) mod invalidation;
mod partition;
mod plan;
mod pool;
mod progress;
mod range_comparison;
mod report;
mod split;
mod worker;

use super::{Context, Error};
pub(super) use collection_reader::{CollectionDigest, CollectionReader};
pub(super) use comparison::compare;
pub(super) use find::append_bounds;
pub(super) use partition::{MAX_PARTITIONS, PARTITION_BYTES, sampled_bounds};
pub(super) use plan::go_on;
pub(super) use pool::CopyPool;
pub(super) use progress::{show, show_counts};
pub(super) use report::CopyReport;
