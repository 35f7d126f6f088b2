//! Collection copy: every collection in scope, as raw documents, in partitions.
//!
//! A collection is read by its UUID, under whatever name it has by now, and
//! written under the name it had at the start time; the change stream, opened
//! at the start time, then repeats what has happened since. So it does not
//! matter at which moment a document was read, only that it was read at or
//! after the start time (`afterClusterTime`) and that every document that has
//! been there since the start time is read.
//!
//! Invariant: a partition's `lastId` is persisted after every document up to it
//! is durable. A killed copy goes on from there; what it had copied beyond is
//! copied again, and refused as duplicates, which is harmless.
//!
//! Inserts of the copy have no guard: transactions cost the destination a third more. What a late one can do
//! is to bring back a document that was deleted since. So a partition is persisted as begun before
//! its first insert, and is suspect where an insert may still be under way: one that was begun and not
//! done when work began, or that lost an answer. Suspect partitions are compared before commit (`compare`).

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

/// Copies everything that is not yet copied.
pub(super) async fn run(context: &Arc<Context>, start_time: ClusterTime) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    progress::show(context, &namespaces);
    copy_all(context, namespaces, start_time).await?;
    failpoint("copy_done");
    Ok(())
}
