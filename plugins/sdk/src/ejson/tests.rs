//! Extended JSON against the bytes of the `bson` crate.

use bson::{Bson, Decimal128, RawDocumentBuf, Timestamp, doc, oid::ObjectId, rawdoc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::bson::validate;

fn document(json: Json) -> RawDocumentBuf {
    let literal = read(&json, "filter").expect("Extended JSON");
    validate(&literal.bytes).expect("well-formed");
    RawDocumentBuf::from_bytes(literal.bytes).expect("a document")
}

#[test]
fn every_type_is_written_as_the_driver_writes_it() {
    let id = "65b0c1d2e3f405162738495a";
    let id_value = ObjectId::parse_str(id).unwrap();
    let ours = document(json!({
        "z": 1, "a": -2_147_483_649_i64, "double": 1.5, "whole": 1e3, "big": 18_446_744_073_709_551_615_u64,
        "string": "é\0x", "truth": true, "null": null, "array": [1, [], { "b": "x" }], "document": {},
        "id": { "$oid": id }, "date": { "$date": "2024-02-29T12:00:00.25+01:30" },
        "old": { "$date": { "$numberLong": "-1" } },
        "i32": { "$numberInt": "-7" }, "i64": { "$numberLong": "7" }, "f64": { "$numberDouble": "-Infinity" },
        "decimal": { "$numberDecimal": "-12.50E+3" },
        "binary": { "$binary": { "base64": "AQID", "subType": "80" } },
        "uuid": { "$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3" },
        "timestamp": { "$timestamp": { "t": 4_294_967_295_u32, "i": 1 } },
        "regex": { "$regularExpression": { "pattern": "^a", "options": "xi" } },
        "symbol": { "$symbol": "s" }, "code": { "$code": "f()" },
        "scoped": { "$code": "f()", "$scope": { "x": { "$numberLong": "1" } } },
        "min": { "$minKey": 1 }, "max": { "$maxKey": 1 }, "undefined": { "$undefined": true },
        "reference": { "$ref": "people", "$id": { "$oid": id }, "$db": "hr" },
    }));
    let theirs = doc! {
        "z": 1, "a": -2_147_483_649_i64, "double": 1.5, "whole": 1000.0, "big": 18_446_744_073_709_551_615.0,
        "string": "é\0x", "truth": true, "null": Bson::Null, "array": [1, [], { "b": "x" }], "document": {},
        "id": id_value, "date": bson::DateTime::from_millis(1_709_202_600_250),
        "old": bson::DateTime::from_millis(-1),
        "i32": -7, "i64": 7_i64, "f64": f64::NEG_INFINITY,
        "decimal": "-12.50E+3".parse::<Decimal128>().unwrap(),
        "binary": bson::Binary { subtype: 0x80.into(), bytes: vec![1, 2, 3] },
        "uuid": bson::Uuid::parse_str("c8edabc3-f738-4ca3-b68d-ab92a91478a3").unwrap(),
        "timestamp": Timestamp { time: u32::MAX, increment: 1 },
        "regex": bson::Regex { pattern: "^a".try_into().unwrap(), options: "ix".try_into().unwrap() },
        "symbol": Bson::Symbol("s".to_owned()), "code": Bson::JavaScriptCode("f()".to_owned()),
        "scoped": bson::JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! { "x": 1_i64 } },
        "min": Bson::MinKey, "max": Bson::MaxKey, "undefined": Bson::Undefined,
        "reference": { "$ref": "people", "$id": id_value, "$db": "hr" },
    };
    assert_eq!(ours.as_bytes(), theirs.to_vec().unwrap());
    let pointer =
        document(json!({ "p": { "$dbPointer": { "$ref": "d.c", "$id": { "$oid": id } } } }));
    let value = [&4_i32.to_le_bytes(), &b"d.c\0"[..], &id_value.bytes()].concat();
    let [_, _, _, _, 0x0C, b'p', 0, bytes @ .., 0] = pointer.as_bytes() else {
        panic!("{pointer:?}")
    };
    assert_eq!(bytes, value);
}

/// The value of a date.
fn date(text: &str) -> Option<i64> {
    let literal = read(&json!({ "$date": text }), "at").ok()?;
    literal.value().as_date()
}

/// The bytes of a decimal.
fn decimal(text: &str) -> Option<Vec<u8>> {
    let literal = read(&json!({ "$numberDecimal": text }), "at").ok()?;
    (literal.kind == kind::DECIMAL128).then_some(literal.bytes)
}

#[test]
fn dates_are_read_as_the_driver_reads_them() {
    for text in [
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "2000-02-29T00:00:00Z",
        "1900-03-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9Z",
        "2024-12-31T23:30:00.05-05:30",
    ] {
        let theirs = bson::DateTime::parse_rfc3339_str(text).expect(text);
        assert_eq!(date(text), Some(theirs.timestamp_millis()), "{text}");
    }
    for text in [
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234Z",
        "2024-1-01T00:00:00Z",
        "2024-01-01T00:00:00+0100",
        "+024-01-01T00:00:00Z",
    ] {
        assert_eq!(date(text), None, "{text}");
    }
}

#[test]
fn invalid_extended_json_is_refused_with_its_path() {
    for (json, path) in [
        (json!({ "$oid": "65b0c1d2e3f405162738495" }), "filter.a"),
        (json!({ "$oid": "65b0c1d2e3f405162738495g" }), "filter.a"),
        (
            json!({ "$oid": "65b0c1d2e3f405162738495a", "x": 1 }),
            "filter.a",
        ),
        (json!([0, { "$numberLong": 5 }]), "filter.a[1]"),
        (json!({ "b": { "$numberLong": "5.0" } }), "filter.a.b"),
        (json!({ "$numberInt": "2147483648" }), "filter.a"),
        (json!({ "$numberDouble": "inf" }), "filter.a"),
        (json!({ "$numberDouble": "1e400" }), "filter.a"),
        (json!({ "$date": 5 }), "filter.a"),
        (
            json!({ "$uuid": "c8edabc3f7384ca3b68dab92a91478a3" }),
            "filter.a",
        ),
        (json!({ "$binary": { "base64": "AQID" } }), "filter.a"),
        (
            json!({ "$binary": { "base64": "AQI", "subType": "0" } }),
            "filter.a",
        ),
        (
            json!({ "$binary": { "base64": "AQ==AQID", "subType": "0" } }),
            "filter.a",
        ),
        (
            json!({ "$binary": { "base64": "AR==", "subType": "0" } }),
            "filter.a",
        ),
        (json!({ "$timestamp": { "t": -1, "i": 0 } }), "filter.a"),
        (json!({ "$scope": {} }), "filter.a"),
        (json!({ "$code": "f", "$scope": 1 }), "filter.a.$scope"),
        (json!({ "$minKey": true }), "filter.a"),
        (json!({ "b": { "$gt": 1 } }), "filter.a.b.$gt"),
        (json!({ "b": 1, "$gt": 1 }), "filter.a.$gt"),
        (json!({ "$numberlong": "1" }), "filter.a.$numberlong"),
        (json!({ "b\0": 1 }), "filter.a"),
    ] {
        let error = read(&json, "filter.a").expect_err(&json.to_string());
        assert_eq!(
            (error.fault, error.path.as_str()),
            (ConfigFault::InvalidValue, path),
            "{json}"
        );
    }
}

#[test]
fn decimals_that_do_not_fit_are_refused() {
    let many = "1234567890123456789012345678901234";
    for (text, fits) in [
        (many.to_owned(), true),
        (format!("{many}5"), false),
        (format!("{many}000"), true),
        (format!("000{many}"), true),
        (format!("{many}E6111"), true),
        (format!("{many}E6112"), false),
        ("1E6144".to_owned(), true),
        ("1E6145".to_owned(), false),
        ("0E99999".to_owned(), true),
        ("1E-6176".to_owned(), true),
        ("1E-6177".to_owned(), false),
        ("100E-6178".to_owned(), true),
    ] {
        let ours = decimal(&text);
        assert_eq!(ours.is_some(), fits, "{text}");
    }
    for text in [
        "", ".", "-", "1..2", "1e", "e5", "1_0", "1e1.5", "Infinit", "--1", "0x1",
    ] {
        assert_eq!(decimal(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn decimals_are_read_as_the_driver_reads_them(
        text in "[-+]?([0-9]{1,20}(\\.[0-9]{0,14})?|\\.[0-9]{1,34})([eE][-+]?[0-9]{1,3})?|-?(Infinity|inf|NaN)",
    ) {
        let theirs: Decimal128 = text.parse().expect("a decimal");
        prop_assert_eq!(decimal(&text), Some(theirs.bytes().to_vec()), "{}", text);
    }

    #[test]
    fn base64_is_read_as_the_driver_reads_it(text in "[A-Za-z0-9+/]{0,12}[AQgw]?={0,3}") {
        let theirs = bson::Binary::from_base64(&text, None).ok();
        prop_assert_eq!(text::base64(&text), theirs.map(|binary| binary.bytes), "{}", text);
    }
}

#[test]
fn the_old_binary_type_carries_its_length_twice() {
    let old = bson::Binary {
        subtype: bson::spec::BinarySubtype::BinaryOld,
        bytes: vec![7, 8],
    };
    let ours = document(json!({ "b": { "$binary": { "base64": "Bwg=", "subType": "2" } } }));
    assert_eq!(ours.as_bytes(), rawdoc! { "b": old }.as_bytes());
}
