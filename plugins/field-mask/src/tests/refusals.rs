//! Refused configurations, each with the field at fault.

use tidegate_plugin_sdk::{ConfigFault, Plugin};

use super::{FieldMask, KEY, configure};
use ConfigFault::{InvalidValue, MissingField, NotSupported, UnknownField};

#[track_caller]
fn refused(config: &str, fault: ConfigFault, path: &str) {
    let error = configure(config).expect_err(config);
    assert_eq!(
        (error.fault, error.path.as_str()),
        (fault, path),
        "{config}: {error}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_rule_needs_the_options_of_its_action() {
    let drop = r#""action": "drop""#;
    let set = r#""path": "a", "action": "set""#;
    let hash = r#""path": "a", "action": "hash""#;
    let keep = r#""path": "a", "action": "keepLast""#;
    let truncate = r#""path": "a", "action": "truncateDate""#;
    for (rule, more, fault, field) in [
        (drop, "", MissingField, ""),
        (drop, r#", "path": "a", "way": 1"#, UnknownField, ".way"),
        (drop, r#", "path": "_id""#, NotSupported, ".path"),
        (drop, r#", "path": "_id.a""#, NotSupported, ".path"),
        (drop, r#", "path": "a..b""#, InvalidValue, ".path"),
        (
            drop,
            r#", "path": "a", "value": null"#,
            InvalidValue,
            ".value",
        ),
        (
            drop,
            r#", "path": "a", "otherwise": "keep""#,
            InvalidValue,
            ".otherwise",
        ),
        (
            r#""path": "a", "action": "erase""#,
            "",
            InvalidValue,
            ".action",
        ),
        (set, "", MissingField, ""),
        (set, r#", "value": {"$uuid": ""}"#, InvalidValue, ".value"),
        (set, r#", "value": {"$oid": "5a"}"#, InvalidValue, ".value"),
        (
            set,
            r#", "value": {"$oid": "5ab9cbfa31c2ab715d42129e", "b": 1}"#,
            InvalidValue,
            ".value",
        ),
        (
            set,
            r#", "value": {"$date": "yesterday"}"#,
            InvalidValue,
            ".value",
        ),
        (
            set,
            r#", "value": {"$numberDecimal": 1}"#,
            InvalidValue,
            ".value",
        ),
        (
            set,
            r#", "value": 9223372036854775808"#,
            InvalidValue,
            ".value",
        ),
        (
            set,
            r#", "value": {"b": [9223372036854775808]}"#,
            InvalidValue,
            ".value",
        ),
        (hash, r#", "length": 7"#, InvalidValue, ".length"),
        (hash, r#", "length": 65"#, InvalidValue, ".length"),
        (hash, r#", "count": 1"#, InvalidValue, ".count"),
        (keep, "", MissingField, ""),
        (
            keep,
            r#", "count": 4, "length": 4"#,
            InvalidValue,
            ".length",
        ),
        (keep, r#", "count": 4, "mask": "\n""#, InvalidValue, ".mask"),
        (keep, r#", "count": 4, "mask": "**""#, InvalidValue, ".mask"),
        (keep, r#", "count": 4, "to": "day""#, InvalidValue, ".to"),
        (truncate, "", MissingField, ""),
        (truncate, r#", "to": "week""#, InvalidValue, ".to"),
    ] {
        refused(
            &format!(r#"{{"rules": [{{{rule}{more}}}]}}"#),
            fault,
            &format!("rules[0]{field}"),
        );
    }
}

#[test]
fn rules_do_not_overlap() {
    for (first, second) in [("a", "a"), ("a.b", "a"), ("a", "a.b.c")] {
        let rule = |path: &str| format!(r#"{{"path": "{path}", "action": "drop"}}"#);
        let config = format!(
            r#"{{"rules": [{}, {}, {}]}}"#,
            rule(first),
            rule("ab"),
            rule(second)
        );
        refused(&config, InvalidValue, "rules[2].path");
    }
    refused(r#"{"rules": []}"#, InvalidValue, "rules");
    refused("{}", MissingField, "");
}

#[test]
fn a_key_is_long_and_needed() {
    for key in ["2short", KEY] {
        let config = format!(r#"{{"key": "{key}", "rules": [{{"path": "a", "action": "drop"}}]}}"#);
        refused(&config, InvalidValue, "key");
        let error = configure(&config).expect_err(&config);
        assert!(!error.reason.contains(key), "a key is not shown: {error}");
    }
    refused(
        r#"{"rules": [{"path": "a", "action": "hash"}]}"#,
        MissingField,
        "key",
    );
}

#[test]
fn the_schema_is_json() {
    let schema = FieldMask::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
