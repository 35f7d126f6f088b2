//! Where documents meet plugins: the collection copy and the change event
//! application both go through here, so that a document gets the same answer in
//! either.
//!
//! A chain computes without waiting: the other tasks of its thread are handed
//! to another one meanwhile.

use super::Error;
use crate::plugin::{NamespaceChain, Transformed};

/// Runs `documents`, concatenated raw BSON, through a collection's plugins.
pub(super) fn transform(chain: &NamespaceChain, documents: &[&[u8]]) -> Result<Transformed, Error> {
    let batch = documents.concat();
    let transformed = tokio::task::block_in_place(|| chain.transform(&batch))?;
    debug_assert_eq!(transformed.len(), documents.len());
    Ok(transformed)
}
