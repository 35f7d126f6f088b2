//! Refused configurations, each with the field at fault.

use tidegate_plugin_sdk::{ConfigFault, Plugin};

use super::{FieldRename, configure};
use ConfigFault::{InvalidValue, MissingField, NotSupported, UnknownField};

#[track_caller]
fn refused(rule: &str, fault: ConfigFault, field: &str) {
    let error = configure(&format!(r#"{{"rules": [{{{rule}}}]}}"#)).expect_err(rule);
    assert_eq!(
        (error.fault, error.path),
        (fault, format!("rules[0]{field}")),
        "{rule}: {}",
        error.reason
    );
}

#[test]
fn a_rule_needs_its_fields() {
    let rename = |fields: &str| format!(r#""rename": {{{fields}}}"#);
    let convert = |fields: &str| format!(r#""convert": {{{fields}}}"#);
    for (rule, fault, field) in [
        (r#""erase": {}"#.to_owned(), InvalidValue, ""),
        (rename(r#""from": "a""#), MissingField, ".rename"),
        (
            rename(r#""from": "a", "to": "b", "way": 1"#),
            UnknownField,
            ".rename.way",
        ),
        (
            rename(r#""from": "a", "to": "b", "ifExists": "skip""#),
            InvalidValue,
            ".rename.ifExists",
        ),
        (
            convert(r#""path": "a", "to": "uuid""#),
            InvalidValue,
            ".convert.to",
        ),
        (
            convert(r#""path": "a", "to": "int", "onNull": "null""#),
            InvalidValue,
            ".convert.onNull",
        ),
    ] {
        refused(&rule, fault, field);
    }
    let error = configure(r#"{"rules": []}"#).expect_err("no rules");
    assert_eq!((error.fault, error.path.as_str()), (InvalidValue, "rules"));
}

#[test]
fn the_id_stays_and_names_are_names() {
    for (rule, from, to, fault, field) in [
        ("rename", "a.b", "a.c", InvalidValue, "to"),
        ("rename", "a.b", "b", InvalidValue, "to"),
        ("rename", "a", "", InvalidValue, "to"),
        ("rename", "a", "$b", InvalidValue, "to"),
        ("rename", "_id", "b", NotSupported, "from"),
        ("rename", "_id.a", "b", NotSupported, "from"),
        ("rename", "a", "_id", NotSupported, "to"),
        ("move", "_id", "b", NotSupported, "from"),
        ("move", "a", "_id.a", NotSupported, "to"),
        ("move", "a", "a", InvalidValue, "to"),
        ("copy", "a", "b..c", InvalidValue, "to"),
        ("copy", "a", "_id", NotSupported, "to"),
    ] {
        let text = format!(r#""{rule}": {{"from": "{from}", "to": "{to}"}}"#);
        refused(&text, fault, &format!(".{rule}.{field}"));
    }
    refused(
        r#""convert": {"path": "_id", "to": "int"}"#,
        NotSupported,
        ".convert.path",
    );
}

#[test]
fn the_schema_is_json() {
    let schema = FieldRename::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
