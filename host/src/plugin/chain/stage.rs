//! One plugin of the chain: its calls, and what follows when one goes wrong.
//!
//! Either every document of a batch has an outcome that was checked, or the batch
//! has none and the error says why. A document that is put aside is counted as
//! such, and its neighbours are asked for again without it.

use std::sync::Arc;
use std::time::Instant;

use crate::model::Namespace;
use crate::model::options::OnError;
use crate::model::plugins::PluginProgress;

use super::super::abi::v1_0_0::transform;
use super::super::batch::{Batch, cut};
use super::super::document_name::name_of;
use super::super::error::{Call, Error, Result};
use super::super::runtime::{Component, Instance, Pool};
use super::super::usage::{Plugin, Seen, Usage, is_seen, route};
use super::fault::{Fault, FaultKind};
use super::metrics::Meters;
use super::output;
use super::transformed::{Answer, Transformed};

/// A namespace, also as guests are given it.
pub(super) struct Known {
    pub(super) namespace: Namespace,
    pub(super) guests: transform::Namespace,
}

/// A call without an outcome.
struct Failure {
    blame: Blame,
    error: Box<Error>,
}

/// Whom a failure is about.
#[derive(Clone, Copy)]
enum Blame {
    /// The document at this position of the batch.
    Document(usize, FaultKind),
    /// One of them: the guest is gone, and cannot say which.
    Unknown(FaultKind),
    /// The plugin as a whole: no document can be put aside for it.
    Plugin,
}

/// What is left to do of a batch, the next step last.
enum Step<'a> {
    Ask(Batch<'a>),
    PutAside(Fault),
}

pub(super) struct Stage {
    usage: Arc<Usage>,
    sees: Option<Seen>,
    meters: Meters,
}

impl Stage {
    pub(super) fn new(plugin: Plugin) -> Result<Self> {
        Ok(Self {
            usage: Arc::new(plugin.usage),
            sees: plugin.sees,
            meters: Meters::new()?,
        })
    }

    pub(super) fn sees(&self, source: &Namespace) -> Result<bool> {
        is_seen(self.sees.as_ref(), source)
    }

    pub(super) fn seen(&self) -> Option<&Seen> {
        self.sees.as_ref()
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    pub(super) fn metrics(&self) -> PluginProgress {
        self.meters.read(self.usage.pool().component().info())
    }

    /// Asks a pool that is to be used for `usage`, if that is one of this stage's.
    pub(super) fn try_out(&self, usage: &Arc<Usage>, pool: &Pool) -> Result<()> {
        let namespace = Namespace::new("tidegate", "self-check");
        if self
            .seen()
            .is_some_and(|seen| Arc::ptr_eq(seen.usage(), usage))
        {
            route(pool, &namespace)?;
        }
        if !Arc::ptr_eq(&self.usage, usage) {
            return Ok(());
        }
        // The smallest document with an _id: {_id: 0}.
        let document = b"\x0e\0\0\0\x10_id\0\0\0\0\0\0";
        let (known, alone) = (Known::new(&namespace), Batch::alone(document));
        match self.ask(pool, &known, alone, Instances::Warm) {
            Err(Failure {
                blame: Blame::Plugin | Blame::Unknown(_) | Blame::Document(_, FaultKind::Output),
                error,
            }) => Err(*error),
            _ => Ok(()),
        }
    }

    /// Asks about documents that lie one behind the other.
    pub(super) fn run(&self, pool: &Pool, known: &Known, documents: &[u8]) -> Result<Transformed> {
        let mut done = Transformed::default();
        for batch in cut(documents) {
            self.run_batch(pool, known, batch?, &mut done)?;
        }
        self.meters.done(done.tally(documents));
        Ok(done)
    }

    fn run_batch(
        &self,
        pool: &Pool,
        known: &Known,
        batch: Batch<'_>,
        done: &mut Transformed,
    ) -> Result<()> {
        let mut steps = vec![Step::Ask(batch)];
        // How many documents a call is given: as many as there are, until one fails. Where many
        // do, each call would else be given all that are left.
        let mut window = usize::MAX;
        while let Some(step) = steps.pop() {
            let batch = match step {
                Step::Ask(batch) if batch.count == 0 => continue,
                Step::Ask(batch) => {
                    let (now, later) = batch.split(window);
                    steps.push(Step::Ask(later));
                    now
                }
                Step::PutAside(fault) => {
                    done.push(Answer::Quarantined(Box::new(fault)));
                    continue;
                }
            };
            match self.ask(pool, known, batch, Instances::Warm) {
                Ok(outcomes) => {
                    done.append(outcomes);
                    window = window.saturating_mul(4);
                }
                Err(failure) => {
                    window = self.recover(pool, known, batch, failure, &mut steps, done)?;
                }
            }
        }
        Ok(())
    }

    /// Says what is left to do of a batch whose call failed, and how many documents the next call
    /// is given.
    fn recover<'a>(
        &self,
        pool: &Pool,
        known: &Known,
        batch: Batch<'a>,
        failure: Failure,
        steps: &mut Vec<Step<'a>>,
        done: &mut Transformed,
    ) -> Result<usize> {
        match failure.blame {
            Blame::Document(index, kind) => {
                let (before, document, behind) = batch.around(index);
                let fault = self.fault(known, document, kind, *failure.error)?;
                steps.push(Step::Ask(behind));
                steps.push(Step::PutAside(fault));
                steps.push(Step::Ask(before));
                Ok(index.max(1))
            }
            Blame::Unknown(_) => {
                let rest = self.one_by_one(pool, known, batch, *failure.error, done)?;
                steps.push(Step::Ask(rest));
                Ok(1)
            }
            Blame::Plugin => Err(name_first(*failure.error, known, batch)),
        }
    }

    /// Finds the document that ended a guest: each is given alone to a fresh one, up
    /// to the first that fails. Gives back what is behind that one.
    fn one_by_one<'a>(
        &self,
        pool: &Pool,
        known: &Known,
        batch: Batch<'a>,
        trap: Error,
        done: &mut Transformed,
    ) -> Result<Batch<'a>> {
        for (index, document) in batch.documents().enumerate() {
            let alone = Batch::alone(document);
            match self.ask(pool, known, alone, Instances::Fresh) {
                Ok(outcome) => done.append(outcome),
                Err(Failure { blame, error }) => {
                    let (Blame::Document(_, kind) | Blame::Unknown(kind)) = blame else {
                        return Err(name_first(*error, known, alone));
                    };
                    let fault = self.fault(known, document, kind, *error)?;
                    done.push(Answer::Quarantined(Box::new(fault)));
                    return Ok(batch.around(index).2);
                }
            }
        }
        // Alone, none of them does it: these outcomes are as good as the batch's.
        trap.log();
        Ok(Batch {
            bytes: &[],
            count: 0,
        })
    }

    /// Stops, or says why the document is put aside: as the operator has chosen.
    fn fault(
        &self,
        known: &Known,
        document: &[u8],
        kind: FaultKind,
        error: Error,
    ) -> Result<Fault> {
        let error = error.about(&name_of(document, &known.namespace));
        match self.usage.on_error {
            OnError::Stop => Err(error),
            OnError::Quarantine => {
                error.log();
                Ok(Fault::new(kind, &error))
            }
        }
    }

    /// One call.
    fn ask(
        &self,
        pool: &Pool,
        known: &Known,
        batch: Batch<'_>,
        instances: Instances,
    ) -> std::result::Result<Transformed, Failure> {
        let begun = Instant::now();
        let call = |component: &Component, instance: &mut Instance| {
            component.transform(instance, &known.guests, batch.bytes)
        };
        let answer = match instances {
            Instances::Warm => pool.call(call),
            Instances::Fresh => pool.call_fresh(call),
        };
        self.meters.called(begun.elapsed());
        let call = || Call::new(pool.component().info(), "transform");
        let outcomes = answer
            .map_err(Failure::ended)
            .and_then(|answer| {
                let failed = |error| Failure::answered(error, batch, call()).masked(pool);
                answer.map_err(failed)
            })
            .and_then(|outcome| {
                output::read(batch, outcome).map_err(|flaw| Failure::flawed(&flaw, call()))
            });
        if let Err(failure) = &outcomes {
            let trapped = matches!(*failure.error, Error::Trapped { .. });
            self.meters.failed(trapped);
        }
        outcomes
    }
}

/// Which instance is called.
#[derive(Clone, Copy)]
enum Instances {
    Warm,
    Fresh,
}

impl Known {
    pub(super) fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.clone(),
            guests: namespace.into(),
        }
    }
}

impl Failure {
    /// The guest did not answer.
    fn ended(error: Error) -> Self {
        let blame = match &error {
            Error::Trapped { trap, .. } => Blame::Unknown(FaultKind::Trap(trap.kind)),
            _ => Blame::Plugin,
        };
        Self {
            blame,
            error: Box::new(error),
        }
    }

    /// The guest answered with an error.
    fn answered(error: transform::Error, batch: Batch<'_>, call: Call) -> Self {
        let (blame, reason) = match error {
            transform::Error::Fatal(reason) => (Blame::Plugin, reason),
            transform::Error::Document(error) => match usize::try_from(error.index) {
                Ok(index) if index < batch.count => {
                    (Blame::Document(index, FaultKind::Document), error.reason)
                }
                _ => {
                    let (index, count) = (error.index, batch.count);
                    let reason = format!("it refused document {index} of a batch of {count}");
                    (Blame::Plugin, reason)
                }
            },
        };
        Self {
            blame,
            error: Box::new(Error::failed(call, &reason)),
        }
    }

    /// Without the secrets that the guest was configured with.
    fn masked(self, pool: &Pool) -> Self {
        Self {
            error: Box::new(pool.masked(*self.error)),
            ..self
        }
    }

    /// The guest answered with nonsense.
    fn flawed(flaw: &output::Flaw, call: Call) -> Self {
        let blame = flaw.index.map_or(Blame::Plugin, |index| {
            Blame::Document(index, FaultKind::Output)
        });
        Self {
            blame,
            error: Box::new(Error::failed(call, &flaw.reason)),
        }
    }
}

/// An error about a batch as a whole names its first document.
fn name_first(error: Error, known: &Known, batch: Batch<'_>) -> Error {
    error.about(&name_of(batch.bytes, &known.namespace))
}
