//! Splits a batch of the host into documents and builds its outcome. No allocation per document: verdicts are
//! recorded from the first that is not `Keep` on, so that a batch of kept documents has an empty outcome.

use raw_bson::sequence;

use crate::bindings::transform::exports::tidegate::plugin::transform as wit;
use crate::{DocumentFailure, Namespace, Transform, Verdict};

/// Encoding of verdicts in `transform.wit`.
const KEEP: u8 = 0;
const DROP: u8 = 1;
const REPLACE: u8 = 2;

/// Runs a plugin over a batch.
///
/// # Errors
///
/// The plugin's own failure with the index of the document, or a fatal error for a batch that is not BSON.
pub fn transform_batch<P: Transform>(
    plugin: &P,
    namespace: wit::Namespace,
    documents: &[u8],
) -> Result<wit::Outcome, wit::Error> {
    let namespace = Namespace {
        database: namespace.database,
        collection: namespace.collection,
    };
    let mut answers = BatchOutcome::default();
    let mut batch = sequence(documents);
    while let Some(document) = batch.next() {
        let document = document.map_err(|_malformed| answers.not_bson())?;
        let before = answers.replacements.len();
        match plugin.transform(&namespace, document, &mut answers.replacements) {
            Ok(verdict) => answers.add(verdict, before, batch.rest().len()),
            Err(failure) => return Err(answers.failed(failure)),
        }
    }
    Ok(wit::Outcome {
        verdicts: answers.verdicts,
        replacements: answers.replacements,
    })
}

/// The outcome so far.
#[derive(Default)]
struct BatchOutcome {
    decided: usize,
    /// Empty, or a verdict for each document so far.
    verdicts: Vec<u8>,
    replacements: Vec<u8>,
}

impl BatchOutcome {
    /// Adds a verdict. `before` is the start of its replacement, `ahead` the bytes of the remaining documents.
    #[inline]
    fn add(&mut self, verdict: Verdict, before: usize, ahead: usize) {
        let verdict = match verdict {
            Verdict::Keep => KEEP,
            Verdict::Drop => DROP,
            Verdict::Replace => REPLACE,
        };
        if verdict != REPLACE {
            self.replacements.truncate(before);
        } else if before == 0 {
            // Replacements are usually about as long as their documents.
            self.replacements.reserve(ahead);
        }
        if verdict != KEEP && self.verdicts.is_empty() {
            self.verdicts.resize(self.decided, KEEP);
            self.verdicts.push(verdict);
        } else if !self.verdicts.is_empty() {
            self.verdicts.push(verdict);
        }
        self.decided += 1;
    }

    fn failed(&self, failure: DocumentFailure) -> wit::Error {
        match failure {
            DocumentFailure::Document(reason) => wit::Error::Document(wit::DocumentError {
                index: u32::try_from(self.decided).unwrap_or(u32::MAX),
                reason,
            }),
            DocumentFailure::Fatal(reason) => wit::Error::Fatal(reason),
        }
    }

    fn not_bson(&self) -> wit::Error {
        wit::Error::Fatal(format!(
            "the batch is not raw BSON behind document {}",
            self.decided
        ))
    }
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

    fn run_over(batch: &[u8]) -> Result<wit::Outcome, wit::Error> {
        let namespace = wit::Namespace {
            database: "d".to_owned(),
            collection: "c".to_owned(),
        };
        transform_batch(&ByLength, namespace, batch)
    }

    fn run(lengths: &[u8]) -> Result<wit::Outcome, wit::Error> {
        let mut batch = Vec::new();
        for length in lengths {
            batch.extend_from_slice(&[*length, 0, 0, 0]);
            batch.resize(batch.len() + usize::from(*length) - 4, 0);
        }
        run_over(&batch)
    }

    #[test]
    fn verdicts_stand_in_document_order_and_only_replacements_are_written() {
        for (lengths, verdicts, replacements) in [
            (&[7, 5, 6, 7][..], &[2, 0, 1, 2][..], &b"newnew"[..]),
            (&[5, 5, 6, 5], &[0, 0, 1, 0], b""),
            (&[5, 7], &[0, 2], b"new"),
            (&[6], &[1], b""),
        ] {
            let outcome = run(lengths).expect("no failure");
            assert_eq!(outcome.verdicts, verdicts);
            assert_eq!(outcome.replacements, replacements);
        }
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
        for batch in [&[9, 0, 0, 0, 0][..], &[4, 0, 0, 0], &[0xff; 8], &[1]] {
            let answer = run_over(batch);
            assert!(matches!(answer, Err(wit::Error::Fatal(_))), "{batch:?}");
        }
    }
}
