//! Answers of the scripted session: values with every field.

use crate::model::hosts::{HostProgress, HostRole};
use crate::model::latency::LatencyHistogram;
use crate::model::mismatch::{ListedMismatch, Mismatch, MismatchKind, MismatchSubject};
use crate::model::options::{ClusterName, UsersAndRoles};
use crate::model::plugins::{PluginProgress, QuarantinedDocument};
use crate::model::principals::{
    PrincipalConflict, PrincipalFate, PrincipalsProgress, PrincipalsSurvey,
};
use crate::model::progress::{
    self, BlockProgress, CollectionProgress, CollectionVerification, ComparisonProgress,
    ComponentPin, CopyProgress, Endpoint, FeatureDeferral, FeatureSetProgress, IndexFailure,
    IndexProgress, LeaseProgress, ResyncProgress, SwapRecord, ThrottleProgress, UpgradeProgress,
    VerificationProgress, WriteBlocksProgress,
};
use crate::model::{ClusterTime, ErrorName, Namespace, Progress, StartOptions, State};
use crate::plugin::{ComponentInfo, InstalledComponent, InstalledPlugin, Scope};
use std::time::Duration;

pub(super) fn sample_principals() -> PrincipalsSurvey {
    let conflict = |id: &str, fate| PrincipalConflict {
        kind: "user",
        id: id.to_owned(),
        fate,
    };
    let conflicts = vec![
        conflict(
            "sales.writer",
            PrincipalFate::LacksRole("hr.audit".to_owned()),
        ),
        conflict("sales.app", PrincipalFate::Stays),
    ];
    PrincipalsSurvey::new(4, 2, conflicts)
}

pub(super) fn sample_mismatch(id: &str) -> ListedMismatch {
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

fn sample_options() -> StartOptions {
    StartOptions {
        reversible: true,
        users_and_roles: Some(UsersAndRoles::default()),
        ..StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
    }
}

pub(super) fn sample_plugin(bytes: usize) -> InstalledPlugin {
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
            signed_by: None,
            bytes,
        },
        in_use: false,
    }
}

pub(super) fn sample_quarantined(id: &str) -> QuarantinedDocument {
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
pub(super) fn sample_progress(state: State) -> Progress {
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
            documents_per_second: 12.34,
        }],
        index_failures: vec![IndexFailure {
            namespace: Namespace::new("sales", "EMEA"),
            index: "sku_1".to_owned(),
            reason: "the destination answers: E11000 (11000, DuplicateKey)".to_owned(),
        }],
        quarantined: 5,
        oversize_events: 6,
        apply_latency: sample_latency(300),
        copy_latency: sample_latency(400),
        failure: (state == State::Paused).then_some(ErrorName::DestinationRefused),
        commit_undone_at_ms: Some(1_767_323_045_500),
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
        hosts: vec![
            sample_host("a", HostRole::Leader),
            sample_host("b", HostRole::Standby),
        ],
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
        principals: Some(PrincipalsProgress::Checked(sample_principals().counts)),
        options: Some(sample_options()),
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

fn sample_host(id: &str, role: HostRole) -> HostProgress {
    HostProgress {
        id: id.to_owned(),
        instance: format!("host-{id}"),
        release: "9.8.7".to_owned(),
        role,
        items: 0,
        heartbeat_age_ms: 250,
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
            paused_ms: Some(200),
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
                signed_by: None,
            },
            ComponentPin {
                slot: "plugins[0]".to_owned(),
                component: component("1.0.1"),
                since: Some(time),
                signed_by: Some("platform team".to_owned()),
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
