//! Test double of the session.

use super::samples::{
    sample_mismatch, sample_plugin, sample_principals, sample_progress, sample_quarantined,
};
use crate::api::Control;
use crate::model::audit::AuditRecord;
use crate::model::commit::CommitOptions;
use crate::model::history::{History, Milestone};
use crate::model::hosts::{PassedAnswer, PassedCall, TakenCall};
use crate::model::mismatch::ListedMismatch;
use crate::model::plugins::{
    ComponentSwap, IncompatibilityPolicy, NamespaceSelection, QuarantinedDocument, RetrySummary,
    SwapRequest,
};
use crate::model::principals::PrincipalsSurvey;
use crate::model::progress::CollectionProgress;
use crate::model::state::Call;
use crate::model::{ErrorName, Namespace, OperatorError, Progress, Readiness, StartOptions, State};
use crate::plugin::InstalledPlugin;
use parking_lot::Mutex;
use std::sync::Arc;

/// Allows the calls that its state allows, and records them.
pub(super) struct ScriptedSession {
    state: State,
    /// Collections, with numbers as names.
    collections: usize,
    heard: Mutex<Vec<String>>,
    records: Mutex<Vec<AuditRecord>>,
}

impl ScriptedSession {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state,
            collections: 0,
            heard: Mutex::default(),
            records: Mutex::default(),
        })
    }

    /// A running sync of many collections.
    pub(super) fn with_collections(collections: usize) -> Arc<Self> {
        let session = Self::new(State::Running);
        let mut session = Arc::into_inner(session).expect("one reference");
        session.collections = collections;
        Arc::new(session)
    }

    fn hear(&self, call: Call, what: &str) -> Result<(), OperatorError> {
        if !self.state.allows(call) {
            let why = format!("{call} is not allowed in state {}.", self.state);
            return Err(OperatorError::new(ErrorName::InvalidStateTransition, why));
        }
        self.write_down(format!("{call}{what}"));
        Ok(())
    }

    fn write_down(&self, what: String) {
        self.heard.lock().push(what);
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

impl Control for ScriptedSession {
    async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        let options = serde_json::to_string(&options).expect("options");
        self.hear(Call::Start, &format!(" {options}"))
    }
    async fn pass_on(&self, _call: PassedCall) -> Option<Result<PassedAnswer, OperatorError>> {
        None
    }

    async fn next_passed_call(&self) -> TakenCall {
        std::future::pending().await
    }

    async fn answer_passed_call(&self, _id: String, _answer: PassedAnswer) {}

    fn record(&self, record: AuditRecord) {
        self.records.lock().push(record);
    }
    async fn audit(&self, _: Option<String>, _: u32) -> Result<Vec<AuditRecord>, OperatorError> {
        Ok(self.records.lock().iter().rev().cloned().collect())
    }
    async fn pause(&self) -> Result<(), OperatorError> {
        self.hear(Call::Pause, "")
    }
    async fn resume(&self) -> Result<(), OperatorError> {
        self.hear(Call::Resume, "")
    }
    async fn commit(&self, options: CommitOptions) -> Result<(), OperatorError> {
        let text = match options == CommitOptions::default() {
            true => String::new(),
            false => format!(" {options:?}"),
        };
        self.hear(Call::Commit, &text)
    }
    async fn reverse(&self) -> Result<(), OperatorError> {
        self.hear(Call::Reverse, "")
    }
    async fn load_level(&self, level: u8) -> Result<(), OperatorError> {
        self.write_down(format!("loadLevel {level}"));
        Ok(())
    }
    async fn progress(&self) -> Progress {
        let mut progress = sample_progress(self.state);
        let sample = progress.collections.clone();
        let more = (0..self.collections).flat_map(|number| {
            let name = Namespace::new("many", format!("part{number:05}"));
            sample.iter().map(move |collection| CollectionProgress {
                namespace: name.clone(),
                documents: number as u64,
                ..collection.clone()
            })
        });
        progress.collections.extend(more);
        progress
    }
    fn history(&self) -> History {
        let mut history = History::default();
        history.note(Milestone {
            at: 1_790_000_000,
            state: self.state.to_string(),
            info: None,
        });
        history
    }
    fn readiness(&self) -> Readiness {
        Readiness {
            ready: self.state == State::Running,
            role: "active",
            state: Some(self.state),
            reason: (self.state != State::Running)
                .then(|| "cluster1 has not answered for 3 seconds.".to_owned()),
            clusters: [
                ("cluster0", true),
                ("cluster1", self.state == State::Running),
            ],
        }
    }
    async fn handover(&self) -> Result<(), OperatorError> {
        self.write_down("handover".to_owned());
        Ok(())
    }

    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, OperatorError> {
        Ok(vec![sample_plugin(4)])
    }
    async fn add_plugin(&self, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
        self.write_down(format!("add {} bytes", bytes.len()));
        Ok(sample_plugin(bytes.len()))
    }
    async fn remove_plugin(&self, digest: String) -> Result<(), OperatorError> {
        self.write_down(format!("remove {digest}"));
        Ok(())
    }
    async fn upgrade(&self, upgrade: SwapRequest) -> Result<(), OperatorError> {
        let copied_again = match upgrade.on_incompatible {
            IncompatibilityPolicy::Refuse => "",
            IncompatibilityPolicy::Recopy => ", copying again",
        };
        for ComponentSwap {
            name,
            component: digest,
        } in upgrade.components
        {
            self.write_down(format!("upgrade {name} to {digest}{copied_again}"));
        }
        Ok(())
    }
    async fn recopy(&self, selections: Vec<NamespaceSelection>) -> Result<u64, OperatorError> {
        for NamespaceSelection {
            database,
            collection,
        } in &selections
        {
            let collection = collection.as_deref().unwrap_or("*");
            self.write_down(format!("recopy {database}.{collection}"));
        }
        Ok(selections.len() as u64)
    }
    /// Pages of five documents in quarantine.
    async fn quarantined(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<QuarantinedDocument>, OperatorError> {
        let ids = ["a:1", "a:2", "b&c:3", "b&c:4", "b&c:5"].into_iter();
        let behind = ids.filter(|id| *id > after.as_str());
        Ok(behind
            .take(limit as usize)
            .map(sample_quarantined)
            .collect())
    }
    async fn retry_quarantined(&self) -> Result<RetrySummary, OperatorError> {
        self.write_down("retry".to_owned());
        Ok(RetrySummary { tried: 5, left: 2 })
    }

    /// Three mismatches.
    async fn mismatches(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<ListedMismatch>, OperatorError> {
        let ids = ["a:1", "a:2", "b:1"].into_iter();
        let listed = ids.filter(|id| *id > after.as_str()).map(sample_mismatch);
        Ok(listed.take(limit as usize).collect())
    }

    async fn repair_mismatches(&self) -> Result<(), OperatorError> {
        self.write_down("repair".to_owned());
        Ok(())
    }

    async fn users_and_roles(&self) -> Result<Option<PrincipalsSurvey>, OperatorError> {
        Ok(Some(sample_principals()))
    }

    async fn verify_again(&self) -> Result<(), OperatorError> {
        self.write_down("verify again".to_owned());
        Ok(())
    }
}
