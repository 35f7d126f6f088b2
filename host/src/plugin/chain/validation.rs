//! Validates the output of a guest for a batch, before any of it is used.

use crate::model::raw;

use super::super::abi::v1_0_0::transform::Outcome;
use super::super::batch::Batch;
use super::batch_output::{BatchOutput, Span, Verdict};

/// The largest document that a server stores.
const DOCUMENT_BYTES: usize = 16 << 20;

/// Invalid output of a guest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutputError {
    /// The position of the document at fault. `None` for a fault of the whole output.
    pub(super) index: Option<usize>,
    pub(super) reason: String,
}

impl OutputError {
    fn of(index: usize, reason: impl Into<String>) -> Self {
        Self {
            index: Some(index),
            reason: reason.into(),
        }
    }

    fn whole(reason: String) -> Self {
        Self {
            index: None,
            reason,
        }
    }
}

/// Validates the output for `batch`: a verdict for each document, and replacements that can be written.
pub(super) fn validate(batch: Batch<'_>, outcome: Outcome) -> Result<BatchOutput, OutputError> {
    let Outcome {
        verdicts,
        replacements,
    } = outcome;
    let count = batch.count;
    if !verdicts.is_empty() && verdicts.len() != count {
        return Err(OutputError::whole(format!(
            "it gave {} verdicts for {count} documents",
            verdicts.len()
        )));
    }
    let mut checked = Vec::with_capacity(verdicts.len());
    let mut start = 0;
    for (index, (document, verdict)) in batch.documents().zip(&verdicts).enumerate() {
        checked.push(match verdict {
            0 => Verdict::Keep,
            1 => Verdict::Drop,
            2 => {
                let rest = replacements.get(start..).unwrap_or_default();
                let length =
                    check(document, rest).map_err(|reason| OutputError::of(index, reason))?;
                let range = start..start + length;
                start = range.end;
                Verdict::Replaced(Span { buffer: 0, range })
            }
            other => {
                return Err(OutputError::of(
                    index,
                    format!("it gave the unknown verdict {other}"),
                ));
            }
        });
    }
    if start != replacements.len() {
        return Err(OutputError::whole(format!(
            "it gave {} bytes of replacements more than its verdicts ask for",
            replacements.len() - start
        )));
    }
    if checked
        .iter()
        .all(|verdict| matches!(verdict, Verdict::Keep))
    {
        return Ok(BatchOutput::kept(count));
    }
    Ok(BatchOutput::of(checked, replacements))
}

/// Validates the replacement of `document` at the start of `rest`, and returns its length.
fn check(document: &[u8], rest: &[u8]) -> Result<usize, String> {
    if rest.is_empty() {
        return Err("it gave no replacement".to_owned());
    }
    let stated = rest
        .first_chunk::<4>()
        .map(|length| i32::from_le_bytes(*length));
    if stated.is_some_and(|length| usize::try_from(length).is_ok_and(|l| l > DOCUMENT_BYTES)) {
        return Err("it gave a replacement of more than 16 MiB".to_owned());
    }
    let invalid = |_malformed| "it gave a replacement that is not BSON".to_owned();
    let length = raw::length_of(rest).map_err(invalid)?;
    let replacement = rest.get(..length).unwrap_or_default();
    raw::validate_layout(replacement).map_err(invalid)?;
    let id = |document| {
        let id = raw::find(document, "_id").map_err(invalid)?;
        Ok::<_, String>(id.map(|id| (id.kind, id.value)))
    };
    match (id(document)?, id(replacement)?) {
        (before, after) if before == after => Ok(length),
        (_, None) => Err("it gave a replacement without _id".to_owned()),
        _ => Err("it changed the _id".to_owned()),
    }
}
