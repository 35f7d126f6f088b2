//! The chain: the plugins that transform the documents of a sync, in order.
//!
//! A stage sees a document as the previous stage returned it. A dropped or quarantined document goes no further.
//! Documents are passed in batches; a batch whose documents are all kept is not copied.

mod batch_output;
mod difference;
mod failure;
mod fault;
mod metrics;
mod observations;
mod shadow;
mod shadowed_stage;
mod stage;
mod swap_lock;
mod validation;

use std::sync::Arc;

use crate::model::plugins::PluginProgress;
use crate::model::shadow::{ShadowProgress, ShadowReport};
use crate::model::{Namespace, OperatorError, StartOptions};

use super::batch::{Batch, cut};
use super::error::{Error, Result};
use super::installed_component::Scope;
use super::pins::{Pins, Slot};
use super::registry::Registry;
use super::runtime::Pool;
use super::usage::{GatedUsage, Usage, plugin_usages};
use shadowed_stage::ShadowedStage;
use stage::{Addressee, NamespaceArg, Stage};

pub use batch_output::{BatchOutput, Outcome};
pub use fault::{Fault, FaultKind};
pub(super) use swap_lock::SwapLock;

/// The configured plugins of a sync. Shared by all tasks.
pub struct Chain {
    stages: Vec<Arc<ShadowedStage>>,
    swap_lock: SwapLock,
}

impl Chain {
    /// Configures the document filter, and then the plugins that transform, in their order.
    ///
    /// # Errors
    ///
    /// A refused configuration, with its path in the options.
    pub fn new(
        registry: &Registry,
        options: &StartOptions,
        pins: &Pins,
    ) -> std::result::Result<Self, OperatorError> {
        Self::configure(registry, options, pins).map_err(Error::reported)
    }

    fn configure(registry: &Registry, options: &StartOptions, pins: &Pins) -> Result<Self> {
        let mut usages = Vec::new();
        if let Some(filter) = &options.document_filter {
            let (slot, config) = (Slot::DocumentFilter, filter.0.clone());
            let filter = Usage::of_option(registry, pins, slot, "documentFilter", config)?;
            usages.push(GatedUsage::ungated(filter));
        }
        usages.extend(plugin_usages(registry, options, pins, "transform")?);
        let stages = usages.into_iter().map(|usage| {
            let stage = Stage::new(usage, registry.logs())?;
            Ok(Arc::new(ShadowedStage::new(stage)))
        });
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
            swap_lock: SwapLock::default(),
        })
    }

    /// Whether the sync has no plugin that transforms.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages for a source namespace, `None` if no stage admits it. Callers keep the result for a collection: it
    /// follows swaps. After a swap of the namespace filter other stages may admit the namespace, so it is built again.
    ///
    /// # Errors
    ///
    /// `PluginFailed` or `PluginTrapped`, from the namespace filter.
    pub fn of(
        &self,
        source: &Namespace,
    ) -> std::result::Result<Option<NamespaceChain>, OperatorError> {
        if source.time_series().is_some() || source.is_functions() {
            // Formats of the server. A sync refuses a time-series collection that a stage admits.
            return Ok(None);
        }
        let mut stages = Vec::new();
        for stage in &self.stages {
            if stage.stage.admits(source).map_err(Error::reported)? {
                stages.push(Arc::clone(stage));
            }
        }
        Ok((!stages.is_empty()).then(|| NamespaceChain {
            stages: stages.into(),
            namespace: Arc::new(NamespaceArg::new(source)),
            swap_lock: self.swap_lock.clone(),
            counted: true,
        }))
    }

    /// Whether the outcome for documents of `source` depends on the component in `slot`: a plugin that admits the
    /// namespace, or the namespace filter that gates a plugin.
    ///
    /// # Errors
    ///
    /// `PluginFailed` or `PluginTrapped`, from the namespace filter.
    pub fn depends_on(
        &self,
        slot: Slot,
        source: &Namespace,
    ) -> std::result::Result<bool, OperatorError> {
        if source.time_series().is_some() {
            return Ok(false);
        }
        for stage in &self.stages {
            let own = stage.usage().slot == slot
                && stage.stage.admits(source).map_err(Error::reported)?;
            if own
                || stage
                    .stage
                    .gate_usage()
                    .is_some_and(|gate| gate.slot == slot)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The counters of each stage, in the order of the chain.
    pub fn metrics(&self) -> Vec<PluginProgress> {
        self.stages
            .iter()
            .map(|stage| stage.stage.metrics())
            .collect()
    }

    /// The figures of each shadow, in the order of the chain.
    pub fn shadows(&self) -> Vec<ShadowProgress> {
        let stages = self.stages.iter();
        stages.filter_map(|stage| stage.shadow_progress()).collect()
    }

    /// The figures and findings of each shadow, in the order of the chain.
    pub fn shadow_reports(&self) -> Vec<ShadowReport> {
        let stages = self.stages.iter();
        stages.filter_map(|stage| stage.shadow_report()).collect()
    }

    /// Ends all shadows.
    pub fn end_shadows(&self) {
        for stage in &self.stages {
            stage.set_shadow(None);
        }
    }

    /// The stages whose component has this name.
    pub(super) fn stages_of(&self, name: &str) -> impl Iterator<Item = &Arc<ShadowedStage>> {
        let is_named =
            move |stage: &&Arc<ShadowedStage>| stage.usage().pool().component().info().name == name;
        self.stages.iter().filter(is_named)
    }

    pub(super) fn swap_lock(&self) -> SwapLock {
        self.swap_lock.clone()
    }

    pub(super) fn usages(&self) -> impl Iterator<Item = &Arc<Usage>> {
        self.stages.iter().flat_map(|stage| stage.stage.usages())
    }

    /// Tries a new pool of `usage`, if the usage belongs to the chain.
    pub(super) fn try_out(&self, usage: &Arc<Usage>, pool: &Pool) -> Result<()> {
        for stage in &self.stages {
            stage.stage.try_out(usage, pool)?;
        }
        Ok(())
    }

    /// Tries the components in these slots, before a sync relies on them.
    pub(super) fn self_check(&self, slots: &[Slot]) -> Result<()> {
        for usage in self.usages().filter(|usage| slots.contains(&usage.slot)) {
            self.try_out(usage, &usage.pool())?;
        }
        Ok(())
    }
}

/// The stages for one namespace. Cheap to clone.
#[derive(Clone)]
pub struct NamespaceChain {
    stages: Arc<[Arc<ShadowedStage>]>,
    namespace: Arc<NamespaceArg>,
    swap_lock: SwapLock,
    /// Whether the metrics count its documents.
    counted: bool,
}

impl NamespaceChain {
    /// The same chain for documents that the metrics do not count, since the sync does not write them.
    pub fn uncounted(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }

    /// The scope of the chain: `Document` if any stage needs whole documents.
    pub fn scope(&self) -> Scope {
        let whole = |pool: &Arc<Pool>| pool.component().installed().scope == Scope::Document;
        if self.pools().iter().any(whole) {
            Scope::Document
        } else {
            Scope::Delta
        }
    }

    /// Runs consecutive raw BSON documents through all stages. Blocks for microseconds per document, and at most for
    /// the deadline of each call.
    ///
    /// # Errors
    ///
    /// `PluginFailed` or `PluginTrapped`, with the first document without an outcome. The sync stops before it.
    pub fn transform(&self, documents: &[u8]) -> std::result::Result<BatchOutput, OperatorError> {
        let pools = self.pools();
        let mut done = BatchOutput::default();
        for batch in cut(documents) {
            let outcomes = batch.and_then(|batch| self.run(&pools, batch));
            done.append(outcomes.map_err(Error::reported)?);
        }
        Ok(done)
    }

    /// Memory in bytes of one instance per stage, the largest idle instance of each.
    pub fn memory_bytes(&self) -> usize {
        self.pools().iter().map(|pool| pool.memory_bytes()).sum()
    }

    /// The current components: all from before a swap, or all from after it.
    fn pools(&self) -> Vec<Arc<Pool>> {
        let _no_swap = self.swap_lock.shared();
        self.stages
            .iter()
            .map(|stage| stage.usage().pool())
            .collect()
    }

    fn run(&self, pools: &[Arc<Pool>], batch: Batch<'_>) -> Result<BatchOutput> {
        let mut outcomes = BatchOutput::kept(batch.count);
        for (stage, pool) in self.stages.iter().zip(pools) {
            let to = Addressee {
                pool,
                namespace: &self.namespace,
                counted: self.counted,
            };
            if outcomes.is_unchanged() {
                outcomes = stage.run(to, batch.bytes)?;
                continue;
            }
            let (bytes, positions) = outcomes.live(batch.bytes);
            if positions.is_empty() {
                break;
            }
            let answers = stage.run(to, &bytes)?;
            outcomes.overlay(&positions, answers);
        }
        Ok(outcomes)
    }
}
