//! A stage of the chain, and its shadow.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::shadow::{ShadowProgress, ShadowReport};

use super::super::error::Result;
use super::super::usage::Usage;
use super::batch_output::BatchOutput;
use super::shadow::Shadow;
use super::stage::{Addressee, Stage};

/// A stage with at most one shadow at a time.
pub(in super::super) struct ShadowedStage {
    pub(super) stage: Stage,
    shadow: RwLock<Option<Arc<Shadow>>>,
}

impl ShadowedStage {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            stage,
            shadow: RwLock::default(),
        }
    }

    /// Runs documents through the plugin. The shadow gets documents that the sync writes.
    pub(super) fn run(&self, to: Addressee<'_>, documents: &[u8]) -> Result<BatchOutput> {
        let answers = self.stage.run(to, documents)?;
        let shadow = self.shadow.read().clone().filter(|_| to.counted);
        if let Some(shadow) = shadow {
            shadow.offer(to, documents, &answers);
        }
        Ok(answers)
    }

    /// The usage of the component in use.
    pub(in super::super) fn usage(&self) -> &Arc<Usage> {
        self.stage.usage()
    }

    /// A shadow of the component in use, which is given nothing yet.
    pub(in super::super) fn shadow_of(&self, shadow: Usage, contents: bool) -> Result<Shadow> {
        Shadow::begin(self.stage.usage(), shadow, contents)
    }

    /// Begins a shadow in place of another, or ends it.
    pub(in super::super) fn set_shadow(&self, shadow: Option<Shadow>) {
        *self.shadow.write() = shadow.map(Arc::new);
    }

    pub(super) fn shadow_progress(&self) -> Option<ShadowProgress> {
        let shadow = self.shadow.read().clone();
        shadow.map(|shadow| shadow.progress())
    }

    pub(super) fn shadow_report(&self) -> Option<ShadowReport> {
        let shadow = self.shadow.read().clone();
        shadow.map(|shadow| shadow.report())
    }
}
