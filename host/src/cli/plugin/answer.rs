//! The answer of a plugin for one document.

use anyhow::Result;
use bson::{RawDocument, RawDocumentBuf};

use crate::plugin::{FaultKind, NamespaceChain, Outcome};

use super::documents::joined;

/// The answer for a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Kept,
    Dropped,
    Replaced(Vec<u8>),
    /// The plugin cannot handle the document, which the contract allows.
    Refused(String),
    /// A violation of the contract.
    Broken(String),
}

impl Answer {
    pub(super) fn of(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Keep => Self::Kept,
            Outcome::Drop => Self::Dropped,
            Outcome::Replaced(document) => Self::Replaced(document.to_vec()),
            Outcome::Quarantined(fault) if fault.kind == FaultKind::Document => {
                Self::Refused(fault.reason.clone())
            }
            Outcome::Quarantined(fault) => Self::Broken(fault.reason.clone()),
        }
    }

    /// The document that a sync writes.
    pub(super) fn written<'a>(&'a self, document: &'a RawDocument) -> Option<&'a [u8]> {
        match self {
            Self::Kept => Some(document.as_bytes()),
            Self::Replaced(replacement) => Some(replacement),
            Self::Dropped | Self::Refused(_) | Self::Broken(_) => None,
        }
    }
}

/// Asks about all documents in one batch: an answer for each, in their order.
pub(super) fn ask(chain: &NamespaceChain, documents: &[RawDocumentBuf]) -> Result<Vec<Answer>> {
    let transformed = chain.transform(&joined(documents))?;
    Ok(transformed.outcomes().map(Answer::of).collect())
}
