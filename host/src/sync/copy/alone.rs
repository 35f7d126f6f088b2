//! The copy of one collection before commit, while no event loop runs.

use std::sync::Arc;

use super::{
    Context, Error, plan,
    worker::{PartitionCopier, PartitionEnd},
};
use crate::{
    metadata::{CopyState, NamespaceDocument},
    model::ClusterTime,
};

/// Copies a pending collection. Reads see every write up to `after`.
pub(in crate::sync) async fn copy_alone(
    context: &Arc<Context>,
    namespace: NamespaceDocument,
    after: ClusterTime,
) -> Result<(), Error> {
    let (collections, mut partitions) = plan::planned(context, vec![namespace]).await?;
    for (mut namespace, size) in collections {
        let mut done = Vec::new();
        for partition in partitions.remove(&namespace.id).unwrap_or_default() {
            context.check_cancelled()?;
            let copier = PartitionCopier {
                context,
                chain: context.chain.of(&namespace.source)?,
                namespace: namespace.clone(),
                average_bytes: size.average(),
                after,
                stay: None,
            };
            match copier.run(partition).await? {
                PartitionEnd::Done(partition) => done.push(partition),
                PartitionEnd::Left(_) => return Err(Error::Cancelled),
            }
        }
        namespace.copy_state = CopyState::Copied;
        namespace.documents = done.iter().map(|partition| partition.documents).sum();
        namespace.bytes = done.iter().map(|partition| partition.bytes).sum();
        context.store.put_done(&done, &[namespace]).await?;
    }
    Ok(())
}
