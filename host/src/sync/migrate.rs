//! The migration of metadata to this release's version, step by step.
//!
//! A step is one transaction. It finds the lease in its own term and the metadata in the step's
//! first version, takes the documents that the step asks for off their collections, writes the
//! component's results, and sets the version last. So a crash leaves one version or the other.
//!
//! Views under the old names of version 3 are not part of the transaction, see
//! [`super::legacy_hosts`]: they are dropped before the step back, and a takeover creates them
//! after the step forward.

use std::{sync::Arc, time::Instant};

use bson::{RawDocumentBuf, doc};

use super::{Error, legacy_hosts};
use crate::{
    metadata::{LeaseKey, SessionDocument, Tenure},
    model::{ErrorName, OperatorError, namespace::METADATA_DATABASE, raw},
    mongo::{self, Change, Client, Destination, Documents, GuardCounts, Transaction, retry},
    observe::failpoint,
    plugin::{Direction, Migrator, Registry},
};

/// The collection that holds the version.
const SESSION: &str = "session";

/// The first version that locks out hosts without a lease.
const LOCKED_OUT_SINCE: i32 = 3;

/// Migrates from the first version to the second, up or down.
///
/// Cancel safe: each step is one transaction.
///
/// # Errors
/// `MetadataVersionNotSupported` if a step is missing; the refusal of a step's component.
pub async fn migrate(
    destination: &Client,
    tenure: &Tenure,
    registry: &Arc<Registry>,
    (from, to): (i32, i32),
) -> Result<(), Error> {
    let mut version = from;
    while version != to {
        let step = MigrationStep::of(registry, version, to).await?;
        let begun = Instant::now();
        failpoint("migration_begun");
        if step.ends_lockout() {
            legacy_hosts::readmit(&Destination::new(
                destination.clone(),
                tenure.fence.clone(),
                GuardCounts::default(),
            ))
            .await?;
        }
        let documents = Documents::new(destination, METADATA_DATABASE);
        let count = retry("migrate metadata", || {
            tenure.fence.pass(|_| step.take(&documents, &tenure.key))
        })
        .await?
        .map_err(Error::Operator)?;
        failpoint("migration_done");
        tracing::info!(
            from = version,
            to = step.to,
            documents = count,
            elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "metadata migrated"
        );
        version = step.to;
    }
    Ok(())
}

/// A step, up or down.
struct MigrationStep {
    migrator: Migrator,
    direction: Direction,
    from: i32,
    to: i32,
}

/// The number of written documents, or the component's refusal.
type StepResult = Result<usize, OperatorError>;

impl MigrationStep {
    async fn of(registry: &Arc<Registry>, from: i32, to: i32) -> Result<Self, Error> {
        let direction = if to > from {
            Direction::Forward
        } else {
            Direction::Back
        };
        let lower = if to > from { from } else { from - 1 };
        let registry = registry.clone();
        let find = move || Migrator::find(&registry, u32::try_from(lower).unwrap_or_default());
        let migrator = tokio::task::spawn_blocking(find)
            .await??
            .filter(|migrator| to > from || migrator.step().reversible)
            .ok_or_else(|| no_step(from, to))?;
        Ok(Self {
            migrator,
            direction,
            from,
            to: if to > from { from + 1 } else { from - 1 },
        })
    }

    /// Whether the step ends the lockout of hosts without a lease.
    fn ends_lockout(&self) -> bool {
        self.to < LOCKED_OUT_SINCE && LOCKED_OUT_SINCE <= self.from
    }

    /// Takes the step in one transaction.
    async fn take(
        &self,
        documents: &Documents,
        key: &LeaseKey,
    ) -> Result<StepResult, mongo::Error> {
        let mut transaction = documents.begin().await?;
        if !transaction.touch(&key.guard()).await? {
            return Err(mongo::Error::Fenced);
        }
        let sessions = transaction.find_all(SESSION).await?;
        let Some(session) = sessions.first() else {
            return Err(mongo::Error::Reply("session"));
        };
        match session.get_i32("metadataVersion") {
            // Done by an earlier attempt whose answer was lost.
            Ok(version) if version == self.to => return Ok(Ok(0)),
            Ok(version) if version == self.from => {}
            _ => return Err(mongo::Error::Reply("metadataVersion")),
        }
        let (changes, count) = match self.changes(&mut transaction, session).await? {
            Ok(changes) => changes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        transaction.apply(&changes).await?;
        let version = doc! { "$set": { "metadataVersion": self.to } };
        transaction
            .update(SESSION, SessionDocument::ID, version)
            .await?;
        failpoint("migration_written");
        transaction.commit().await?;
        Ok(Ok(count))
    }

    /// The changes that replace the documents that the step asks for, and the number of written
    /// documents.
    async fn changes(
        &self,
        transaction: &mut Transaction,
        session: &RawDocumentBuf,
    ) -> Result<Result<(Vec<Change>, usize), OperatorError>, mongo::Error> {
        let (mut removed, mut inserted, mut count) = (Vec::new(), Vec::new(), 0);
        for collection in &self.migrator.step().collections {
            let found = transaction.find_all(collection).await?;
            if found.is_empty() {
                continue;
            }
            let batch = found.iter().map(|document| document.as_bytes());
            let batch = batch.collect::<Vec<_>>().concat();
            let migrate = || {
                self.migrator
                    .migrate(self.direction, session.as_bytes(), collection, &batch)
            };
            let written = match tokio::task::block_in_place(migrate) {
                Ok(written) => written,
                Err(refusal) => return Ok(Err(refusal)),
            };
            removed.push(Change::Remove {
                collection: collection.clone(),
                filter: doc! {},
            });
            for (collection, bytes) in written {
                let documents = split(&bytes)?;
                count += documents.len();
                inserted.push(Change::Insert {
                    collection,
                    documents,
                });
            }
        }
        removed.append(&mut inserted);
        Ok(Ok((removed, count)))
    }
}

fn split(bytes: &[u8]) -> Result<Vec<RawDocumentBuf>, mongo::Error> {
    raw::sequence(bytes)
        .map(|document| Ok(RawDocumentBuf::from_bytes(document?.to_vec())?))
        .collect()
}

fn no_step(from: i32, to: i32) -> OperatorError {
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        format!(
            "This release cannot migrate metadata from version {from} to version {to}. Nothing was changed. Use the \
             release that wrote the metadata, or a release between it and this one."
        ),
    )
}
