//! A plugin is a type like any other: its tests run natively, with `cargo test`.

use tidegate_plugin_sdk::bson::Writer;
use tidegate_plugin_sdk::{Outcome, parse, transform_one};

use super::*;

fn configure(config: &str) -> Result<Filter, ConfigError> {
    Filter::configure(parse(config)?)
}

/// The outcome for a document that `write` fills.
fn outcome(write: impl FnOnce(&mut Writer)) -> Outcome {
    let filter = configure(r#"{"field": "status", "values": ["active", 7]}"#).expect("fits");
    let namespace = Namespace {
        database: "shop".to_owned(),
        collection: "orders".to_owned(),
    };
    let mut document = Writer::new();
    document.value(kind::INT32, b"_id", &1_i32.to_le_bytes());
    write(&mut document);
    transform_one(&filter, &namespace, &document.finish()).expect("a BSON document")
}

fn of_text(status: &str) -> Outcome {
    outcome(|document| document.string(b"status", status))
}

fn of(kind: u8, status: &[u8]) -> Outcome {
    outcome(|document| document.value(kind, b"status", status))
}

#[test]
fn keeps_documents_with_any_of_the_values() {
    assert_eq!(of_text("active"), Outcome::Keep);
    assert_eq!(of(kind::INT32, &7_i32.to_le_bytes()), Outcome::Keep);
    assert_eq!(of(kind::INT64, &7_i64.to_le_bytes()), Outcome::Keep);
    assert_eq!(of(kind::DOUBLE, &7_f64.to_le_bytes()), Outcome::Keep);
}

#[test]
fn drops_the_others() {
    assert_eq!(of_text("gone"), Outcome::Drop);
    assert_eq!(of_text("7"), Outcome::Drop);
    assert_eq!(of(kind::NULL, &[]), Outcome::Drop);
    assert_eq!(outcome(|_document| ()), Outcome::Drop);
}

#[test]
fn a_wrong_configuration_is_refused_by_path() {
    use ConfigFault::{InvalidValue, MissingField, UnknownField};
    for (config, fault, path) in [
        (r#"{"field": "a"}"#, MissingField, ""),
        (
            r#"{"field": "a", "values": [1], "more": 1}"#,
            UnknownField,
            "more",
        ),
        (r#"{"field": 1, "values": [1]}"#, InvalidValue, "field"),
        (r#"{"field": "a", "values": []}"#, InvalidValue, "values"),
        (
            r#"{"field": "a", "values": ["a", true]}"#,
            InvalidValue,
            "values[1]",
        ),
    ] {
        let error = configure(config).expect_err(config);
        assert_eq!(
            (error.fault, error.path.as_str()),
            (fault, path),
            "{config}: {error}"
        );
    }
}
