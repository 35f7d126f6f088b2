//! Collection copy: every collection in scope, as raw documents, in partitions.
//!
//! A collection is read by its UUID, under its current name, and written under the name it had at
//! the start time. The change stream, opened at the start time, repeats all changes since. So the
//! moment of a document's read does not matter, as long as it is at or after the start time
//! (`afterClusterTime`), and every document that has existed since the start time is read.
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

mod collection_reader;
mod comparison;
mod completion;
mod creation;
mod find;
mod insertion;
pub(super) mod invalidation;
mod partition;
mod plan;
mod pool;
mod progress;
mod worker;

use std::sync::Arc;

use super::{Context, Error};
use crate::{model::ClusterTime, observe::failpoint};
pub(super) use comparison::compare;
pub(super) use pool::{copy_all, copy_one};
pub(super) use progress::show_copied;

/// Copies all namespaces that are not copied yet.
pub(super) async fn run(context: &Arc<Context>, start_time: ClusterTime) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    progress::show(context, &namespaces);
    copy_all(context, namespaces, start_time).await?;
    failpoint("copy_done");
    Ok(())
}
