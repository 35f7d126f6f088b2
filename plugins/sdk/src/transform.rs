//! A batch, as the host hands it over, taken apart into documents and the
//! answers put together again. A batch of which all is kept answers with nothing.

use crate::bindings::transform::exports::tidegate::plugin::transform as wit;
use crate::{Namespace, Transform};

/// What becomes of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written as it came.
    Keep,
    /// Not on the destination.
    Drop,
    /// The appended document is written in its place.
    Replace,
}

/// Why a document has no verdict. Each holds one sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentFailure {
    /// This document is at fault; others may be fine.
    Document(String),
    /// The plugin cannot go on, whatever the document.
    Fatal(String),
}

impl Verdict {
    fn byte(self) -> u8 {
        match self {
            Self::Keep => 0,
            Self::Drop => 1,
            Self::Replace => 2,
        }
    }
}

/// Runs a plugin over one batch.
pub fn transform_batch<P: Transform>(
    plugin: &P,
    namespace: wit::Namespace,
    documents: &[u8],
) -> Result<wit::Outcome, wit::Error> {
    let namespace = Namespace {
        database: namespace.database,
        collection: namespace.collection,
    };
    let mut answers = wit::Outcome {
        verdicts: Vec::new(),
        replacements: Vec::new(),
    };
    let mut rest = documents;
    let mut index = 0;
    while !rest.is_empty() {
        let (document, behind) = split_document(rest).ok_or_else(|| {
            wit::Error::Fatal(format!("the batch is not raw BSON behind document {index}"))
        })?;
        decide(plugin, &namespace, document, index, &mut answers)?;
        rest = behind;
        index += 1;
    }
    if answers
        .verdicts
        .iter()
        .all(|verdict| *verdict == Verdict::Keep.byte())
    {
        answers.verdicts.clear();
    }
    Ok(answers)
}

fn decide<P: Transform>(
    plugin: &P,
    namespace: &Namespace,
    document: &[u8],
    index: u32,
    answers: &mut wit::Outcome,
) -> Result<(), wit::Error> {
    let before = answers.replacements.len();
    let verdict = plugin
        .transform(namespace, document, &mut answers.replacements)
        .map_err(|failure| match failure {
            DocumentFailure::Document(reason) => {
                wit::Error::Document(wit::DocumentError { index, reason })
            }
            DocumentFailure::Fatal(reason) => wit::Error::Fatal(reason),
        })?;
    if verdict != Verdict::Replace {
        answers.replacements.truncate(before);
    }
    answers.verdicts.push(verdict.byte());
    Ok(())
}

/// The first document of a batch, and what stands behind it.
fn split_document(batch: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = i32::from_le_bytes(*batch.first_chunk()?);
    batch.split_at_checked(usize::try_from(length).ok().filter(|length| *length >= 5)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigError, Description, Plugin, Scope};

    /// Decides by the length of a document: 5 keep, 6 drop, 7 replace, 8 refuse.
    struct ByLength;

    impl Plugin for ByLength {
        type Config = ();
        const DESCRIPTION: Description = Description {
            name: "by-length",
            version: "1.0.0",
            semantics: 1,
            scope: Scope::Document,
            config_schema: "{}",
        };
        fn configure((): ()) -> Result<Self, ConfigError> {
            Ok(Self)
        }
    }

    impl Transform for ByLength {
        fn transform(
            &self,
            _namespace: &Namespace,
            document: &[u8],
            replacement: &mut Vec<u8>,
        ) -> Result<Verdict, DocumentFailure> {
            replacement.extend_from_slice(b"new");
            match document.len() {
                5 => Ok(Verdict::Keep),
                6 => Ok(Verdict::Drop),
                7 => Ok(Verdict::Replace),
                _ => Err(DocumentFailure::Document("too long".to_owned())),
            }
        }
    }

    fn run(lengths: &[u8]) -> Result<wit::Outcome, wit::Error> {
        let mut batch = Vec::new();
        for length in lengths {
            batch.extend_from_slice(&[*length, 0, 0, 0]);
            batch.resize(batch.len() + usize::from(*length) - 4, 0);
        }
        let namespace = wit::Namespace {
            database: "d".to_owned(),
            collection: "c".to_owned(),
        };
        transform_batch(&ByLength, namespace, &batch)
    }

    #[test]
    fn verdicts_stand_in_document_order_and_only_replacements_are_written() {
        let outcome = run(&[7, 5, 6, 7]).expect("no failure");
        assert_eq!(outcome.verdicts, [2, 0, 1, 2]);
        assert_eq!(outcome.replacements, b"newnew");
    }

    #[test]
    fn keeping_all_answers_with_nothing() {
        let outcome = run(&[5, 5]).expect("no failure");
        assert!(outcome.verdicts.is_empty() && outcome.replacements.is_empty());
    }

    #[test]
    fn a_failure_names_its_document() {
        let Err(wit::Error::Document(error)) = run(&[5, 8]) else {
            panic!("document error")
        };
        assert_eq!((error.index, error.reason.as_str()), (1, "too long"));
    }

    #[test]
    fn a_batch_that_is_no_bson_is_fatal() {
        let namespace = wit::Namespace {
            database: "d".to_owned(),
            collection: "c".to_owned(),
        };
        for batch in [&[9, 0, 0, 0, 0][..], &[4, 0, 0, 0], &[0xff; 8], &[1]] {
            let answer = transform_batch(&ByLength, namespace.clone(), batch);
            assert!(matches!(answer, Err(wit::Error::Fatal(_))), "{batch:?}");
        }
    }
}
