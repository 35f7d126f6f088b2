//! Configured rules, with documents before and after.

mod page;
mod properties;
mod refusals;

use bson::{Bson, Decimal128, Document, doc, oid::ObjectId};
use tidegate_plugin_sdk::{
    ConfigError, DocumentFailure, Namespace, Outcome, Plugin, parse, transform_one,
};

use super::FieldRename;

fn configure(config: &str) -> Result<FieldRename, ConfigError> {
    FieldRename::configure(parse(config)?)
}

fn with_rules(rules: &str) -> FieldRename {
    configure(&format!("{{\"rules\": {rules}}}")).expect(rules)
}

fn run(plugin: &FieldRename, document: &[u8]) -> Result<Outcome, DocumentFailure> {
    let namespace = Namespace {
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    transform_one(plugin, &namespace, document)
}

/// The changed document; `None` if it is kept.
fn changed(rules: &str, document: &Document) -> Option<Document> {
    let bytes = document.to_vec().expect("BSON");
    match run(&with_rules(rules), &bytes).expect(rules) {
        Outcome::Replace(bytes) => {
            tidegate_plugin_sdk::bson::validate(&bytes).expect("valid BSON");
            Some(Document::from_reader(&bytes[..]).expect("BSON"))
        }
        outcome => {
            assert_eq!(outcome, Outcome::Keep);
            None
        }
    }
}

fn reason(rules: &str, document: &Document) -> String {
    let bytes = document.to_vec().expect("BSON");
    match run(&with_rules(rules), &bytes) {
        Err(DocumentFailure::Document(reason)) => reason,
        other => panic!("{rules}: {other:?}"),
    }
}

/// Like `assert_eq`, which ignores the order of fields.
#[track_caller]
fn check(rules: &str, before: &Document, after: Option<Document>) {
    let bytes = |document: Document| document.to_vec().expect("BSON");
    let found = changed(rules, before);
    let shown = format!("{rules} of {before}: {found:?}");
    assert_eq!(found.map(bytes), after.map(bytes), "{shown}");
}

#[test]
fn a_rename_keeps_the_order_of_fields() {
    let rename =
        |from: &str, to: &str| format!(r#"[{{"rename": {{"from": "{from}", "to": "{to}"}}}}]"#);
    let document =
        doc! { "_id": 1, "a": { "b": 1, "c": [{ "b": 2, "d": 3 }, 4, [{ "b": 5 }]] }, "e": "e" };
    for (from, to, after) in [
        (
            "e",
            "a longer name",
            doc! { "_id": 1, "a": document.get("a"), "a longer name": "e" },
        ),
        (
            "a.b",
            "x",
            doc! { "_id": 1, "a": { "x": 1, "c": [{ "b": 2, "d": 3 }, 4, [{ "b": 5 }]] }, "e": "e" },
        ),
        (
            "a.c.b",
            "_id",
            doc! { "_id": 1, "a": { "b": 1, "c": [{ "_id": 2, "d": 3 }, 4, [{ "_id": 5 }]] }, "e": "e" },
        ),
        (
            "a.c.0.b",
            "x",
            doc! { "_id": 1, "a": { "b": 1, "c": [{ "x": 2, "d": 3 }, 4, [{ "b": 5 }]] }, "e": "e" },
        ),
    ] {
        check(&rename(from, to), &document, Some(after));
    }
    for from in ["x", "e.a", "a.b.c", "a.c.x", "a.c.7.b", "a.c.9"] {
        check(&rename(from, "y"), &document, None);
    }
    let reason = reason(&rename("a.c.0", "y"), &document);
    assert!(reason.contains("`a.c.0`"), "{reason}");
}

#[test]
fn an_existing_name_is_a_choice() {
    let rules = |if_exists: &str| {
        format!(r#"[{{"rename": {{"from": "l.a", "to": "b", "ifExists": "{if_exists}"}}}}]"#)
    };
    let document = doc! { "l": [{ "b": 1, "c": 2, "a": 3 }, { "a": 4 }] };
    let replaced = doc! { "l": [{ "c": 2, "b": 3 }, { "b": 4 }] };
    check(&rules("replace"), &document, Some(replaced));
    let kept = doc! { "l": [{ "b": 1, "c": 2, "a": 3 }, { "b": 4 }] };
    check(&rules("keep"), &document, Some(kept));
    let reason = reason(&rules("fail"), &document);
    assert!(
        reason.contains("`l.b`") && reason.contains("ifExists"),
        "{reason}"
    );
}

#[test]
fn a_field_is_moved_or_copied_to_another_document() {
    let oid = ObjectId::from_bytes([7; 12]);
    for (rule, before, after) in [
        (
            r#""move": {"from": "a.b", "to": "c"}"#,
            doc! { "_id": 1, "a": { "b": [1, 2], "x": 1 }, "z": 1 },
            doc! { "_id": 1, "a": { "x": 1 }, "z": 1, "c": [1, 2] },
        ),
        (
            r#""move": {"from": "a", "to": "b.c.d"}"#,
            doc! { "a": 1, "b": { "x": 1 }, "z": 1 },
            doc! { "b": { "x": 1, "c": { "d": 1 } }, "z": 1 },
        ),
        (
            r#""move": {"from": "a", "to": "a.b"}"#,
            doc! { "a": 1, "z": 1 },
            doc! { "z": 1, "a": { "b": 1 } },
        ),
        (
            r#""move": {"from": "a.b", "to": "a", "ifExists": "replace"}"#,
            doc! { "a": { "b": "inner", "c": 1 }, "z": 1 },
            doc! { "a": "inner", "z": 1 },
        ),
        (
            r#""move": {"from": "a", "to": "b", "ifExists": "replace"}"#,
            doc! { "a": 1, "b": 1 },
            doc! { "b": 1 },
        ),
        (
            r#""copy": {"from": "_id.x", "to": "legacy.id"}"#,
            doc! { "_id": { "x": oid }, "a": 1 },
            doc! { "_id": { "x": oid }, "a": 1, "legacy": { "id": oid } },
        ),
        (
            r#""copy": {"from": "a", "to": "b", "ifExists": "replace"}"#,
            doc! { "b": "old", "a": { "x": 1 } },
            doc! { "b": { "x": 1 }, "a": { "x": 1 } },
        ),
    ] {
        check(&format!("[{{{rule}}}]"), &before, Some(after));
    }
    for rule in [
        r#""move": {"from": "x", "to": "y"}"#,
        r#""copy": {"from": "a.x.y", "to": "y"}"#,
        r#""move": {"from": "a.b.c", "to": "y"}"#,
        r#""move": {"from": "z", "to": "a.b", "ifExists": "keep"}"#,
        r#""copy": {"from": "z", "to": "a.b", "ifExists": "keep"}"#,
        r#""copy": {"from": "z", "to": "a.b", "ifExists": "replace"}"#,
    ] {
        check(
            &format!("[{{{rule}}}]"),
            &doc! { "a": { "b": 1 }, "z": 1 },
            None,
        );
    }
}

#[test]
fn a_field_that_cannot_be_moved_fails_the_document() {
    let document = doc! { "a": [{ "b": 4711 }], "c": 4711, "d": 4711 };
    for (rule, words) in [
        (
            r#""move": {"from": "a.b", "to": "x"}"#,
            "on the way to `a.b`",
        ),
        (
            r#""copy": {"from": "a.0.b", "to": "x"}"#,
            "on the way to `a.0.b`",
        ),
        (
            r#""copy": {"from": "c", "to": "a.x"}"#,
            "on the way to `a.x`",
        ),
        (
            r#""copy": {"from": "c", "to": "d.x"}"#,
            "type int is on the way to `d.x`",
        ),
        (r#""move": {"from": "c", "to": "d"}"#, "`d` exists"),
    ] {
        let reason = reason(&format!("[{{{rule}}}]"), &document);
        assert!(
            reason.contains(words) && !reason.contains("4711"),
            "{reason}"
        );
    }
}

#[test]
fn conversions_follow_their_rule() {
    let rules = |more: &str| format!(r#"[{{"convert": {{"path": "a.b", "to": "int"{more}}}}}]"#);
    let document =
        doc! { "a": [{ "b": "7" }, { "b": ["8", 9.0, Bson::Null] }, { "c": "7" }], "z": "7" };
    let after = doc! { "a": [{ "b": 7 }, { "b": [8, 9, Bson::Null] }, { "c": "7" }], "z": "7" };
    check(&rules(""), &document, Some(after.clone()));
    check(&rules(""), &after, None);

    let odd = doc! { "a": { "b": "4711 EUR", "c": 1 } };
    for (option, after) in [
        ("keep", None),
        ("null", Some(doc! { "a": { "b": Bson::Null, "c": 1 } })),
        ("drop", Some(doc! { "a": { "c": 1 } })),
    ] {
        check(&rules(&format!(r#", "onError": "{option}""#)), &odd, after);
    }
    let in_array = doc! { "a": { "b": ["x", 1] } };
    let dropped = doc! { "a": { "b": [Bson::Null, 1] } };
    check(&rules(r#", "onError": "drop""#), &in_array, Some(dropped));

    let null = doc! { "a": { "b": Bson::Null, "c": 1 } };
    check(
        &rules(r#", "onNull": "drop""#),
        &null,
        Some(doc! { "a": { "c": 1 } }),
    );
    let half = doc! { "a": { "b": 2.5 } };
    check(
        &rules(r#", "lossy": "allow""#),
        &half,
        Some(doc! { "a": { "b": 2 } }),
    );
    for (more, document, words) in [
        ("", &odd, &["`a.b`", "string", "int", "onError"][..]),
        ("", &half, &["`a.b`", "double", "int", "digits", "lossy"]),
        (r#", "onNull": "fail""#, &null, &["`a.b`", "null", "onNull"]),
    ] {
        let reason = reason(&rules(more), document);
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        assert!(
            !reason.contains("4711") && !reason.contains("2.5"),
            "{reason}"
        );
    }
}

#[test]
fn rules_are_applied_in_order() {
    let rules = r#"[
        {"rename": {"from": "price", "to": "cost"}},
        {"convert": {"path": "cost", "to": "decimal"}},
        {"move": {"from": "cost", "to": "money.cost"}},
        {"copy": {"from": "money", "to": "backup"}}
    ]"#;
    let cost: Decimal128 = "1.10".parse().expect("a decimal");
    let after = doc! { "_id": 1, "z": 1, "money": { "cost": cost }, "backup": { "cost": cost } };
    check(
        rules,
        &doc! { "_id": 1, "price": "1.10", "z": 1 },
        Some(after),
    );
    let there_and_back =
        r#"[{"rename": {"from": "a", "to": "b"}}, {"rename": {"from": "b", "to": "a"}}]"#;
    check(there_and_back, &doc! { "a": 1 }, None);
}

#[test]
fn malformed_bytes_never_panic() {
    let plugin = with_rules(
        r#"[{"rename": {"from": "a.b", "to": "c"}}, {"copy": {"from": "d.e", "to": "f.g"}},
            {"move": {"from": "d.e", "to": "h"}}, {"convert": {"path": "a", "to": "date", "onError": "drop"}}]"#,
    );
    let good = doc! { "a": [{ "b": 1 }], "d": { "e": 1 } }
        .to_vec()
        .expect("BSON");
    for cut in 0..good.len() {
        let _any = run(&plugin, &good[..cut]);
        for value in [0, 1, 0x7F, 0xFF] {
            let mut changed = good.clone();
            changed[cut] = value;
            let _any = run(&plugin, &changed);
        }
    }
}
