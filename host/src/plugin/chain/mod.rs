//! The plugins that a sync's documents go through, one behind the other.
//!
//! A stage sees what the one before has made of a document; one that was dropped or
//! put aside goes no further. Documents are handed over in batches and answered in
//! place: where all are kept, nothing is copied back.

mod batch;
mod fault;
mod output;
mod stage;
mod transformed;

use std::sync::Arc;

use crate::model::plugins::PluginProgress;
use crate::model::{Namespace, OperatorError, StartOptions};

use super::component::Component;
use super::error::{Error, Result};
use super::registry::{Registry, Scope};
use super::usage::{Plugin, Usage, plugins};
use stage::{Known, Stage};

pub(super) use batch::{Batch, cut};
pub use fault::{Fault, FaultKind};
pub(super) use fault::{failed, name_of};
pub use transformed::{Outcome, Transformed};

/// The component that reads `documentFilter`.
const DOCUMENT_FILTER: &str = "document-filter";

/// The plugins of one sync, configured. Shared by all tasks.
pub struct Chain {
    stages: Vec<Arc<Stage>>,
}

impl Chain {
    /// The document filter first, then the plugins in their order.
    pub(super) fn new(registry: &Registry, options: &StartOptions) -> Result<Self> {
        let mut stages = Vec::new();
        if let Some(filter) = &options.document_filter {
            stages.push(Plugin {
                usage: Usage::short("documentFilter", filter.0.clone()),
                component: registry.component(DOCUMENT_FILTER)?,
                sees: None,
            });
        }
        stages.extend(plugins(registry, options, "transform")?);
        let stages = stages
            .into_iter()
            .map(|plugin| Stage::new(plugin).map(Arc::new));
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
        })
    }

    /// True if no document is seen by any plugin.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages that see documents of the source namespace; `None` if there are
    /// none. Ask once a collection and keep the answer: swaps reach it.
    pub fn of(
        &self,
        source: &Namespace,
    ) -> std::result::Result<Option<NamespaceChain>, OperatorError> {
        let mut stages = Vec::new();
        for stage in &self.stages {
            if stage.sees(source).map_err(Error::reported)? {
                stages.push(Arc::clone(stage));
            }
        }
        Ok((!stages.is_empty()).then(|| NamespaceChain {
            stages: stages.into(),
            known: Arc::new(Known::new(source)),
        }))
    }

    /// What each stage has done, in the order of the chain.
    pub fn metrics(&self) -> Vec<PluginProgress> {
        self.stages.iter().map(|stage| stage.metrics()).collect()
    }

    /// Puts the component with this name or digest in the place of the one called
    /// `name`, for every namespace. Compiled, configured and tried out first; if that
    /// fails, the old one stays. Calls in flight end with the old one.
    pub fn swap(
        &self,
        name: &str,
        registry: &Registry,
        digest: &str,
    ) -> std::result::Result<(), OperatorError> {
        self.replace(name, registry, digest)
            .map_err(Error::reported)
    }

    fn replace(&self, name: &str, registry: &Registry, digest: &str) -> Result<()> {
        let successor = registry.component(digest)?;
        let mut ready = Vec::new();
        for stage in &self.stages {
            let current = stage.pool();
            if current.component().info().name == name {
                check_same(current.component(), &successor)?;
                ready.push((stage, stage.successor(Arc::clone(&successor))?));
            }
        }
        if ready.is_empty() {
            return Err(Error::NotFound {
                wanted: name.to_owned(),
                hint: "the chain of this sync does not have it".to_owned(),
            });
        }
        for (stage, pool) in ready {
            stage.switch(pool);
        }
        Ok(())
    }
}

/// A successor gives the same answers, bug fixes apart, and sees no more.
fn check_same(current: &Component, successor: &Component) -> Result<()> {
    let (old, new) = (current.info(), successor.info());
    let scopes = (current.installed().scope, successor.installed().scope);
    let reason = if old.name != new.name {
        format!("it would take the place of {}", old.name)
    } else if old.semantics != new.semantics {
        format!(
            "its semantics are {}, and the sync has begun with {}; its answers would differ",
            new.semantics, old.semantics
        )
    } else if !successor.exports("transform") {
        "it does not export transform".to_owned()
    } else if scopes == (Scope::Delta, Scope::Document) {
        "it has to see whole documents, and the one in use does not".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Incompatible {
        component: format!("{} {} ({})", new.name, new.version, new.digest),
        reason,
    })
}

/// The stages that see one namespace. Cheap to clone and to keep.
#[derive(Clone)]
pub struct NamespaceChain {
    stages: Arc<[Arc<Stage>]>,
    known: Arc<Known>,
}

impl NamespaceChain {
    /// `Document` if any stage has to see whole documents.
    pub fn scope(&self) -> Scope {
        let whole =
            |stage: &Arc<Stage>| stage.pool().component().installed().scope == Scope::Document;
        if self.stages.iter().any(whole) {
            Scope::Document
        } else {
            Scope::Delta
        }
    }

    /// Runs documents, as raw BSON one behind the other, through all stages. An error
    /// is about the first document that has no outcome, and stops the sync before it.
    pub fn transform(&self, documents: &[u8]) -> std::result::Result<Transformed, OperatorError> {
        let mut done = Transformed::default();
        for batch in cut(documents) {
            let outcomes = batch.and_then(|batch| self.run(batch));
            done.append(outcomes.map_err(Error::reported)?);
        }
        Ok(done)
    }

    /// The memory of one instance of each stage, the largest of those that wait.
    pub fn memory_bytes(&self) -> usize {
        self.stages
            .iter()
            .map(|stage| stage.pool().memory_bytes())
            .sum()
    }

    fn run(&self, batch: Batch<'_>) -> Result<Transformed> {
        let mut outcomes = Transformed::kept(batch.count);
        for stage in &*self.stages {
            if outcomes.is_unchanged() {
                outcomes = stage.run(&self.known, batch.bytes)?;
                continue;
            }
            let (bytes, positions) = outcomes.live(batch.bytes);
            if positions.is_empty() {
                break;
            }
            outcomes.overlay(&positions, stage.run(&self.known, &bytes)?);
        }
        Ok(outcomes)
    }
}
