//! Checks the scope `delta`: the plugin decides each field independently, and drops no document. For each field, a
//! document of `_id` and that field alone has to give the same field as the whole document. Bytes are compared, so that
//! a NaN equals itself.

use anyhow::Result;
use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf};

use crate::model::raw;
use crate::plugin::NamespaceChain;

use super::super::answer::{Answer, ask};
use super::super::document_text::id_of;
use super::report::Report;

const CHECK: &str = "scope";

pub(super) fn check(
    chain: &NamespaceChain,
    documents: &[RawDocumentBuf],
    answers: &[Answer],
    report: &mut Report,
) -> Result<()> {
    let mut replaced = 0;
    for (document, answer) in documents.iter().zip(answers) {
        let whole = match answer {
            Answer::Kept => document.as_bytes(),
            Answer::Replaced(bytes) => {
                replaced += 1;
                bytes.as_slice()
            }
            Answer::Dropped => {
                let id = id_of(document);
                report.failed(
                    CHECK,
                    format!("its scope is delta, but it drops a document: _id {id}"),
                );
                return Ok(());
            }
            Answer::Refused(_) | Answer::Broken(_) => continue,
        };
        if let Some(field) = first_dependent_field(chain, document, whole)? {
            let id = id_of(document);
            report.failed(
                CHECK,
                format!(
                    "its scope is delta, but the field {field:?} depends on the others: _id {id}"
                ),
            );
            return Ok(());
        }
    }
    if replaced == 0 {
        report.skipped(
            CHECK,
            "delta: not tested, because no document was replaced; give documents that it changes with --in",
        );
    } else {
        report.ok(CHECK, "delta: each field the same without the others");
    }
    Ok(())
}

fn first_dependent_field(
    chain: &NamespaceChain,
    document: &RawDocument,
    whole: &[u8],
) -> Result<Option<String>> {
    let id = document.get("_id")?;
    for element in document {
        let (name, value) = element?;
        if name == cstr!("_id") {
            continue;
        }
        let mut part = RawDocumentBuf::new();
        if let Some(id) = id {
            part.append(cstr!("_id"), id);
        }
        part.append(name, value);
        let answer = ask(chain, std::slice::from_ref(&part))?.pop();
        let alone = match &answer {
            Some(Answer::Kept) => part.as_bytes(),
            Some(Answer::Replaced(bytes)) => bytes,
            _ => return Ok(Some(name.to_string())),
        };
        if !is_within(alone, whole)? || has(alone, name.as_str())? != has(whole, name.as_str())? {
            return Ok(Some(name.to_string()));
        }
    }
    Ok(None)
}

/// Whether a document contains every field of another, with equal bytes.
fn is_within(alone: &[u8], whole: &[u8]) -> Result<bool> {
    for element in raw::elements(alone)? {
        let element = element?;
        let Ok(name) = std::str::from_utf8(element.name) else {
            return Ok(false);
        };
        match raw::find(whole, name)? {
            Some(found) if found.raw == element.raw => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn has(document: &[u8], name: &str) -> Result<bool> {
    Ok(raw::find(document, name)?.is_some())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    /// Finding 47: a kept NaN was reported as a difference.
    #[test]
    fn f47_bytes_are_compared() -> Result<()> {
        let nan = rawdoc! { "_id": 1, "a": f64::NAN };
        let other = rawdoc! { "_id": 1, "a": f64::from_bits(f64::NAN.to_bits() + 1) };
        let more = rawdoc! { "_id": 1, "a": f64::NAN, "b": 1 };
        assert!(is_within(nan.as_bytes(), nan.as_bytes())?);
        assert!(is_within(nan.as_bytes(), more.as_bytes())?);
        assert!(!is_within(more.as_bytes(), nan.as_bytes())?);
        assert!(!is_within(nan.as_bytes(), other.as_bytes())?);
        let (int, long) = (rawdoc! { "a": 1 }, rawdoc! { "a": 1_i64 });
        assert!(!is_within(int.as_bytes(), long.as_bytes())?);
        Ok(())
    }
}
