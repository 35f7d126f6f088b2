//! `POST /start`: mongosync's documented bodies, and every kind of invalid body.

use super::*;
use crate::model::options::{
    BuildIndexes, Json, NamespaceFilter, OnError, OnMismatch, PluginOptions, Regex,
    VerificationOptions, WriteBlockMode,
};

/// Bodies of mongosync's documented curl lines, verbatim.
pub(super) const DOCUMENTED_START: &str = r#"
   {
      "source": "cluster0",
      "destination": "cluster1"
   }"#;
const DOCUMENTED_FILTERED_START: &str = r#"
   {
      "source": "cluster0",
      "destination": "cluster1",
      "includeNamespaces": [
         {
             "database": "sales",
             "collectionsRegex": {
                "pattern": "^accounts_.+$",
                "options": "i"
             }
         }, {
            "database": "marketing"
         }
      ]
   } "#;
const DOCUMENTED_SHORT_START: &str = r#"{ "source": "cluster0", "destination": "cluster1" }"#;

async fn start(body: impl Into<Body>) -> (StatusCode, Value, Vec<String>) {
    let control = ScriptedSession::new(State::Idle);
    let (status, answer) = call(&control, "POST", "/api/v1/start", body).await;
    (status, answer, control.heard())
}

/// The options of the only recorded start.
fn options(heard: &[String]) -> StartOptions {
    let [start] = heard else { panic!("{heard:?}") };
    let options = start.strip_prefix("start ").expect("a start");
    serde_json::from_str(options).expect("options")
}

#[tokio::test]
async fn mongosyncs_documented_start_lines_work() {
    for body in [DOCUMENTED_START, DOCUMENTED_SHORT_START] {
        let (status, answer, heard) = start(body).await;
        assert_eq!(
            (status, answer),
            (StatusCode::OK, json!({ "success": true }))
        );
        assert_eq!(heard.len(), 1);
    }
    let (status, answer, heard) = start(DOCUMENTED_FILTERED_START).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({ "success": true }))
    );
    let options = options(&heard);
    let accounts = Regex {
        pattern: "^accounts_.+$".to_owned(),
        options: "i".to_owned(),
    };
    assert_eq!(
        options.include_namespaces,
        [
            NamespaceFilter {
                database: Some("sales".to_owned()),
                collections_regex: Some(accounts),
                ..Default::default()
            },
            NamespaceFilter {
                database: Some("marketing".to_owned()),
                ..Default::default()
            },
        ]
    );
    assert_eq!(options.build_indexes, BuildIndexes::AfterDataCopy);
}

#[tokio::test]
async fn flow_control_has_a_bound_of_ten_seconds_by_default() {
    let given = |throttle: &str| {
        format!(r#"{{ "source": "cluster0", "destination": "cluster1"{throttle} }}"#)
    };
    for (throttle, bound) in [
        ("", 10),
        (r#", "throttle": {}"#, 10),
        (r#", "throttle": { "maxReplicationLagSeconds": 0 }"#, 0),
        (r#", "throttle": { "maxReplicationLagSeconds": 60 }"#, 60),
    ] {
        let (status, _, heard) = start(given(throttle)).await;
        assert_eq!(status, StatusCode::OK, "{throttle}");
        let found = options(&heard).throttle.max_replication_lag_seconds;
        assert_eq!(found, bound, "{throttle}");
    }
    for (throttle, error) in [
        (r#"{ "maxReplicationLagSeconds": -1 }"#, "InvalidField"),
        (r#"{ "maxReplicationLagSeconds": 3601 }"#, "InvalidField"),
        (r#"{ "maxReplicationLag": 1 }"#, "UnknownField"),
        ("5", "InvalidField"),
    ] {
        let body = given(&format!(r#", "throttle": {throttle}"#));
        let (_, answer, heard) = start(body).await;
        assert_eq!(answer["error"], error, "{throttle}");
        assert!(heard.is_empty());
    }
}

/// A start with `fields` in addition to source and destination.
fn with(fields: &str) -> String {
    format!(r#"{{ "source": "cluster0", "destination": "cluster1", {fields} }}"#)
}

fn with_filter(filter: &str) -> String {
    with(&format!(r#""includeNamespaces": [{filter}]"#))
}

// Tables of refusals: error | text that its description must contain | input.

const BAD_BODIES: &str = r#"
InvalidJson  | line 1                 | {
InvalidJson  | refused as JSON        | source=cluster0
InvalidJson  | not an object          | []
InvalidJson  | not an object          | null
MissingField | 'source'               |
MissingField | 'destination'          | { "source": "cluster0" }
InvalidField | 'source'               | { "source": 0, "destination": "cluster1" }
InvalidField | 'cluster0', 'cluster1' | { "source": "cluster2", "destination": "cluster1" }
InvalidField | same connection        | { "source": "cluster0", "destination": "cluster0" }
"#;

const BAD_FIELDS: &str = r#"
UnknownField | did you mean 'includeNamespaces'?                     | "includeNamespace": []
UnknownField | did you mean 'verification'?                          | "verifcation": {}
UnknownField | 'verification.enable' (did you mean 'enabled'?)       | "verification": { "enable": false }
InvalidField | 'includeNamespaces': expected an array                | "includeNamespaces": {}
InvalidField | 'includeNamespaces[0]': expected an object            | "includeNamespaces": ["db"]
InvalidField | 'includeNamespaces[0]': expected an object            | "includeNamespaces": [["db"]]
InvalidField | 'afterDataCopy'                                       | "buildIndexes": "later"
InvalidField | 'reversible': expected a boolean                      | "reversible": "yes"
InvalidField | 'enableUserWriteBlocking'                             | "enableUserWriteBlocking": "some"
InvalidField | a string or a boolean                                 | "enableUserWriteBlocking": 1
InvalidField | 'reversible' needs                                    | "reversible": true
InvalidField | 'reversible' needs                                    | "reversible": true, "enableUserWriteBlocking": true, "buildIndexes": "never"
NotSupported | 'documentFilter'                                      | "reversible": true, "enableUserWriteBlocking": true, "documentFilter": { "field": "a", "matchValues": [1] }
NotSupported | 'preExistingDestinationData'                          | "preExistingDestinationData": true
NotSupported | 'sharding'                                            | "sharding": { "shardingEntries": [] }
NotSupported | 'copyInNaturalOrder'                                  | "copyInNaturalOrder": true
NotSupported | 'copyInNaturalOrder'                                  | "copyInNaturalOrder": [{ "database": "a", "collections": ["b"] }]
InvalidField | 'copyInNaturalOrder': expected an array or a boolean  | "copyInNaturalOrder": "all"
UnknownField | 'copyInNaturalOrder[0].databse'                       | "copyInNaturalOrder": [{ "databse": "a" }]
NotSupported | 'buildIndexes'                                        | "buildIndexes": "excludeHashed"
NotSupported | 'buildIndexes'                                        | "buildIndexes": "excludeHashedAfterCopy"
"#;

const BAD_FILTERS: &str = r#"
InvalidField | 'database' or 'databaseRegex'                 | {}
InvalidField | 'includeNamespaces[0]'                        | { "database": "a", "databaseRegex": { "pattern": "b" } }
InvalidField | give one                                      | { "database": "a", "collections": ["b"], "collectionsRegex": { "pattern": "b" } }
InvalidField | 'includeNamespaces[0].collections'            | { "database": "a", "collections": [] }
InvalidField | 'includeNamespaces[0].collections[1]'         | { "database": "a", "collections": ["b", ""] }
InvalidField | 'includeNamespaces[0].collections[1]'         | { "database": "a", "collections": ["b", 3] }
InvalidField | never synced                                  | { "database": "a", "collections": ["system.views"] }
InvalidField | never synced                                  | { "database": "admin" }
InvalidField | never synced                                  | { "database": "mongosync_internal_x" }
InvalidField | cannot be the name                            | { "database": "a.b" }
UnknownField | [0].databse' (did you mean 'database'?)       | { "databse": "a" }
InvalidField | 'includeNamespaces[0].databaseRegex'          | { "databaseRegex": "^a" }
MissingField | 'includeNamespaces[0].databaseRegex.pattern'  | { "databaseRegex": {} }
InvalidRegex | 'g'                                           | { "databaseRegex": { "pattern": "a", "options": "ig" } }
"#;

const BAD_CHAINS: &str = r#"
InvalidField | 'documentFilter': expected an object, found an array  | "documentFilter": [{ "field": "a" }]
InvalidField | 'documentFilter': expected an object, found a string  | "documentFilter": "a"
InvalidField | 'namespaceRemap': expected an array                   | "namespaceRemap": { "from": "a" }
MissingField | 'namespaceRemap[0].to'                                | "namespaceRemap": [{ "from": { "database": "a" } }]
MissingField | 'namespaceRemap[0].to.database'                       | "namespaceRemap": [{ "from": { "database": "a" }, "to": {} }]
UnknownField | 'namespaceRemap[0].from.databse' (did you mean 'database'?) | "namespaceRemap": [{ "from": { "databse": "a" } }]
InvalidField | 'namespaceRemap[0].from.collection': expected a string | "namespaceRemap": [{ "from": { "database": "a", "collection": 1 } }]
InvalidField | 'plugins': expected an array                          | "plugins": "field-mask"
InvalidField | 'plugins[0]': expected an object                      | "plugins": ["field-mask"]
MissingField | 'plugins[0].component'                                | "plugins": [{ "config": {} }]
UnknownField | 'plugins[1].onEror' (did you mean 'onError'?)         | "plugins": [{ "component": "a" }, { "component": "b", "onEror": "stop" }]
InvalidField | 'plugins[0].onError': 'ignore' is not one of 'stop', 'quarantine' | "plugins": [{ "component": "a", "onError": "ignore" }]
InvalidField | 'plugins[0].config': expected an object               | "plugins": [{ "component": "a", "config": [] }]
InvalidField | 'plugins[0].namespaces[0]': either                    | "plugins": [{ "component": "a", "namespaces": [{}] }]
InvalidField | 'plugins[0].namespaces[0].database'                   | "plugins": [{ "component": "a", "namespaces": [{ "database": "admin" }] }]
UnknownField | 'plugins[0].namespaces[0].databases'                  | "plugins": [{ "component": "a", "namespaces": [{ "databases": "b" }] }]
"#;

#[tokio::test]
async fn a_bad_start_is_refused_by_name_and_reaches_nobody() {
    let verbatim: fn(&str) -> String = str::to_owned;
    for (table, wrap) in [
        (BAD_BODIES, verbatim),
        (BAD_FIELDS, with),
        (BAD_FILTERS, with_filter),
        (BAD_CHAINS, with),
    ] {
        for line in table.trim().lines() {
            let cells: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
            let [error, holds, input] = cells[..] else {
                panic!("{line}")
            };
            let (status, answer, heard) = start(wrap(input)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{line}: {answer}");
            assert_eq!(answer["success"], false, "{line}");
            assert_eq!(answer["error"], error, "{line}: {answer}");
            let why = answer["errorDescription"].as_str().expect("a sentence");
            assert!(why.contains(holds) && why.ends_with('.'), "{line}: {why}");
            assert!(heard.is_empty(), "{line}");
        }
    }
}

/// Covers every call that has a body, at any depth, also in the configuration of a plugin.
#[tokio::test]
async fn f48_a_name_that_is_given_twice_is_refused() {
    for (call, body, place) in [
        ("start", with(r#""source": "cluster1""#), "'source'"),
        (
            "start",
            with(r#""documentFilter": { "filter": { "a": { "$gt": 2 }, "a": { "$lt": 5 } } }"#),
            "'documentFilter.filter.a'",
        ),
        (
            "start",
            with(r#""plugins": [{ "component": "x", "config": { "k": [{ "v": 1, "v": 2 }] } }]"#),
            "'plugins[0].config.k[0].v'",
        ),
        ("pause", r#"{ "x": 1, "x": 1 }"#.to_owned(), "'x'"),
        ("resume", r#"{ "x": 1, "x": 1 }"#.to_owned(), "'x'"),
        ("commit", r#"{ "x": 1, "x": 1 }"#.to_owned(), "'x'"),
        ("reverse", r#"{ "x": 1, "x": 1 }"#.to_owned(), "'x'"),
        ("handover", r#"{ "x": 1, "x": 1 }"#.to_owned(), "'x'"),
        (
            "upgrade",
            r#"{ "components": [{ "name": "a", "name": "b", "digest": "c" }] }"#.to_owned(),
            "'components[0].name'",
        ),
        (
            "quarantine/retry",
            r#"{ "x": 1, "x": 1 }"#.to_owned(),
            "'x'",
        ),
        (
            "recopy",
            r#"{ "namespaces": [{ "database": "a", "database": "b" }] }"#.to_owned(),
            "'namespaces[0].database'",
        ),
    ] {
        let control = ScriptedSession::new(State::Idle);
        let path = format!("/api/v1/{call}");
        let (status, answer) = super::call(&control, "POST", &path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert_eq!(answer["error"], "InvalidJson", "{body}: {answer}");
        let why = answer["errorDescription"].as_str().expect("a sentence");
        assert!(why.contains(place) && why.contains("given twice"), "{why}");
        assert!(control.heard().is_empty());
    }
}

#[tokio::test]
async fn values_that_ask_for_nothing_are_accepted() {
    let (status, answer, heard) = start(with(
        r#""reversible": false, "verification": null,
           "preExistingDestinationData": false, "sharding": null, "documentFilter": null,
           "namespaceRemap": [], "plugins": [], "copyInNaturalOrder": false, "detectRandomId": true,
           "skipDiskSpaceCheck": false, "includeNamespaces": [], "excludeNamespaces": null"#,
    ))
    .await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({ "success": true }))
    );
    let (_, _, plain) = start(DOCUMENTED_START).await;
    assert_eq!(heard, plain, "the options are those of a plain start");
    for field in [
        r#""enableUserWriteBlocking": false"#,
        r#""verification": false"#,
        r#""copyInNaturalOrder": []"#,
    ] {
        let (status, ..) = start(with(field)).await;
        assert_eq!(status, StatusCode::OK, "{field}");
    }
}

#[tokio::test]
async fn write_blocking_has_mongosyncs_words_and_its_older_booleans() {
    for (value, mode) in [
        ("\"destinationOnly\"", WriteBlockMode::DestinationOnly),
        (
            "\"sourceAndDestination\"",
            WriteBlockMode::SourceAndDestination,
        ),
        ("\"none\"", WriteBlockMode::None),
        ("true", WriteBlockMode::SourceAndDestination),
        ("false", WriteBlockMode::None),
    ] {
        let (status, _, heard) =
            start(with(&format!(r#""enableUserWriteBlocking": {value}"#))).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        assert_eq!(options(&heard).write_blocking, Some(mode), "{value}");
    }
    let (_, _, heard) = start(DOCUMENTED_START).await;
    assert_eq!(options(&heard).write_blocking, None);
}

#[tokio::test]
async fn verification_is_an_object_or_mongosyncs_older_boolean() {
    let repair = VerificationOptions {
        on_mismatch: OnMismatch::Repair,
        ..VerificationOptions::ON
    };
    for (value, expected) in [
        ("null", None),
        ("true", Some(VerificationOptions::ON)),
        ("false", Some(VerificationOptions::OFF)),
        ("{}", Some(VerificationOptions::ON)),
        (r#"{ "enabled": false }"#, Some(VerificationOptions::OFF)),
        (
            r#"{ "onMismatch": "report" }"#,
            Some(VerificationOptions::ON),
        ),
        (r#"{ "onMismatch": "repair" }"#, Some(repair)),
    ] {
        let (status, _, heard) = start(with(&format!(r#""verification": {value}"#))).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        assert_eq!(options(&heard).verification, expected, "{value}");
    }
}

#[tokio::test]
async fn the_chain_is_passed_on_as_given() {
    let filter = json!({ "field": "a.b", "matchValues": [1, -2.5, "x", { "$oid": "507f1f77bcf86cd799439011" }] });
    let remap = json!([
        { "from": { "database": "a" }, "to": { "database": "b" } },
        { "from": { "database": "a", "collection": "c" }, "to": { "database": "d", "collection": "e" } },
    ]);
    let config = json!({ "paths": [{ "path": "$.name", "action": "drop" }], "": null });
    let fields = json!({
        "source": "cluster0",
        "destination": "cluster1",
        "documentFilter": filter,
        "namespaceRemap": remap,
        "plugins": [
            { "component": "field-mask", "config": config, "namespaces": [{ "database": "a" }], "onError": "quarantine" },
            { "component": "sha256:ab" },
        ],
    });
    let (status, answer, heard) = start(fields.to_string()).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({ "success": true }))
    );
    let options = options(&heard);
    assert_eq!(options.document_filter, Some(Json(filter)));
    assert_eq!(options.namespace_remap, Some(Json(remap)));
    let database = NamespaceFilter {
        database: Some("a".to_owned()),
        ..Default::default()
    };
    assert_eq!(
        options.plugins,
        [
            PluginOptions {
                component: "field-mask".to_owned(),
                config: Json(config),
                namespaces: vec![database],
                on_error: OnError::Quarantine,
            },
            PluginOptions {
                component: "sha256:ab".to_owned(),
                config: Json(json!({})),
                namespaces: Vec::new(),
                on_error: OnError::Stop,
            },
        ]
    );
}
