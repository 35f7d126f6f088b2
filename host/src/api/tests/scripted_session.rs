//! Test double of the session.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::api::Control;
use crate::model::commit::CommitOptions;
use crate::model::latency::LatencyHistogram;
use crate::model::mismatch::{ListedMismatch, Mismatch, MismatchKind, MismatchSubject};
use crate::model::plugins::{
    ComponentSwap, IncompatibilityPolicy, NamespaceSelection, PluginProgress, QuarantinedDocument,
    RetrySummary, SwapRequest,
};
use crate::model::progress::{
    self, BlockProgress, CollectionProgress, CollectionVerification, ComparisonProgress,
    ComponentPin, CopyProgress, Endpoint, FeatureDeferral, FeatureSetProgress, IndexProgress,
    LeaseProgress, ResyncProgress, SwapRecord, ThrottleProgress, UpgradeProgress,
    VerificationProgress, WriteBlocksProgress,
};
use crate::model::state::Call;
use crate::model::{
    ClusterTime, ErrorName, Namespace, OperatorError, Progress, Readiness, StartOptions, State,
};
use crate::plugin::{ComponentInfo, InstalledComponent, InstalledPlugin, Scope};

/// Allows the calls that its state allows, and records them.
pub(super) struct ScriptedSession {
    state: State,
    heard: Mutex<Vec<String>>,
}

impl ScriptedSession {
    pub(super) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state,
            heard: Mutex::default(),
        })
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
        sample_progress(self.state)
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
        for ComponentSwap { name, digest } in upgrade.components {
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

    async fn verify_again(&self) -> Result<(), OperatorError> {
        self.write_down("verify again".to_owned());
        Ok(())
    }
}

fn sample_mismatch(id: &str) -> ListedMismatch {
    ListedMismatch {
        id: id.to_owned(),
        state: "open",
        mismatch: Mismatch {
            source: Namespace::new("sales", "EMEA"),
            destination: Namespace::new("sales", "EMEA"),
            subject: MismatchSubject::Document(bson::rawdoc! { "_id": 7 }),
            kind: MismatchKind::Differs,
            path: Some("a.b".to_owned()),
        },
    }
}

fn sample_plugin(bytes: usize) -> InstalledPlugin {
    let info = ComponentInfo {
        role: "transform".to_owned(),
        name: "field-mask".to_owned(),
        version: "1.0.0".to_owned(),
        digest: "sha256:ab".to_owned(),
        abi: "1.0.0".to_owned(),
        semantics: 1,
    };
    InstalledPlugin {
        component: InstalledComponent {
            info,
            exports: vec!["describe".to_owned(), "transform".to_owned()],
            scope: Scope::Document,
            config_schema: r#"{ "type": "object" }"#.to_owned(),
            wasi: false,
            shipped: true,
            bytes,
        },
        in_use: false,
    }
}

fn sample_quarantined(id: &str) -> QuarantinedDocument {
    QuarantinedDocument {
        id: id.to_owned(),
        namespace: Namespace::new("sales", "EMEA"),
        document_id: serde_json::json!({ "$oid": "507f1f77bcf86cd799439011" }),
        component: "field-mask".to_owned(),
        digest: "sha256:ab".to_owned(),
        export: "transform".to_owned(),
        reason: "it answered 2 verdicts for 3 documents".to_owned(),
    }
}

/// A stage with a different value in each number.
fn sample_stage(name: &str, first: u64) -> PluginProgress {
    PluginProgress {
        name: name.to_owned(),
        digest: "sha256:ab".to_owned(),
        documents: first,
        kept: first + 1,
        dropped: first + 2,
        replaced: first + 3,
        quarantined: first + 4,
        errors: first + 5,
        traps: first + 6,
        bytes_in: first + 7,
        bytes_out: first + 8,
        p50_us: first + 9,
        p99_us: first + 10,
        batch_latency: sample_latency(first),
    }
}

/// A histogram with a different count in each bucket.
fn sample_latency(first: u64) -> LatencyHistogram {
    LatencyHistogram {
        counts: std::array::from_fn(|bucket| first + bucket as u64),
        sum: Duration::from_secs(first),
    }
}

#[expect(clippy::too_many_lines, reason = "a value with every field")]
fn sample_progress(state: State) -> Progress {
    Progress {
        state,
        info: (state != State::Idle).then_some("change event application"),
        cannot_commit: Some("Lag is 31 seconds.".to_owned()),
        can_write: false,
        lag_seconds: Some(31),
        total_events_applied: 12,
        copy: CopyProgress {
            total_bytes: 694,
            copied_bytes: 695,
            copied_documents: 7,
        },
        indexes: IndexProgress {
            built: 1,
            total: 2,
            collections_finished: 3,
            collections_total: 4,
        },
        seconds_to_catch_up: Some(5),
        oplog_seconds_remaining: Some(12 * 3600),
        warnings: vec!["Data is not verified.".to_owned()],
        source: Endpoint {
            cluster: "cluster0",
            address: "localhost:27017".to_owned(),
            ping_ms: Some(2),
        },
        destination: Endpoint {
            cluster: "cluster1",
            address: "localhost:27018".to_owned(),
            ping_ms: None,
        },
        safe: Some(ClusterTime {
            seconds: 9,
            increment: 1,
        }),
        reported: Some(ClusterTime {
            seconds: 10,
            increment: 2,
        }),
        mongosync_id: "coordinator".to_owned(),
        coordinator_id: "coordinator".to_owned(),
        collections: vec![CollectionProgress {
            namespace: Namespace::new("sales", "EMEA"),
            destination: Namespace::new("sales", "EMEA"),
            state: "copied",
            documents: 7,
            bytes: 694,
        }],
        quarantined: 5,
        oversize_events: 6,
        apply_latency: sample_latency(300),
        plugins: vec![
            sample_stage("field-mask", 100),
            sample_stage("field-mask", 200),
        ],
        throttle: Some(ThrottleProgress {
            reason: "the destination: its secondary h:1 is 6.5 s behind".to_owned(),
            since: "2026-01-02T03:04:05Z".to_owned(),
            delay_ms: 250,
        }),
        lease: Some(sample_lease()),
        upgrade: sample_upgrade(),
        feature_set: sample_feature_set(),
        resync: Some(sample_resync()),
        comparison: ComparisonProgress {
            documents: 21,
            bytes: 22,
            differences: 23,
        },
        sync_id: Some("set-1.1".to_owned()),
        write_blocking: Some(WriteBlocksProgress {
            source: None,
            destination: Some(BlockProgress {
                is_blocked: Some(true),
                is_ours: true,
            }),
        }),
        blocked_ms: Some(24),
        verification: Some(VerificationProgress {
            verified_to: Some(ClusterTime {
                seconds: 9,
                increment: 1,
            }),
            boundary: Some(ClusterTime {
                seconds: 9,
                increment: 1,
            }),
            documents: 31,
            collections: 2,
            collections_verified: 2,
            mismatches: 0,
            repaired: 3,
            written_by_others: 4,
            sees_foreign_writes: Some(true),
            failure: None,
            estimated_documents: 7,
            lag_seconds: Some(1),
        }),
        verified_collections: vec![(
            Namespace::new("sales", "EMEA"),
            CollectionVerification {
                documents: 31,
                complete: true,
            },
        )],
    }
}

fn sample_resync() -> ResyncProgress {
    let time = |seconds| ClusterTime {
        seconds,
        increment: 1,
    };
    ResyncProgress {
        at: "2026-01-02T03:04:05Z".to_owned(),
        reason: "Lost.".to_owned(),
        from: time(11),
        to: Some(time(12)),
        done: false,
    }
}

fn sample_lease() -> LeaseProgress {
    LeaseProgress {
        ours: true,
        instance: "coordinator".to_owned(),
        holder: "d9b2".to_owned(),
        release: "0.2.0".to_owned(),
        term: 3,
        paused_ms: Some(140),
    }
}

fn sample_upgrade() -> UpgradeProgress {
    UpgradeProgress {
        metadata_version: Some(2),
        binary_version: "0.2.0",
        history: vec![progress::Upgrade {
            at: "2026-11-26T11:00:00Z".to_owned(),
            from_binary: "0.1.1".to_owned(),
            to_binary: "0.2.0".to_owned(),
            from_metadata: 1,
            to_metadata: 2,
            paused_ms: None,
            outcome: "handed over".to_owned(),
        }],
    }
}

fn sample_feature_set() -> FeatureSetProgress {
    let component = |version: &str| ComponentInfo {
        role: "transform".to_owned(),
        name: "field-mask".to_owned(),
        version: version.to_owned(),
        digest: format!("sha256:{version}"),
        abi: "1.0.0".to_owned(),
        semantics: 1,
    };
    let time = ClusterTime {
        seconds: 8,
        increment: 3,
    };
    FeatureSetProgress {
        name: "tidegate".to_owned(),
        version: "0.2.0".to_owned(),
        pinned: vec![
            ComponentPin {
                slot: "documentFilter".to_owned(),
                component: component("1.0.0"),
                since: None,
            },
            ComponentPin {
                slot: "plugins[0]".to_owned(),
                component: component("1.0.1"),
                since: Some(time),
            },
        ],
        available: vec![component("2.0.0")],
        deferred: vec![FeatureDeferral {
            name: "field-mask".to_owned(),
            reason: "Other answers.".to_owned(),
        }],
        swaps: vec![SwapRecord {
            at: "2026-01-02T03:04:05Z".to_owned(),
            slot: "plugins[0]".to_owned(),
            name: "field-mask".to_owned(),
            from_version: "1.0.0".to_owned(),
            from_digest: "sha256:1.0.0".to_owned(),
            to_version: "1.0.1".to_owned(),
            to_digest: "sha256:1.0.1".to_owned(),
            cluster_time: Some(time),
            recopied: false,
        }],
    }
}
