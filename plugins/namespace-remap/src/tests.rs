//! Configured rules, applied to names.

use tidegate_plugin_sdk::{ConfigError, ConfigFault, Decision, Namespace, Plugin, Route, parse};

use super::NamespaceRemap;

fn configure(rules: &str) -> Result<NamespaceRemap, ConfigError> {
    NamespaceRemap::configure(parse(&format!(r#"{{"namespaceRemap": [{rules}]}}"#))?)
}

/// A rule, with both names written as `database` or `database.collection`.
fn rule(from: &str, to: &str) -> String {
    let name = |name: &str| match name.split_once('.') {
        Some((database, collection)) => {
            serde_json::json!({ "database": database, "collection": collection })
        }
        None => serde_json::json!({ "database": name }),
    };
    serde_json::json!({ "from": name(from), "to": name(to) }).to_string()
}

fn rules(rules: &[(&str, &str)]) -> Result<NamespaceRemap, ConfigError> {
    let rules: Vec<_> = rules.iter().map(|(from, to)| rule(from, to)).collect();
    configure(&rules.join(","))
}

fn namespace(name: &str) -> Namespace {
    let (database, collection) = name.split_once('.').expect("a namespace");
    Namespace {
        database: database.to_owned(),
        collection: collection.to_owned(),
    }
}

#[test]
fn a_collection_wins_over_its_database_and_the_rest_is_kept() {
    let remap = rules(&[
        ("sales", "sales_eu"),
        ("sales.log", "archive.sales_log"),
        ("sales.a.b", "sales.c.d"),
        ("hr.people", "staff.people"),
    ])
    .expect("rules");
    for (name, renamed) in [
        ("sales.orders", Some("sales_eu.orders")),
        ("sales.log", Some("archive.sales_log")),
        ("sales.log.old", Some("sales_eu.log.old")),
        ("sales.a.b", Some("sales.c.d")),
        ("hr.people", Some("staff.people")),
        ("hr.People", None),
        ("Sales.orders", None),
        ("sales_eu.orders", None),
    ] {
        let decision = match remap.route(&namespace(name)).expect(name) {
            Decision::Rename(Namespace {
                database,
                collection,
            }) => Some(format!("{database}.{collection}")),
            Decision::Keep => None,
            Decision::Skip => panic!("{name} is skipped"),
        };
        assert_eq!(decision.as_deref(), renamed, "{name}");
    }
}

#[test]
fn rules_that_contradict_one_another_are_refused() {
    for (list, path) in [
        (&[("a", "b"), ("a", "c")][..], "namespaceRemap[1].from"),
        (&[("a.x", "b.x"), ("a.x", "c.x")], "namespaceRemap[1].from"),
        (&[("a", "c"), ("b", "c")], "namespaceRemap[1].to"),
        (
            &[("a.x", "c.z"), ("a", "d"), ("a.y", "c.z")],
            "namespaceRemap[2].to",
        ),
        (
            &[("a", "store"), ("b.x", "Store.x")],
            "namespaceRemap[1].to.database",
        ),
    ] {
        let error = rules(list).expect_err(path);
        assert_eq!(
            (error.fault, error.path.as_str()),
            (ConfigFault::InvalidValue, path),
            "{error}"
        );
    }
    for list in [
        &[("a", "b"), ("b", "a")][..],
        &[("a.x", "c.x"), ("b.x", "c.y"), ("b", "c")],
        &[("a.x", "a.X"), ("a", "a")],
        &[("a", "é"), ("b", "É")],
        &[],
    ] {
        rules(list).expect("no contradiction");
    }
}

#[test]
fn a_name_that_cannot_be_is_refused() {
    let long_database = "d".repeat(64);
    let long_collection = format!("c.{}", "x".repeat(254));
    for (from, to, path) in [
        ("admin", "b", "from.database"),
        ("a", "Config", "to.database"),
        ("a", "mongosync_internal_x", "to.database"),
        ("__mdb_internal_x.c", "b.c", "from.database"),
        ("", "b", "from.database"),
        ("a", "b c", "to.database"),
        ("a", "$b", "to.database"),
        ("a", "b/c", "to.database"),
        ("a", "b\\c", "to.database"),
        ("a", "b\"", "to.database"),
        ("a", "b\0", "to.database"),
        ("a", &long_database, "to.database"),
        ("a.system.js", "b.js", "from.collection"),
        ("a.x", "b.system.x", "to.collection"),
        ("a.x", "b.y.system.x", "to.collection"),
        ("a.x", "b..x", "to.collection"),
        ("a.x", "b.$x", "to.collection"),
        ("a.x", "b.", "to.collection"),
        ("a.x", &long_collection, "to.collection"),
    ] {
        let error = rules(&[(from, to)]).expect_err(to);
        let path = format!("namespaceRemap[0].{path}");
        assert_eq!(
            (error.fault, error.path),
            (ConfigFault::InvalidValue, path),
            "{from} {to}: {}",
            error.reason
        );
    }
    for (from, to) in [("a", "é*<>|?'"), ("a.x", "b.y."), ("a.x", "b.y z\"/\\")] {
        rules(&[(from, to)]).expect(to);
    }
}

#[test]
fn a_rule_of_the_wrong_shape_is_refused() {
    use ConfigFault::{InvalidValue, MissingField, UnknownField};
    for (config, fault, path) in [
        (rule("a.x", "b"), MissingField, "[0].to.collection"),
        (rule("a", "b.x"), MissingField, "[0].from.collection"),
        (r#"{"from": {"database": "a"}}"#.into(), MissingField, "[0]"),
        (
            r#"{"from": {"database": "a"}, "to": {"db": "b"}}"#.into(),
            UnknownField,
            "[0].to.db",
        ),
        (
            r#"{"from": {"database": 7}, "to": {"database": "b"}}"#.into(),
            InvalidValue,
            "[0].from.database",
        ),
    ] {
        let error = configure(&config).expect_err(&config);
        assert_eq!(
            (error.fault, error.path),
            (fault, format!("namespaceRemap{path}")),
            "{config}: {}",
            error.reason
        );
    }
}

#[test]
fn a_namespace_that_becomes_too_long_is_an_error() {
    let remap = rules(&[("a", &"b".repeat(63))]).expect("rules");
    let fits = format!("a.{}", "c".repeat(191));
    remap.route(&namespace(&fits)).expect("255 bytes");
    let reason = remap
        .route(&namespace(&format!("{fits}c")))
        .expect_err("256 bytes");
    assert!(reason.contains("256 bytes"), "{reason}");
}

#[test]
fn the_schema_is_json() {
    let schema = NamespaceRemap::DESCRIPTION.config_schema;
    serde_json::from_str::<serde_json::Value>(schema).expect("JSON");
}
