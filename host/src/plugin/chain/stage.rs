//! A stage: a plugin of the chain, its calls, and the recovery from failed calls.
//!
//! Invariant: either every document of a batch has a validated outcome, or the batch fails with an error. After a
//! document is quarantined, its neighbours are passed again without it.

use std::sync::Arc;
use std::time::Instant;

use crate::model::Namespace;
use crate::model::options::OnError;
use crate::model::plugins::{PluginLogs, PluginProgress};

use super::super::abi::v1_0_0::transform;
use super::super::batch::{Batch, cut};
use super::super::document_name::name_of;
use super::super::error::{Call, Error, Result};
use super::super::runtime::{Component, Instance, Pool};
use super::super::sandbox::Observer;
use super::super::usage::{GatedUsage, Usage, route};
use super::batch_output::{BatchOutput, Verdict};
use super::failure::{Blame, Failure};
use super::fault::{Fault, FaultKind};
use super::metrics::Meters;
use super::observations::{CallObserver, Observations};
use super::validation::validate;

/// A namespace, and its form as an argument of guests. Converted once per namespace.
#[derive(Clone)]
pub(super) struct NamespaceArg {
    name: Namespace,
    argument: transform::Namespace,
}

/// A remaining task of a batch. Tasks form a stack: the next task is the last.
enum Task<'a> {
    Ask(Batch<'a>),
    Quarantine(Fault),
}

/// A plugin of the chain.
pub(super) struct Stage {
    usage: GatedUsage,
    meters: Meters,
    observations: Arc<Observations>,
}

/// The component that a batch is given to, and the namespace of the batch.
#[derive(Clone, Copy)]
pub(super) struct Addressee<'a> {
    pub(super) pool: &'a Pool,
    pub(super) namespace: &'a NamespaceArg,
    /// Whether the figures of the stage count the documents, and with them what the plugin says.
    pub(super) counted: bool,
}

impl Stage {
    pub(super) fn new(usage: GatedUsage, logs: PluginLogs) -> Result<Self> {
        Ok(Self {
            usage,
            meters: Meters::new()?,
            observations: Arc::new(Observations::new(logs)),
        })
    }

    pub(super) fn admits(&self, source: &Namespace) -> Result<bool> {
        self.usage.admits(source)
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        self.usage.usage()
    }

    pub(super) fn gate_usage(&self) -> Option<&Arc<Usage>> {
        self.usage.gate_usage()
    }

    pub(super) fn usages(&self) -> impl Iterator<Item = &Arc<Usage>> {
        self.usage.usages()
    }

    pub(super) fn metrics(&self) -> PluginProgress {
        let progress = self.meters.read(self.usage().pool().component().info());
        self.observations.read(progress)
    }

    /// Tries a new pool of `usage`, if the usage belongs to this stage.
    pub(super) fn try_out(&self, usage: &Arc<Usage>, pool: &Pool) -> Result<()> {
        let namespace = Namespace::new("tidegate", "self-check");
        if self
            .gate_usage()
            .is_some_and(|gate| Arc::ptr_eq(gate, usage))
        {
            route(pool, &namespace)?;
        }
        if !Arc::ptr_eq(self.usage(), usage) {
            return Ok(());
        }
        // The smallest document with an _id: {_id: 0}.
        let document = b"\x0e\0\0\0\x10_id\0\0\0\0\0\0";
        let to = Addressee {
            pool,
            namespace: &NamespaceArg::new(&namespace),
            counted: false,
        };
        match self.ask(to, Batch::alone(document), InstanceChoice::Warm) {
            Err(Failure {
                blame: Blame::Plugin | Blame::Unknown(_) | Blame::Document(_, FaultKind::Output),
                error,
            }) => Err(*error),
            _ => Ok(()),
        }
    }

    /// Runs consecutive documents through the plugin.
    pub(super) fn run(&self, to: Addressee<'_>, documents: &[u8]) -> Result<BatchOutput> {
        let mut done = BatchOutput::default();
        for batch in cut(documents) {
            self.run_batch(to, batch?, &mut done)?;
        }
        if to.counted {
            self.meters.record_outcomes(done.tally(documents));
        }
        Ok(done)
    }

    fn run_batch(&self, to: Addressee<'_>, batch: Batch<'_>, done: &mut BatchOutput) -> Result<()> {
        let mut tasks = vec![Task::Ask(batch)];
        // Most documents of a call: unlimited until a call fails. Without this limit each call after a failure would
        // be given all remaining documents again, which is quadratic where many documents fail.
        let mut window = usize::MAX;
        while let Some(task) = tasks.pop() {
            let batch = match task {
                Task::Ask(batch) if batch.count == 0 => continue,
                Task::Ask(batch) => {
                    let (now, later) = batch.split(window);
                    tasks.push(Task::Ask(later));
                    now
                }
                Task::Quarantine(fault) => {
                    done.push(Verdict::Quarantined(Box::new(fault)));
                    continue;
                }
            };
            match self.ask(to, batch, InstanceChoice::Warm) {
                Ok(outcomes) => {
                    done.append(outcomes);
                    window = window.saturating_mul(4);
                }
                Err(failure) => {
                    window = self.recover(to, batch, failure, &mut tasks, done)?;
                }
            }
        }
        Ok(())
    }

    /// Pushes the remaining tasks of a batch whose call failed. Returns the most documents of the next call.
    fn recover<'a>(
        &self,
        to: Addressee<'_>,
        batch: Batch<'a>,
        failure: Failure,
        tasks: &mut Vec<Task<'a>>,
        done: &mut BatchOutput,
    ) -> Result<usize> {
        match failure.blame {
            Blame::Document(index, kind) => {
                let (before, document, after) = batch.around(index);
                let fault = self.fault(to.namespace, document, kind, *failure.error)?;
                tasks.push(Task::Ask(after));
                tasks.push(Task::Quarantine(fault));
                tasks.push(Task::Ask(before));
                Ok(index.max(1))
            }
            Blame::Unknown(_) => {
                let rest = self.one_by_one(to, batch, *failure.error, done)?;
                tasks.push(Task::Ask(rest));
                Ok(1)
            }
            Blame::Plugin => Err(name_first(*failure.error, to.namespace, batch)),
        }
    }

    /// Finds the document that ended a guest: gives each document alone to a fresh instance, up to the first that
    /// fails. Returns the documents after it.
    fn one_by_one<'a>(
        &self,
        to: Addressee<'_>,
        batch: Batch<'a>,
        trap: Error,
        done: &mut BatchOutput,
    ) -> Result<Batch<'a>> {
        for (index, document) in batch.documents().enumerate() {
            let alone = Batch::alone(document);
            match self.ask(to, alone, InstanceChoice::Fresh) {
                Ok(outcome) => done.append(outcome),
                Err(Failure { blame, error }) => {
                    let (Blame::Document(_, kind) | Blame::Unknown(kind)) = blame else {
                        return Err(name_first(*error, to.namespace, alone));
                    };
                    let fault = self.fault(to.namespace, document, kind, *error)?;
                    done.push(Verdict::Quarantined(Box::new(fault)));
                    return Ok(batch.around(index).2);
                }
            }
        }
        // No document fails alone: these outcomes are as valid as those of the batch.
        trap.log();
        Ok(Batch {
            bytes: &[],
            count: 0,
        })
    }

    /// Applies the operator's `onError`: an error that stops the sync, or the fault for the quarantine.
    fn fault(
        &self,
        namespace: &NamespaceArg,
        document: &[u8],
        kind: FaultKind,
        error: Error,
    ) -> Result<Fault> {
        let error = error.about(&name_of(document, &namespace.name));
        match self.usage().on_error {
            OnError::Stop => Err(error),
            OnError::Quarantine => {
                error.log();
                Ok(Fault::new(kind, &error))
            }
        }
    }

    /// Calls the plugin once, and validates its output.
    fn ask(
        &self,
        to: Addressee<'_>,
        batch: Batch<'_>,
        instances: InstanceChoice,
    ) -> std::result::Result<BatchOutput, Failure> {
        let pool = to.pool;
        let observer = match to.counted {
            true => CallObserver::new(&self.observations, pool),
            false => None,
        };
        let begun = Instant::now();
        let call = |component: &Component, instance: &mut Instance| {
            let observer = observer
                .clone()
                .map(|observer| observer as Arc<dyn Observer>);
            component.transform(instance, &to.namespace.argument, batch.bytes, observer)
        };
        let answer = match instances {
            InstanceChoice::Warm => pool.call(call),
            InstanceChoice::Fresh => pool.call_fresh(call),
        };
        self.meters.record_call(begun.elapsed());
        let call = || Call::new(pool.component().info(), "transform");
        let outcomes = answer
            .map_err(Failure::ended)
            .and_then(|answer| {
                let failed = |error| Failure::answered(error, batch, call()).masked(pool);
                answer.map_err(failed)
            })
            .and_then(|outcome| {
                validate(batch, outcome).map_err(|error| Failure::invalid(&error, call()))
            });
        if let Err(failure) = &outcomes {
            let trapped = matches!(*failure.error, Error::Trapped { .. });
            self.meters.record_failure(trapped);
        } else if let Some(observer) = observer {
            observer.commit();
        }
        outcomes
    }
}

/// The instance to call: a pooled instance, or a new one.
#[derive(Clone, Copy)]
enum InstanceChoice {
    Warm,
    Fresh,
}

impl NamespaceArg {
    pub(super) fn new(namespace: &Namespace) -> Self {
        Self {
            name: namespace.clone(),
            argument: namespace.into(),
        }
    }

    pub(super) fn name(&self) -> &Namespace {
        &self.name
    }
}

/// Names the first document of a batch in an error about the whole batch.
fn name_first(error: Error, namespace: &NamespaceArg, batch: Batch<'_>) -> Error {
    error.about(&name_of(batch.bytes, &namespace.name))
}
