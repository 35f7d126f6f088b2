//! Documents as hosts of version 1 write them, field by field in their order, each with an unknown field that
//! has to stay.

use bson::{RawDocumentBuf, Timestamp, rawdoc};

fn time(seconds: u32) -> Timestamp {
    Timestamp {
        time: seconds,
        increment: 1,
    }
}

pub(super) fn session_0_1_0() -> RawDocumentBuf {
    rawdoc! {
        "_id": "session",
        "metadataVersion": 1,
        "writtenBy": "0.1.0",
        "state": "RUNNING",
        "phase": "collectionCopy",
        "options": {
            "source": "cluster0", "destination": "cluster1", "includeNamespaces": [{ "database": "app" }],
            "excludeNamespaces": [], "buildIndexes": "afterDataCopy",
        },
        "sourceId": "6553f5a1000000032b000001",
        "destinationId": "6553f5a1000000032b000002",
        "startTime": time(0x6553_F5A0),
        "totalBytes": 1_048_576_i64,
        "notRestored": [],
        "warnings": ["The oplog's window looks short."],
    }
}

pub(super) fn session_0_1_1() -> RawDocumentBuf {
    let plugin = |component: &str| {
        rawdoc! { "component": component, "config": "{}", "namespaces": [], "onError": "stop" }
    };
    let pinned = |name: &str, digest: &str| {
        rawdoc! { "name": name, "version": "0.1.1", "digest": digest, "semantics": 1_i64 }
    };
    rawdoc! {
        "_id": "session",
        "metadataVersion": 1,
        "writtenBy": "0.1.1",
        "state": "PAUSED",
        "phase": "changeEventApplication",
        "options": {
            "source": "cluster0", "destination": "cluster1", "includeNamespaces": [],
            "excludeNamespaces": [], "buildIndexes": "never", "documentFilter": "{\"filter\":{\"n\":1}}",
            "plugins": [plugin("field-mask"), plugin("sha256:bb")],
        },
        "sourceId": "6553f5a1000000032b000001",
        "destinationId": "6553f5a1000000032b000002",
        "startTime": time(0x6553_F5A0),
        "totalBytes": 0_i64,
        "commitTime": time(0x6553_F5B0),
        "pinned": [pinned("field-mask", "sha256:aa"), pinned("field-rename", "sha256:bb")],
        "notRestored": ["app.users: email_1"],
        "warnings": [],
        "fromSomewhere": { "else": [1, 2.0, "three"] },
    }
}

pub(super) fn namespace() -> RawDocumentBuf {
    rawdoc! {
        "_id": "000102030405060708090a0b0c0dfeff",
        "kind": "collection",
        "source": { "database": "app", "collection": "users" },
        "destination": { "database": "app", "collection": "users" },
        "destinationUuid": "ff0102030405060708090a0b0c0dfeff",
        "options": { "capped": true, "size": 4096.0 },
        "indexes": [{ "v": 2, "key": { "email": 1 }, "name": "email_1", "unique": true }],
        "copyState": "copying",
        "documents": 10_i64,
        "bytes": 1_000_i64,
        "fromSomewhere": null,
    }
}

pub(super) fn partition() -> RawDocumentBuf {
    rawdoc! {
        "_id": "000102030405060708090a0b0c0dfeff.3",
        "namespaceId": "000102030405060708090a0b0c0dfeff",
        // A user's value: a field of that name inside it is not metadata.
        "lower": { "_id": { "term": "winter", "pinned": 1 } },
        "lastId": { "_id": 12 },
        "documents": 3_i64,
        "bytes": 300_i64,
        "done": false,
        "fromSomewhere": 1,
    }
}

pub(super) fn position() -> RawDocumentBuf {
    rawdoc! {
        "_id": "position",
        "resumeToken": { "_data": "826553F5A1000000032B" },
        "clusterTime": time(0x6553_F5A1),
        "exactAfter": time(0x6553_F5A0),
        "eventsApplied": 12_i64,
        "clean": true,
        "fromSomewhere": "x",
    }
}

pub(super) fn components() -> RawDocumentBuf {
    rawdoc! {
        "_id": "sha256:bb",
        "name": "field-rename",
        "version": "0.1.1",
        "bytes": 150_000_i64,
        "chunks": 1,
        "fromSomewhere": true,
    }
}
