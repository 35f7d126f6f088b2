//! Refusals of input.

use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "read by serde only")]
struct Outer {
    first_name: String,
    inner: Option<Vec<Inner>>,
    size: Option<i64>,
    colour: Option<Colour>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "read by serde only")]
struct Inner {
    flag: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a string")]
enum Colour {
    Red,
    Blue,
}

#[test]
fn errors_name_the_field_its_place_and_the_closest_known_one() {
    use ErrorName::{InvalidField, MissingField, UnknownField};
    for (value, name, sentence) in [
        (
            json!([]),
            InvalidField,
            "expected an object, found an array",
        ),
        (
            json!({}),
            MissingField,
            "the required field 'firstName' is missing",
        ),
        (
            json!({ "first_name": "a" }),
            UnknownField,
            "unknown field 'first_name' (did you mean 'firstName'?)",
        ),
        (json!({ "zzz": 1 }), UnknownField, "unknown field 'zzz'"),
        (
            json!({ "firstName": null }),
            InvalidField,
            "field 'firstName': expected a string, found null",
        ),
        (
            json!({ "firstName": "a", "inner": [{ "flag": true }, { "flag": "yes" }] }),
            InvalidField,
            "field 'inner[1].flag': expected a boolean, found a string",
        ),
        (
            json!({ "firstName": "a", "inner": [{ "flog": true }] }),
            UnknownField,
            "unknown field 'inner[0].flog' (did you mean 'flag'?)",
        ),
        (
            json!({ "firstName": "a", "size": 1.5 }),
            InvalidField,
            "field 'size': expected a whole number, found 1.5",
        ),
        (
            json!({ "firstName": "a", "colour": "green" }),
            InvalidField,
            "field 'colour': 'green' is not one of 'red', 'blue'",
        ),
        (
            json!({ "firstName": "a", "colour": 3 }),
            InvalidField,
            "field 'colour': expected a string, found 3",
        ),
    ] {
        let error = read::<Outer>(value.clone()).expect_err("refused");
        assert_eq!(
            (error.name(), error.to_string().as_str()),
            (name, sentence),
            "{value}"
        );
    }
}

#[test]
fn null_is_absent_and_known_variants_are_read() {
    let outer: Outer =
        read(json!({ "firstName": "a", "inner": null, "colour": "blue" })).expect("read");
    assert!(outer.inner.is_none());
    assert!(matches!(outer.colour, Some(Colour::Blue)));
}

#[test]
fn a_number_without_a_fraction_is_a_whole_number_where_one_is_asked_for() {
    for (size, found) in [
        (json!(3.0), Some(3)),
        (json!(3), Some(3)),
        (json!(1e300), None),
    ] {
        let value = json!({ "firstName": "a", "size": size });
        assert_eq!(
            read::<Outer>(value).ok().map(|outer| outer.size),
            found.map(Some)
        );
    }
    // A value of any type stays as it is: a filter distinguishes 3.0 from 3.
    let any: serde_json::Value = read(json!({ "a": 3.0 })).expect("read");
    assert_eq!(any.to_string(), r#"{"a":3.0}"#);
}
