//! Configured filters. `tests/tests/document_filter.rs` compares their results with a real server.

use bson::{RawBson, RawDocumentBuf, rawdoc};
use tidegate_plugin_sdk::parse;

use super::*;

fn configure(config: &str) -> Result<DocumentFilter, ConfigError> {
    DocumentFilter::configure(parse(config)?)
}

fn verdict(filter: &DocumentFilter, document: &[u8]) -> Result<Verdict, DocumentFailure> {
    let namespace = Namespace {
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    filter.transform(&namespace, document, &mut Vec::new())
}

/// The numbers of the documents that a configuration keeps.
fn kept(config: &str) -> Vec<usize> {
    let documents: [RawDocumentBuf; 6] = [
        rawdoc! { "_id": 0, "a": 1, "n": { "x": "eu" } },
        rawdoc! { "_id": 1, "a": 2_i64, "n": [{ "x": "uk" }, { "y": 1 }] },
        rawdoc! { "_id": 2, "a": [3, "s"], "n": { "x": ["eu", "us"] } },
        rawdoc! { "_id": 3, "a": RawBson::Null, "n": 5 },
        rawdoc! { "_id": 4, "a": "s" },
        rawdoc! { "_id": 5 },
    ];
    let filter = configure(config).expect(config);
    let verdicts = documents
        .iter()
        .map(|document| verdict(&filter, document.as_bytes()).expect(config));
    verdicts
        .enumerate()
        .filter_map(|(number, verdict)| (verdict == Verdict::Keep).then_some(number))
        .collect()
}

#[test]
fn documents_are_kept_or_dropped_as_the_configuration_says() {
    for (config, numbers) in [
        (
            r#"{"field": "n.x", "matchValues": ["eu", "uk"]}"#,
            &[0, 1, 2][..],
        ),
        (r#"{"field": "a", "matchValues": [2.0, null]}"#, &[1, 3, 5]),
        (r#"{"field": "a", "matchValues": [[3, "s"]]}"#, &[2]),
        (r#"{"filter": {}}"#, &[0, 1, 2, 3, 4, 5]),
        (r#"{"filter": {"a": {"$gt": 1, "$lt": 3}}}"#, &[1]),
        (
            r#"{"filter": {"a": {"$ne": "s"}, "n.x": {"$exists": true}}}"#,
            &[0, 1],
        ),
        (
            r#"{"filter": {"$or": [{"a": {"$type": "string"}}, {"n": 5}]}}"#,
            &[2, 3, 4],
        ),
        (
            r#"{"filter": {"$nor": [{"a": null}, {"a": {"$in": [1, 2]}}]}}"#,
            &[2, 4],
        ),
        (
            r#"{"filter": {"$and": [{"a": {"$not": {"$gte": 2}}}, {"n": {"$exists": 1}}]}}"#,
            &[0, 3],
        ),
    ] {
        assert_eq!(kept(config), numbers, "{config}");
    }
}

#[test]
fn bytes_that_are_no_document_are_a_failure() {
    let filter = configure(r#"{"field": "a", "matchValues": [1]}"#).expect("a filter");
    for bytes in [
        &[9, 0, 0, 0, 0x10, b'b', 0, 1, 0][..],
        &[6, 0, 0, 0, 0x7E, 0],
    ] {
        let failure = verdict(&filter, bytes).expect_err("malformed");
        assert!(
            matches!(failure, DocumentFailure::Document(_)),
            "{failure:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn refusals_name_the_field() {
    use ConfigFault::{InvalidValue, MissingField, NotSupported, UnknownField};
    for (config, fault, path) in [
        ("{}", MissingField, ""),
        (r#"{"field": "a"}"#, MissingField, "matchValues"),
        (r#"{"matchValues": [1]}"#, MissingField, "field"),
        (
            r#"{"field": "a", "matchValues": []}"#,
            InvalidValue,
            "matchValues",
        ),
        (
            r#"{"field": "a", "matchValues": 5}"#,
            InvalidValue,
            "matchValues",
        ),
        (
            r#"{"field": "a..b", "matchValues": [1]}"#,
            InvalidValue,
            "field",
        ),
        (
            r#"{"field": "$a", "matchValues": [1]}"#,
            InvalidValue,
            "field",
        ),
        (
            r#"{"field": "a", "matchValues": [1], "filter": {}}"#,
            InvalidValue,
            "filter",
        ),
        (r#"{"field": "a", "values": [1]}"#, UnknownField, "values"),
        (
            r#"{"field": "a", "matchValues": [1, {"$oid": "x"}]}"#,
            InvalidValue,
            "matchValues[1]",
        ),
        (r#"{"filter": [1]}"#, InvalidValue, "filter"),
    ] {
        refused(config, fault, path);
    }
    let pattern = r#"{"$regularExpression": {"pattern": "a", "options": ""}}"#;
    for (query, fault, path) in [
        (
            r#"{"$or": [{"a": 1}, {"a": {"$gt": {"$oid": 1}}}]}"#,
            InvalidValue,
            ".$or[1].a.$gt",
        ),
        (r#"{"$or": []}"#, InvalidValue, ".$or"),
        (r#"{"$and": {"a": 1}}"#, InvalidValue, ".$and"),
        (r#"{"$and": [{}, 1]}"#, InvalidValue, ".$and[1]"),
        (r#"{"$gt": 1}"#, InvalidValue, ".$gt"),
        (r#"{"$expr": {}}"#, NotSupported, ".$expr"),
        (r#"{"$foo": {}}"#, UnknownField, ".$foo"),
        (r#"{"a": {"$and": [{}]}}"#, InvalidValue, ".a.$and"),
        (r#"{"a": {"$gt": 1, "b": 1}}"#, InvalidValue, ".a.b"),
        (r#"{"a": {"$gtt": 1}}"#, UnknownField, ".a.$gtt"),
        (
            r#"{"a.b": {"$elemMatch": {}}}"#,
            NotSupported,
            ".a.b.$elemMatch",
        ),
        (
            r#"{"a": {"$not": {"$regex": "a"}}}"#,
            NotSupported,
            ".a.$not.$regex",
        ),
        (
            &format!(r#"{{"a": {{"$not": {pattern}}}}}"#),
            NotSupported,
            ".a.$not",
        ),
        (&format!(r#"{{"a": {pattern}}}"#), NotSupported, ".a"),
        (
            &format!(r#"{{"a": {{"$in": [1, {pattern}]}}}}"#),
            NotSupported,
            ".a.$in[1]",
        ),
        (r#"{"a": {"$not": 1}}"#, InvalidValue, ".a.$not"),
        (r#"{"a": {"$not": {}}}"#, InvalidValue, ".a.$not"),
        (r#"{"a": {"$in": 1}}"#, InvalidValue, ".a.$in"),
        (
            r#"{"a": {"$eq": {"$undefined": true}}}"#,
            InvalidValue,
            ".a.$eq",
        ),
        (r#"{"a": {"$exists": "yes"}}"#, InvalidValue, ".a.$exists"),
        (r#"{"a": {"$type": "strin"}}"#, InvalidValue, ".a.$type"),
        (r#"{"a": {"$type": []}}"#, InvalidValue, ".a.$type"),
        (r#"{"a": {"b": {"$gt": 1}}}"#, InvalidValue, ".a.b.$gt"),
        (r#"{"": 1}"#, InvalidValue, "."),
    ] {
        refused(
            &format!(r#"{{"filter": {query}}}"#),
            fault,
            &format!("filter{path}"),
        );
    }
}

fn refused(config: &str, fault: ConfigFault, path: &str) {
    let error = configure(config).expect_err(config);
    assert_eq!(
        (error.fault, error.path.as_str()),
        (fault, path),
        "{config}: {}",
        error.reason
    );
}

#[test]
fn the_schema_is_json() {
    let schema = DocumentFilter::DESCRIPTION.config_schema;
    serde_json::from_str::<Json>(schema).expect("JSON");
}
