//! The trait of a migration step for tidegate's metadata, and its execution over a batch.

use raw_bson::sequence;

use crate::bindings::migrate::exports::tidegate::plugin::migrate as wit;
use crate::{DocumentFailure, Plugin};

pub use wit::Direction;

/// Migrates documents from a metadata version to the next, and optionally back.
///
/// ```
/// use tidegate_plugin_sdk::bson::{DocumentWriter, kind};
/// use tidegate_plugin_sdk::{
///     ConfigError, Context, Description, Direction, DocumentFailure, Migrate, Plugin, Scope, Step,
///     Output,
/// };
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {}
///
/// /// Version 2 counts the retries of a partition.
/// struct CountRetries;
///
/// impl Plugin for CountRetries {
///     type Config = Config;
///
///     const DESCRIPTION: Description = Description {
///         name: "metadata-v1-to-v2",
///         version: "1.0.0",
///         semantics: 1,
///         scope: Scope::Delta,
///         config_schema: r#"{"type": "object", "additionalProperties": false}"#,
///     };
///
///     fn configure(_config: Config) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
///
/// impl Migrate for CountRetries {
///     const STEP: Step = Step { from: 1, reversible: false, collections: &["partitions"] };
///
///     fn migrate(
///         &self,
///         context: &Context<'_>,
///         document: &[u8],
///         output: &mut Output,
///     ) -> Result<(), DocumentFailure> {
///         let mut writer = DocumentWriter::append_to(output.collection(context.collection));
///         writer.splice(document);
///         writer.value(kind::INT32, b"retries", &0_i32.to_le_bytes());
///         writer.finish();
///         Ok(())
///     }
/// }
///
/// tidegate_plugin_sdk::export!(CountRetries: migrate);
///
/// let context = Context { direction: Direction::Forward, session: &[], collection: "partitions" };
/// let mut output = Output::default();
/// CountRetries.migrate(&context, &[5, 0, 0, 0, 0], &mut output)?;
/// assert_eq!(output.collection("partitions").len(), 18);
/// # Ok::<(), DocumentFailure>(())
/// ```
pub trait Migrate: Plugin {
    /// The answer to `which-step`.
    const STEP: Step;

    /// Writes the replacement of a document: none, one or several documents, of any metadata collection.
    ///
    /// # Errors
    ///
    /// A [`DocumentFailure`] of either kind aborts the step.
    fn migrate(
        &self,
        context: &Context<'_>,
        document: &[u8],
        output: &mut Output,
    ) -> Result<(), DocumentFailure>;
}

/// The description of a step; the fields are those of `step` in `migrate.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The metadata version before the step. The step leads to the next version.
    pub from: u32,
    /// Whether [`Direction::Back`] is supported.
    pub reversible: bool,
    /// The collections whose documents the step needs.
    pub collections: &'static [&'static str],
}

/// The context of a document.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Forward to the next version, or back.
    pub direction: Direction,
    /// The session document before the step, as raw BSON.
    pub session: &'a [u8],
    /// The collection that the document comes from.
    pub collection: &'a str,
}

/// The documents written by a step, by collection.
#[derive(Debug, Default)]
pub struct Output(Vec<wit::Documents>);

impl Output {
    /// The concatenated documents of a collection so far; append to them.
    pub fn collection(&mut self, name: &str) -> &mut Vec<u8> {
        let known = self.0.iter().position(|one| one.collection == name);
        let at = known.unwrap_or_else(|| {
            self.0.push(wit::Documents {
                collection: name.to_owned(),
                bson: Vec::new(),
            });
            self.0.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or just pushed")]
        &mut self.0[at].bson
    }
}

/// The description of a plugin's step.
pub fn step_of<P: Migrate>() -> wit::Step {
    let step = P::STEP;
    wit::Step {
        from: step.from,
        reversible: step.reversible,
        collections: step
            .collections
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
    }
}

/// Runs a step over a batch.
///
/// # Errors
///
/// The index and fault of a document, or the reason why the step is refused.
pub fn migrate_batch<P: Migrate>(
    plugin: &P,
    direction: Direction,
    session: &[u8],
    batch: &wit::Documents,
) -> Result<Vec<wit::Documents>, wit::Error> {
    let context = Context {
        direction,
        session,
        collection: &batch.collection,
    };
    let mut output = Output::default();
    for (index, document) in (0..).zip(sequence(&batch.bson)) {
        document
            .map_err(DocumentFailure::from)
            .and_then(|document| plugin.migrate(&context, document, &mut output))
            .map_err(|failure| match failure {
                DocumentFailure::Document(reason) => {
                    wit::Error::Document(wit::DocumentError { index, reason })
                }
                DocumentFailure::Fatal(reason) => wit::Error::Refused(reason),
            })?;
    }
    Ok(output.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigError, Description, Scope};

    /// Decides by the length of a document: 5 writes to two collections, 6 drops, 7 and 8 fail.
    struct ByLength;

    impl Plugin for ByLength {
        type Config = ();
        const DESCRIPTION: Description = Description {
            name: "by-length",
            version: "1.0.0",
            semantics: 1,
            scope: Scope::Delta,
            config_schema: "{}",
        };
        fn configure((): ()) -> Result<Self, ConfigError> {
            Ok(Self)
        }
    }

    impl Migrate for ByLength {
        const STEP: Step = Step {
            from: 7,
            reversible: false,
            collections: &["position", "session"],
        };
        fn migrate(
            &self,
            context: &Context<'_>,
            document: &[u8],
            output: &mut Output,
        ) -> Result<(), DocumentFailure> {
            match document.len() {
                5 => {
                    for name in [context.collection, "copies"] {
                        output.collection(name).extend_from_slice(document);
                    }
                    Ok(())
                }
                6 => Ok(()),
                7 => Err(DocumentFailure::Document("too long".to_owned())),
                _ => Err(DocumentFailure::Fatal("no".to_owned())),
            }
        }
    }

    fn run(lengths: &[u8]) -> Result<Vec<(String, Vec<u8>)>, wit::Error> {
        let mut bson = Vec::new();
        for length in lengths {
            bson.extend_from_slice(&[*length, 0, 0, 0]);
            bson.resize(bson.len() + usize::from(*length) - 4, 0);
        }
        let batch = wit::Documents {
            collection: "position".to_owned(),
            bson,
        };
        let written = migrate_batch(&ByLength, Direction::Forward, &[], &batch)?;
        Ok(written
            .into_iter()
            .map(|one| (one.collection, one.bson))
            .collect())
    }

    #[test]
    fn documents_are_written_by_collection_and_without_an_answer_they_are_gone() {
        let twice = [5, 0, 0, 0, 0, 5, 0, 0, 0, 0].to_vec();
        let expected = vec![
            ("position".to_owned(), twice.clone()),
            ("copies".to_owned(), twice),
        ];
        assert_eq!(run(&[5, 6, 5]).expect("no failure"), expected);
        assert_eq!(run(&[6]).expect("no failure"), []);
    }

    #[test]
    fn failures_name_the_document_or_refuse_the_step() {
        let Err(wit::Error::Document(error)) = run(&[5, 6, 7]) else {
            panic!("document error")
        };
        assert_eq!((error.index, error.reason.as_str()), (2, "too long"));
        assert!(matches!(run(&[8]), Err(wit::Error::Refused(reason)) if reason == "no"));
        let step = step_of::<ByLength>();
        assert_eq!((step.from, step.collections.len()), (7, 2));
    }
}
