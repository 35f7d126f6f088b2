//! Configured filters, applied to names.

use tidegate_plugin_sdk::{ConfigError, ConfigFault, Decision, Namespace, Plugin, Route, parse};

use super::NamespaceFilter;

fn configure(config: &str) -> Result<NamespaceFilter, ConfigError> {
    NamespaceFilter::configure(parse(config)?)
}

/// The namespaces of a fixed list that a configuration keeps.
fn kept(config: &str) -> Vec<&'static str> {
    let filter = configure(config).expect(config);
    [
        "sales.orders",
        "sales.users",
        "Sales.orders",
        "sales_test.orders",
        "hr.people",
        "hr.a.b",
    ]
    .into_iter()
    .filter(|name| {
        let (database, collection) = name.split_once('.').expect("a namespace");
        let namespace = Namespace {
            database: database.to_owned(),
            collection: collection.to_owned(),
        };
        !matches!(filter.route(&namespace).expect(name), Decision::Skip)
    })
    .collect()
}

#[test]
fn exclude_wins_and_no_include_takes_everything() {
    for (config, names) in [
        (
            "{}",
            &[
                "sales.orders",
                "sales.users",
                "Sales.orders",
                "sales_test.orders",
                "hr.people",
                "hr.a.b",
            ][..],
        ),
        (
            r#"{"includeNamespaces": [{"database": "sales"}]}"#,
            &["sales.orders", "sales.users"],
        ),
        (
            r#"{"includeNamespaces": [{"database": "sales", "collections": ["users"]}, {"database": "hr", "collections": ["a.b"]}]}"#,
            &["sales.users", "hr.a.b"],
        ),
        (
            r#"{"includeNamespaces": [{"databaseRegex": {"pattern": "^sales", "options": "i"}}],
                "excludeNamespaces": [{"databaseRegex": {"pattern": "_test$"}}]}"#,
            &["sales.orders", "sales.users", "Sales.orders"],
        ),
        (
            r#"{"excludeNamespaces": [{"databaseRegex": {"pattern": ""}, "collectionsRegex": {"pattern": "ord|peo"}}]}"#,
            &["sales.users", "hr.a.b"],
        ),
        (
            r#"{"includeNamespaces": [{"database": "sales"}], "excludeNamespaces": [{"database": "sales"}]}"#,
            &[],
        ),
    ] {
        assert_eq!(kept(config), names, "{config}");
    }
}

#[test]
fn refusals_name_the_field() {
    use ConfigFault::{InvalidRegex, InvalidValue, MissingField, UnknownField};
    for (config, fault, path) in [
        (
            r#"{"includeNamespaces": [{"collections": ["a"]}]}"#,
            MissingField,
            "includeNamespaces[0]",
        ),
        (
            r#"{"includeNamespaces": [{"database": "a"}, {"databaseRegex": {"pattern": "("}}]}"#,
            InvalidRegex,
            "includeNamespaces[1].databaseRegex",
        ),
        (
            r#"{"excludeNamespaces": [{"database": "a", "collectionsRegex": {"pattern": "a", "options": "u"}}]}"#,
            InvalidRegex,
            "excludeNamespaces[0].collectionsRegex",
        ),
        (
            r#"{"excludeNamespaces": [{"database": "a", "databaseRegex": {"pattern": "a"}}]}"#,
            InvalidValue,
            "excludeNamespaces[0]",
        ),
        (
            r#"{"excludeNamespaces": [{"database": "admin"}]}"#,
            InvalidValue,
            "excludeNamespaces[0].database",
        ),
        (
            r#"{"includeNamespaces": [{"database": "a", "collections": []}]}"#,
            InvalidValue,
            "includeNamespaces[0].collections",
        ),
        (
            r#"{"includeNamespaces": [{"database": "a", "collection": "b"}]}"#,
            UnknownField,
            "includeNamespaces[0].collection",
        ),
        (
            r#"{"includeNamespaces": [{"database": 7}]}"#,
            InvalidValue,
            "includeNamespaces[0].database",
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

#[test]
fn f46_a_pattern_that_backtracks_answers() {
    let filter = configure(
        r#"{"includeNamespaces": [{"database": "d", "collectionsRegex": {"pattern": "^([a-z0-9]+_?)*$"}}]}"#,
    )
    .expect("compiles");
    for (collection, kept) in [
        ("customerordersarchive2024-01", false),
        ("customerordersarchive2024_01", true),
    ] {
        let namespace = Namespace {
            database: "d".to_owned(),
            collection: collection.to_owned(),
        };
        let decision = filter.route(&namespace).expect("an answer");
        assert_eq!(matches!(decision, Decision::Keep), kept, "{collection}");
    }
}

#[test]
fn the_schema_is_json() {
    let schema = NamespaceFilter::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
