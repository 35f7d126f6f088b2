//! Runs a migration step of tidegate's own metadata, from one version to the next or back.
//!
//! Nothing is read or written here: raw BSON comes in, and validated raw BSON goes out. Either every document of a call
//! has an answer, or the step fails with an error that names the document.

use std::sync::Arc;

use crate::model::namespace::METADATA_DATABASE;
use crate::model::{ErrorName, Namespace, OperatorError, raw};

use super::abi::v1_0_0::migrate;
use super::batch::{Batch, cut};
use super::document_name::name_of;
use super::error::{Call, Error, Result};
use super::migration::{Direction, MigrationStep};
use super::registry::Registry;
use super::runtime::{Component, Pool};
use super::secrets::RevealedConfig;

/// The largest document that a server stores.
const DOCUMENT_BYTES: usize = 16 << 20;

/// The function that errors name for invalid output.
const EXPORT: &str = "migrate";

/// A configured migration step.
pub struct Migrator {
    pool: Pool,
    step: MigrationStep,
}

/// The arguments of a migration that are the same for all batches.
#[derive(Clone, Copy)]
struct MigrationCall<'a> {
    direction: Direction,
    session: &'a [u8],
    collection: &'a str,
}

impl Migrator {
    /// The migrator of the feature set's step from version `from` to the next. `None` if the feature set has no
    /// such step.
    pub fn find(
        registry: &Registry,
        from: u32,
    ) -> std::result::Result<Option<Self>, OperatorError> {
        for component in registry.migration_steps() {
            let migrator = Self::new(component?)?;
            if migrator.step.from == from {
                return Ok(Some(migrator));
            }
        }
        Ok(None)
    }

    pub(super) fn new(component: Arc<Component>) -> std::result::Result<Self, OperatorError> {
        let refused = |error: Error, component: &Component| match error {
            Error::Refused { reason, .. } => {
                Error::failed(Call::new(component.info(), "configure"), &reason)
            }
            error => error,
        };
        let set_up = || {
            let pool = Pool::new(Arc::clone(&component), RevealedConfig::none())
                .map_err(|error| refused(error, &component))?;
            let step = pool.call(|component, instance| component.which_step(instance))?;
            Ok(Self { pool, step })
        };
        set_up().map_err(operator_error)
    }

    /// The step, as its component describes it.
    pub fn step(&self) -> &MigrationStep {
        &self.step
    }

    /// Migrates the documents of a collection: the documents that replace them, by collection. Both are consecutive
    /// raw BSON documents. `session` is the session document before the step.
    ///
    /// Blocks for some microseconds per document, and at most for the deadline of a call per batch.
    ///
    /// # Errors
    ///
    /// `MigrationFailed`, with the document if it is known.
    pub fn migrate(
        &self,
        direction: Direction,
        session: &[u8],
        collection: &str,
        documents: &[u8],
    ) -> std::result::Result<Vec<(String, Vec<u8>)>, OperatorError> {
        let question = MigrationCall {
            direction,
            session,
            collection,
        };
        self.migrate_all(question, documents)
            .map_err(operator_error)
    }

    fn migrate_all(
        &self,
        question: MigrationCall<'_>,
        documents: &[u8],
    ) -> Result<Vec<(String, Vec<u8>)>> {
        if question.direction == Direction::Back && !self.step.reversible {
            return Err(self.fault("the step has no way back"));
        }
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        for batch in cut(documents) {
            for more in self.migrate_batch(question, batch?)? {
                match written
                    .iter_mut()
                    .find(|(name, _)| *name == more.collection)
                {
                    Some((_, bson)) => bson.extend_from_slice(&more.bson),
                    None => written.push((more.collection, more.bson)),
                }
            }
        }
        Ok(written)
    }

    fn migrate_batch(
        &self,
        question: MigrationCall<'_>,
        batch: Batch<'_>,
    ) -> Result<Vec<migrate::Documents>> {
        let given = question.about(batch);
        let answer = self.pool.call(|component, instance| {
            component.migrate(instance, question.direction, question.session, &given)
        });
        let written = match answer {
            Ok(Ok(written)) => written,
            Ok(Err(error)) => return Err(self.answered(question, batch, error)),
            Err(trap) => return Err(self.culprit(question, batch, trap)),
        };
        for documents in &written {
            check(documents).map_err(|reason| self.named(question, batch, self.fault(&reason)))?;
        }
        Ok(written)
    }

    /// The error for an error that the component answered with.
    fn answered(
        &self,
        question: MigrationCall<'_>,
        batch: Batch<'_>,
        error: migrate::Error,
    ) -> Error {
        let error = match error {
            migrate::Error::Refused(reason) => return self.fault(&reason),
            migrate::Error::Document(error) => error,
        };
        let document = usize::try_from(error.index)
            .ok()
            .and_then(|index| batch.documents().nth(index));
        match document {
            Some(document) => self.fault(&error.reason).about(&question.name(document)),
            None => self.fault(&format!(
                "it refused document {} of a batch of {}",
                error.index, batch.count
            )),
        }
    }

    /// Finds the document that ended the guest: gives each document alone to a fresh instance.
    fn culprit(&self, question: MigrationCall<'_>, batch: Batch<'_>, trap: Error) -> Error {
        for document in batch.documents() {
            let given = question.about(Batch::alone(document));
            let answer = self.pool.call_fresh(|component, instance| {
                component.migrate(instance, question.direction, question.session, &given)
            });
            if let Err(trap) = answer {
                return trap.about(&question.name(document));
            }
        }
        trap
    }

    fn fault(&self, reason: &str) -> Error {
        Error::failed(Call::new(self.pool.component().info(), EXPORT), reason)
    }

    /// Names the document of an error about a batch, if the batch has a single document.
    fn named(&self, question: MigrationCall<'_>, batch: Batch<'_>, error: Error) -> Error {
        match batch.count {
            1 => error.about(&question.name(batch.bytes)),
            _ => error,
        }
    }
}

impl MigrationCall<'_> {
    fn about(&self, batch: Batch<'_>) -> migrate::Documents {
        migrate::Documents {
            collection: self.collection.to_owned(),
            bson: batch.bytes.to_vec(),
        }
    }

    fn name(&self, document: &[u8]) -> String {
        name_of(
            document,
            &Namespace::new(METADATA_DATABASE, self.collection),
        )
    }
}

/// Checks that the host can write the documents. The engine limits their total size.
fn check(documents: &migrate::Documents) -> std::result::Result<(), String> {
    let name = &documents.collection;
    let mut letters = name.bytes();
    if name.is_empty()
        || name.len() > 64
        || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        let name = name.chars().take(64).collect::<String>();
        return Err(format!(
            "it gave documents for {name:?}, which is no collection of the metadata"
        ));
    }
    for document in raw::sequence(&documents.bson) {
        let not_bson = |_malformed| format!("it gave bytes for {name} that are not BSON");
        let document = document.map_err(not_bson)?;
        if document.len() > DOCUMENT_BYTES {
            return Err(format!("it gave a document of {name} of more than 16 MiB"));
        }
        raw::validate_layout(document).map_err(not_bson)?;
        if raw::find(document, "_id").map_err(not_bson)?.is_none() {
            return Err(format!("it gave a document of {name} without _id"));
        }
    }
    Ok(())
}

/// The error for the operator. Logs a trap for the plugin author.
fn operator_error(error: Error) -> OperatorError {
    error.log();
    let cause = match &error {
        Error::Trapped { call, trap } => format!("{call} trapped: {trap}"),
        error => error.to_string(),
    };
    OperatorError::new(
        ErrorName::MigrationFailed,
        format!(
            "{cause}; nothing was changed, and the release that wrote the metadata can still be used"
        ),
    )
}
