//! The single place where documents meet plugins, shared by the copy and the stream, so that a
//! document gets the same answer in both.
//!
//! A chain computes without waiting, so the other tasks of its thread move to another thread
//! meanwhile.

use super::Error;
use crate::plugin::{BatchOutput, NamespaceChain};

/// Runs raw BSON documents through a collection's plugins.
pub(super) fn transform(chain: &NamespaceChain, documents: &[&[u8]]) -> Result<BatchOutput, Error> {
    let batch = documents.concat();
    let transformed = tokio::task::block_in_place(|| chain.transform(&batch))?;
    debug_assert_eq!(transformed.len(), documents.len());
    Ok(transformed)
}
