//! Configured rules, with documents before and after.

mod page;
mod properties;
mod refusals;

use bson::{Bson, DateTime, Decimal128, Document, Uuid, doc, oid::ObjectId};
use tidegate_plugin_sdk::{
    ConfigError, DocumentFailure, Namespace, Plugin, Transform, Verdict, parse,
};

use super::FieldMask;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn configure(config: &str) -> Result<FieldMask, ConfigError> {
    FieldMask::configure(parse(config)?)
}

/// A plugin with these rules, and a key if any of them hashes.
fn with_rules(rules: &str) -> FieldMask {
    let key = if rules.contains("\"hash\"") {
        format!(r#""key": "{KEY}", "#)
    } else {
        String::new()
    };
    configure(&format!("{{{key}\"rules\": {rules}}}")).expect(rules)
}

fn run(plugin: &FieldMask, document: &[u8]) -> Result<(Verdict, Vec<u8>), DocumentFailure> {
    let namespace = Namespace {
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    let mut replacement = b"before".to_vec();
    let verdict = plugin.transform(&namespace, document, &mut replacement)?;
    Ok((verdict, replacement.split_off(6)))
}

/// The masked document; `None` if it is kept.
fn masked(rules: &str, document: Document) -> Option<Document> {
    let bytes = document.to_vec().expect("BSON");
    match run(&with_rules(rules), &bytes).expect(rules) {
        (Verdict::Replace, bytes) => {
            tidegate_plugin_sdk::bson::validate(&bytes).expect("valid BSON");
            Some(Document::from_reader(&bytes[..]).expect("BSON"))
        }
        (verdict, bytes) => {
            assert!(verdict == Verdict::Keep && bytes.is_empty());
            None
        }
    }
}

fn reason(rules: &str, document: Document) -> String {
    let bytes = document.to_vec().expect("BSON");
    match run(&with_rules(rules), &bytes) {
        Err(DocumentFailure::Document(reason)) => reason,
        other => panic!("{rules}: {other:?}"),
    }
}

#[test]
fn drop_takes_fields_out_and_makes_elements_null() {
    let document =
        doc! { "_id": 1, "a": { "b": 1, "c": [1, { "d": 2, "e": 3 }, [{ "d": 4 }]] }, "z": "z" };
    for (path, after) in [
        ("a", doc! { "_id": 1, "z": "z" }),
        (
            "z",
            doc! { "_id": 1, "a": { "b": 1, "c": [1, { "d": 2, "e": 3 }, [{ "d": 4 }]] } },
        ),
        ("a.c", doc! { "_id": 1, "a": { "b": 1 }, "z": "z" }),
        (
            "a.c.d",
            doc! { "_id": 1, "a": { "b": 1, "c": [1, { "e": 3 }, [{}]] }, "z": "z" },
        ),
        (
            "a.c.1",
            doc! { "_id": 1, "a": { "b": 1, "c": [1, Bson::Null, [{ "d": 4 }]] }, "z": "z" },
        ),
        (
            "a.c.2.0.d",
            doc! { "_id": 1, "a": { "b": 1, "c": [1, { "d": 2, "e": 3 }, [{}]] }, "z": "z" },
        ),
    ] {
        let rules = format!(r#"[{{"path": "{path}", "action": "drop"}}]"#);
        assert_eq!(masked(&rules, document.clone()), Some(after), "{path}");
    }
    for path in [
        "b", "a.x", "z.a", "a.b.c", "a.c.9", "a.c.0.d", "a.c.01", "a.c.d.e",
    ] {
        let rules = format!(r#"[{{"path": "{path}", "action": "drop"}}]"#);
        assert_eq!(masked(&rules, document.clone()), None, "{path}");
    }
}

#[test]
fn set_puts_a_constant_of_any_type() {
    let oid = "5ab9cbfa31c2ab715d42129e";
    for (value, expected) in [
        ("null", Bson::Null),
        ("true", Bson::Boolean(true)),
        ("7", Bson::Int32(7)),
        ("-2147483649", Bson::Int64(-2_147_483_649)),
        ("1.5", Bson::Double(1.5)),
        (r#""x""#, Bson::String("x".into())),
        (r#"{"$numberLong": "7"}"#, Bson::Int64(7)),
        (r#"{"$numberInt": "7"}"#, Bson::Int32(7)),
        (r#"{"$numberDouble": "7"}"#, Bson::Double(7.0)),
        (
            r#"{"$numberDecimal": "1.10"}"#,
            Bson::Decimal128("1.10".parse().expect("a decimal")),
        ),
        (
            r#"{"$date": "1969-12-31T23:59:59.999Z"}"#,
            Bson::DateTime(DateTime::from_millis(-1)),
        ),
        (
            r#"{"$date": {"$numberLong": "-1"}}"#,
            Bson::DateTime(DateTime::from_millis(-1)),
        ),
        (
            r#"{"$oid": "5ab9cbfa31c2ab715d42129e"}"#,
            Bson::ObjectId(ObjectId::parse_str(oid).expect("an ObjectId")),
        ),
        (
            r#"{"$uuid": "07070707-0707-0707-0707-070707070707"}"#,
            Bson::from(Uuid::from_bytes([7; 16])),
        ),
        (r#"{"b": [1, {}]}"#, Bson::Document(doc! { "b": [1, {}] })),
        ("[]", Bson::Array(Vec::new())),
    ] {
        let rules = format!(r#"[{{"path": "a", "action": "set", "value": {value}}}]"#);
        let after = masked(&rules, doc! { "_id": 1, "a": ["long", "text"], "b": 2 });
        assert_eq!(
            after,
            Some(doc! { "_id": 1, "a": expected.clone(), "b": 2 }),
            "{value}"
        );
        assert_eq!(masked(&rules, doc! { "a": expected }), None, "{value}");
        assert_eq!(masked(&rules, doc! { "b": 1 }), None, "{value}");
    }
}

/// Expected values: `printf %s ann | openssl dgst -sha256 -hmac KEY`, and so on.
#[test]
fn hashes_are_hmac_sha256_in_the_same_type() {
    let oid = ObjectId::from_bytes(*b"twelve bytes");
    let uuid = Uuid::from_bytes([7; 16]);
    let document = doc! { "_id": 1, "a": ["ann", 7, 7_i64, oid, uuid, Bson::Null] };
    let rules = r#"[{"path": "a", "action": "hash", "length": 16}]"#;
    let after = masked(rules, document.clone()).expect("changed");
    assert_eq!(
        after,
        doc! { "_id": 1, "a": [
            "07db5b4bba5fef53",
            1_757_277_556,
            4_587_724_262_071_927_088_i64,
            ObjectId::parse_str("69b12570aec2fa932881dd19").expect("an ObjectId"),
            Uuid::parse_str("26a7215b74690425a2cb350ef57275da").expect("a UUID"),
            Bson::Null,
        ] }
    );
}

#[test]
fn the_same_value_has_the_same_hash_everywhere() {
    let rules =
        r#"[{"path": "user", "action": "hash"}, {"path": "orders.user", "action": "hash"}]"#;
    let document = doc! { "user": "ann", "orders": [{ "user": "ann" }, { "user": "bob" }] };
    let after = masked(rules, document).expect("changed");
    let orders = after.get_array("orders").expect("orders");
    let user = |document: &Document| document.get_str("user").expect("a hash").to_owned();
    let order = |at: usize| user(orders[at].as_document().expect("an order"));
    assert_eq!(order(0), user(&after));
    assert_ne!(order(1), user(&after));
    assert_eq!(user(&after).len(), 32);
}

#[test]
fn binaries_keep_their_subtype_and_length() {
    let plugin = with_rules(r#"[{"path": "a", "action": "hash", "otherwise": "null"}]"#);
    for (subtype, length) in [
        (0, 0),
        (0, 1),
        (0, 32),
        (0, 33),
        (4, 16),
        (5, 100),
        (0x80, 64),
    ] {
        let bytes = vec![1; length];
        let before =
            doc! { "a": bson::Binary { subtype: u8::into(subtype), bytes: bytes.clone() } };
        let (verdict, after) = run(&plugin, &before.to_vec().expect("BSON")).expect("hashed");
        if length == 0 {
            assert_eq!(verdict, Verdict::Keep);
            continue;
        }
        let after = Document::from_reader(&after[..]).expect("BSON");
        let Some(Bson::Binary(binary)) = after.get("a") else {
            panic!("{after}")
        };
        assert_eq!(
            (u8::from(binary.subtype), binary.bytes.len()),
            (subtype, length)
        );
        assert_ne!(binary.bytes, bytes);
    }
    let old = [19, 0, 0, 0, 5, b'a', 0, 6, 0, 0, 0, 2, 2, 0, 0, 0, 1, 1, 0];
    let (_, after) = run(&plugin, &old).expect("hashed");
    tidegate_plugin_sdk::bson::validate(&after).expect("its inner length is kept");
    let vector = doc! { "a": bson::Binary { subtype: 9.into(), bytes: vec![3, 0, 1] } };
    let (_, after) = run(&plugin, &vector.to_vec().expect("BSON")).expect("null");
    assert_eq!(
        Document::from_reader(&after[..]).expect("BSON"),
        doc! { "a": Bson::Null }
    );
}

#[test]
fn some_characters_are_kept() {
    for (rule, before, after) in [
        (
            r#""keepLast", "count": 4"#,
            "4111111111111234",
            "************1234",
        ),
        (r#""keepFirst", "count": 2"#, "4111", "41**"),
        (r#""keepLast", "count": 1"#, "añb€😀", "****😀"),
        (r#""keepFirst", "count": 2, "mask": "…""#, "añb€😀", "añ………"),
        (r#""keepLast", "count": 0"#, "abc", "***"),
        (r#""keepLast", "count": 2, "length": 8"#, "abc", "******bc"),
        (r#""keepFirst", "count": 2, "length": 3"#, "abcdef", "ab*"),
        // Keeping all of it would mask nothing.
        (r#""keepLast", "count": 4"#, "1234", "****"),
        (r#""keepLast", "count": 4"#, "12", "**"),
        (r#""keepFirst", "count": 4, "length": 6"#, "12", "******"),
        (r#""keepFirst", "count": 4, "length": 6"#, "", "******"),
    ] {
        let rules = format!(r#"[{{"path": "a.b", "action": {rule}}}]"#);
        let document =
            doc! { "_id": 1, "a": [{ "b": before }, { "b": [before, Bson::Null] }], "c": 1 };
        let expected =
            doc! { "_id": 1, "a": [{ "b": after }, { "b": [after, Bson::Null] }], "c": 1 };
        assert_eq!(
            masked(&rules, document),
            Some(expected),
            "{rule} of {before}"
        );
    }
    let rules = r#"[{"path": "a", "action": "keepLast", "count": 4}]"#;
    assert_eq!(masked(rules, doc! { "a": "****" }), None);
    assert_eq!(masked(rules, doc! { "a": "" }), None);
}

#[test]
fn dates_are_truncated_and_stay_dates() {
    let date = |text| DateTime::parse_rfc3339_str(text).expect(text);
    let rules = r#"[{"path": "born", "action": "truncateDate", "to": "month"}]"#;
    let document = doc! { "born": [date("1969-07-20T20:17:40Z"), date("2024-02-01T00:00:00Z")] };
    let expected = doc! { "born": [date("1969-07-01T00:00:00Z"), date("2024-02-01T00:00:00Z")] };
    assert_eq!(masked(rules, document), Some(expected.clone()));
    assert_eq!(masked(rules, expected), None);
}

#[test]
fn a_value_of_another_type_follows_otherwise() {
    let decimal: Decimal128 = "1".parse().expect("a decimal");
    for (otherwise, after) in [
        ("keep", None),
        ("drop", Some(doc! { "b": [Bson::Null, "****"] })),
        (
            "null",
            Some(doc! { "a": Bson::Null, "b": [Bson::Null, "****"] }),
        ),
    ] {
        let rules = format!(
            r#"[{{"path": "a", "action": "hash", "otherwise": "{otherwise}"}},
                {{"path": "b", "action": "keepLast", "count": 4, "otherwise": "{otherwise}"}}]"#
        );
        let before = doc! { "a": decimal, "b": [true, "****"] };
        assert_eq!(masked(&rules, before), after, "{otherwise}");
    }
    let rules = r#"[{"path": "a.b", "action": "hash"}]"#;
    for (value, type_name) in [
        (Bson::Double(12345.0), "double"),
        (Bson::Decimal128(decimal), "decimal"),
        (Bson::DateTime(DateTime::from_millis(12345)), "date"),
        (Bson::Boolean(true), "bool"),
        (Bson::Document(doc! { "c": "12345" }), "object"),
        (
            Bson::Array(vec![Bson::Array(vec![Bson::Double(12345.0)])]),
            "double",
        ),
    ] {
        let reason = reason(rules, doc! { "_id": 9, "a": [{ "b": value }] });
        assert!(
            reason.contains("`a.b`") && reason.contains("`hash`"),
            "{reason}"
        );
        assert!(reason.contains(&format!(" {type_name} ")), "{reason}");
        assert!(!reason.contains("12345"), "{reason}");
    }
}

#[test]
fn positions_are_of_arrays_and_names_of_documents() {
    let rules = r#"[{"path": "a.0", "action": "keepFirst", "count": 0},
                    {"path": "a.1.b", "action": "drop"},
                    {"path": "a.b", "action": "set", "value": 0},
                    {"path": "a.c", "action": "set", "value": 0}]"#;
    let array = doc! { "a": ["x", { "b": 1, "c": 1 }, { "0": "x", "b": 1 }, [{ "b": 1 }]] };
    let expected = doc! { "a": ["*", { "c": 0 }, { "0": "x", "b": 0 }, [{ "b": 0 }]] };
    assert_eq!(masked(rules, array), Some(expected));
    let names = doc! { "a": { "0": "x", "1": { "b": 1, "c": 1 }, "b": 1 } };
    let expected = doc! { "a": { "0": "*", "1": { "c": 1 }, "b": 0 } };
    assert_eq!(masked(rules, names), Some(expected));
}

#[test]
fn malformed_bytes_and_endless_nesting_are_failures() {
    let plugin = with_rules(r#"[{"path": "a.b", "action": "hash"}]"#);
    let mut nested = Bson::Int32(1);
    for _ in 0..300 {
        nested = Bson::Array(vec![nested]);
    }
    let nested = doc! { "a": nested }.to_vec().expect("BSON");
    let good = doc! { "a": { "b": "text" } }.to_vec().expect("BSON");
    let mut long = good.clone();
    long[7] = 99;
    for document in [&good[..good.len() - 1], &nested, &long] {
        assert!(matches!(
            run(&plugin, document),
            Err(DocumentFailure::Document(_))
        ));
    }
    for cut in 0..good.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut changed = good.clone();
            changed[cut] = value;
            let _any = run(&plugin, &changed);
        }
    }
}
