//! Golden bodies of `GET /progress`.

use super::*;

fn stage(first: u64) -> Value {
    json!({
        "name": "field-mask",
        "digest": "sha256:ab",
        "documents": first,
        "kept": first + 1,
        "dropped": first + 2,
        "replaced": first + 3,
        "quarantined": first + 4,
        "errors": first + 5,
        "traps": first + 6,
        "bytesIn": first + 7,
        "bytesOut": first + 8,
        "p50Micros": first + 9,
        "p99Micros": first + 10,
    })
}

fn lease() -> Value {
    json!({
        "ours": true,
        "instance": "coordinator",
        "holder": "d9b2",
        "release": "0.2.0",
        "term": 3,
        "pausedMs": 140,
    })
}

fn host(id: &str, role: &str) -> Value {
    json!({
        "id": id,
        "instance": format!("host-{id}"),
        "release": "9.8.7",
        "role": role,
        "items": 0,
        "heartbeatAgeMs": 250,
    })
}

fn upgrade() -> Value {
    json!({
        "metadataVersion": 2,
        "binaryVersion": "0.2.0",
        "history": [{
            "at": "2026-11-26T11:00:00Z",
            "fromBinary": "0.1.1",
            "toBinary": "0.2.0",
            "fromMetadata": 1,
            "toMetadata": 2,
            "pausedMs": 200,
            "outcome": "handed over",
        }],
    })
}

fn feature_set() -> Value {
    let component = |version: &str| {
        json!({
            "role": "transform",
            "name": "field-mask",
            "version": version,
            "digest": format!("sha256:{version}"),
            "abi": "1.0.0",
            "semantics": 1,
        })
    };
    let pinned = |slot: &str, version: &str, since: Value| {
        let mut pinned = component(version);
        pinned["slot"] = slot.into();
        pinned["signedBy"] = match since.is_null() {
            true => Value::Null,
            false => json!("platform team"),
        };
        pinned["since"] = since;
        pinned
    };
    let time = json!({ "T": 8, "I": 3 });
    json!({
        "name": "tidegate",
        "version": "0.2.0",
        "pinned": [
            pinned("documentFilter", "1.0.0", Value::Null),
            pinned("plugins[0]", "1.0.1", time.clone()),
        ],
        "available": [component("2.0.0")],
        "deferredFeatures": [{ "name": "field-mask", "reason": "Other answers." }],
        "swaps": [{
            "at": "2026-01-02T03:04:05Z",
            "slot": "plugins[0]",
            "name": "field-mask",
            "fromVersion": "1.0.0",
            "fromDigest": "sha256:1.0.0",
            "toVersion": "1.0.1",
            "toDigest": "sha256:1.0.1",
            "clusterTime": time,
            "recopied": false,
        }],
    })
}

fn collection() -> Value {
    json!({
        "namespace": "sales.EMEA",
        "destination": "sales.EMEA",
        "state": "copied",
        "documents": 7,
        "bytes": 694,
        "documentsPerSecond": 12.3,
    })
}

fn index_building() -> Value {
    json!({
        "indexesBuilt": 1,
        "totalIndexesToBuild": 2,
        "collectionsFinished": 3,
        "collectionsTotal": 4,
        "failed": [{
            "namespace": "sales.EMEA",
            "index": "sku_1",
            "reason": "the destination answers: E11000 (11000, DuplicateKey)",
        }],
    })
}

#[tokio::test]
async fn progress_of_a_running_sync() {
    let control = ScriptedSession::new(State::Running);
    let (status, answer) = call(&control, "GET", "/api/v1/progress?collections=true", "").await;
    assert_eq!(status, StatusCode::OK);
    let mut answer = answer;
    let progress = answer["progress"].as_object_mut().expect("an object");
    assert_eq!(progress.remove("verification"), Some(verification()));
    assert_eq!(
        answer,
        json!({
            "success": true,
            "progress": {
                "state": "RUNNING",
                "canCommit": false,
                "canWrite": false,
                "canCommitReason": "Lag is 31 seconds.",
                "info": "change event application",
                "lagTimeSeconds": 31,
                "lag": { "overallLagSeconds": 31, "crudLagSeconds": 31, "ddlLagSeconds": 31 },
                "totalEventsApplied": 12,
                "collectionCopy": { "estimatedTotalBytes": 695, "estimatedCopiedBytes": 695 },
                "indexBuilding": index_building(),
                "estimatedSecondsToCEACatchup": 5,
                "estimatedOplogTimeRemaining": "12 hours",
                "warnings": ["Data is not verified."],
                "source": { "pingLatencyMs": 2 },
                "destination": {},
                "directionMapping": {
                    "Source": "cluster0: localhost:27017",
                    "Destination": "cluster1: localhost:27018",
                },
                "mongosyncID": "coordinator",
                "coordinatorID": "coordinator",
                "positions": {
                    "safe": { "clusterTime": { "T": 9, "I": 1 } },
                    "reported": { "clusterTime": { "T": 10, "I": 2 } },
                },
                "quarantined": 5,
                "plugins": [stage(100), stage(200)],
                "throttle": {
                    "reason": "the destination: its secondary h:1 is 6.5 s behind",
                    "since": "2026-01-02T03:04:05Z",
                    "delayMs": 250,
                },
                "lease": lease(),
                "hosts": [host("a", "leader"), host("b", "standby")],
                "upgrade": upgrade(),
                "featureSet": feature_set(),
                "resync": resync(),
                "comparison": comparison(),
                "syncID": "set-1.1",
                "writeBlocking": { "source": null, "destination": { "blocked": true, "ours": true } },
                "blockedMs": 24,
                "usersAndRoles": users_and_roles(),
                "collections": [collection()],
            },
        })
    );
    let (_, without) = call(&control, "GET", "/api/v1/progress", "").await;
    assert_eq!(without["progress"].get("collections"), None);
}

/// Counts alone: the names are those of `GET /usersAndRoles`.
fn users_and_roles() -> Value {
    let counts =
        json!({ "users": 4, "roles": 2, "clashes": 1, "overwritten": 0, "missingRoles": 1 });
    json!({ "counts": counts, "failure": null })
}

fn resync() -> serde_json::Value {
    json!({
        "at": "2026-01-02T03:04:05Z",
        "reason": "Lost.",
        "from": { "T": 11, "I": 1 },
        "to": { "T": 12, "I": 1 },
        "done": false,
    })
}

fn comparison() -> serde_json::Value {
    json!({ "documents": 21, "bytes": 22, "differences": 23 })
}

fn verification() -> serde_json::Value {
    json!({
        "source": verified_side(),
        "destination": verified_side(),
        "verifiedTo": { "T": 9, "I": 1 },
        "mismatches": 0,
        "repaired": 3,
        "writtenByOthers": 4,
        "failure": null,
    })
}

fn verified_side() -> serde_json::Value {
    json!({
        "phase": "stream hashing",
        "estimatedDocumentCount": 31,
        "hashedDocumentCount": 31,
        "totalCollectionCount": 2,
        "scannedCollectionCount": 2,
        "lagTimeSeconds": 1,
    })
}

#[tokio::test]
async fn progress_in_idle_is_null_but_for_the_state_and_the_ids() {
    let (_, answer) = call(
        &ScriptedSession::new(State::Idle),
        "GET",
        "/api/v1/progress?collections=true",
        "",
    )
    .await;
    let fields = answer["progress"].as_object().expect("an object");
    let set: Vec<&str> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        set,
        [
            "state",
            "canCommit",
            "canWrite",
            "mongosyncID",
            "coordinatorID"
        ]
    );
    assert_eq!(fields["state"], "IDLE");
    assert!(fields.contains_key("lagTimeSeconds") && fields.contains_key("plugins"));
}

/// What MongoDB's monitor of migrations (Mongosync Insights, of MongoDB's support-tools) reads, with mongosync's types.
/// A null stands for an absent field, but for `indexBuilding`: the monitor looks into it where it is present.
#[tokio::test]
async fn mongosync_insights_finds_what_it_reads() {
    const READ: &[(&str, &str)] = &[
        ("/state", "string"),
        ("/canCommit", "boolean"),
        ("/canWrite", "boolean"),
        ("/info", "string"),
        ("/lagTimeSeconds", "integer"),
        ("/estimatedSecondsToCEACatchup", "integer"),
        ("/estimatedOplogTimeRemaining", "string"),
        ("/totalEventsApplied", "integer"),
        ("/collectionCopy/estimatedTotalBytes", "integer"),
        ("/collectionCopy/estimatedCopiedBytes", "integer"),
        ("/indexBuilding/indexesBuilt", "integer"),
        ("/indexBuilding/totalIndexesToBuild", "integer"),
        ("/indexBuilding/collectionsFinished", "integer"),
        ("/indexBuilding/collectionsTotal", "integer"),
        ("/directionMapping/Source", "string"),
        ("/directionMapping/Destination", "string"),
        ("/source/pingLatencyMs", "integer"),
        ("/mongosyncID", "string"),
        ("/coordinatorID", "string"),
        ("/verification/source/phase", "string"),
        ("/verification/source/lagTimeSeconds", "integer"),
        ("/verification/source/totalCollectionCount", "integer"),
        ("/verification/source/scannedCollectionCount", "integer"),
        ("/verification/source/hashedDocumentCount", "integer"),
        ("/verification/source/estimatedDocumentCount", "integer"),
        ("/verification/destination/phase", "string"),
        ("/verification/destination/lagTimeSeconds", "integer"),
        ("/verification/destination/totalCollectionCount", "integer"),
        (
            "/verification/destination/scannedCollectionCount",
            "integer",
        ),
        ("/verification/destination/hashedDocumentCount", "integer"),
        (
            "/verification/destination/estimatedDocumentCount",
            "integer",
        ),
    ];
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        _ => "another type",
    };
    for state in [
        State::Running,
        State::Paused,
        State::Committing,
        State::Committed,
    ] {
        let control = ScriptedSession::new(state);
        let (_, answer) = call(&control, "GET", "/api/v1/progress", "").await;
        for (pointer, expected) in READ {
            let value = answer.pointer(&format!("/progress{pointer}"));
            assert_eq!(value.map(kind), Some(*expected), "{pointer} in {answer:#}");
        }
    }
    let control = ScriptedSession::new(State::Idle);
    let (_, idle) = call(&control, "GET", "/api/v1/progress", "").await;
    assert_eq!(idle.pointer("/progress/indexBuilding"), None, "{idle:#}");
}
