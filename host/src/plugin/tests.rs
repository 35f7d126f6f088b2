//! The real filter in the host, and guests that misbehave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::model::options::{ClusterName, NamespaceFilter, Regex};
use crate::model::{ErrorName, Namespace, OperatorError, Route, StartOptions};

use super::component::Component;
use super::engine::{Engine, Limits};
use super::error::{Error, Result, TrapKind};
use super::featureset::{ComponentInfo, FeatureSet};
use super::pool::Pool;

const LIMITS: Limits = Limits {
    deadline: Duration::from_millis(200),
    memory_bytes: 16 << 20,
};

fn options(include: Vec<NamespaceFilter>, exclude: Vec<NamespaceFilter>) -> StartOptions {
    StartOptions {
        source: ClusterName::Cluster0,
        destination: ClusterName::Cluster1,
        include_namespaces: include,
        exclude_namespaces: exclude,
        build_indexes: Default::default(),
    }
}

fn database(name: &str) -> NamespaceFilter {
    NamespaceFilter {
        database: Some(name.to_owned()),
        ..Default::default()
    }
}

fn database_regex(pattern: &str, options: &str) -> NamespaceFilter {
    let regex = Regex {
        pattern: pattern.to_owned(),
        options: options.to_owned(),
    };
    NamespaceFilter {
        database_regex: Some(regex),
        ..Default::default()
    }
}

fn shipped() -> &'static FeatureSet {
    static SHIPPED: std::sync::OnceLock<FeatureSet> = std::sync::OnceLock::new();
    SHIPPED.get_or_init(|| FeatureSet::load(None).expect("embedded"))
}

#[test]
fn the_shipped_filter_decides_in_the_host() {
    let filters = options(
        vec![database("sales"), database_regex("^HR_", "i")],
        vec![NamespaceFilter {
            collections: Some(vec!["log".to_owned()]),
            ..database("sales")
        }],
    );
    let router = shipped().router(&filters).expect("good filters");
    for (database, collection, route) in [
        ("sales", "orders", Route::Keep),
        ("sales", "log", Route::Skip),
        ("hr_eu", "people.old", Route::Keep),
        ("hr", "people", Route::Skip),
    ] {
        let namespace = Namespace::new(database, collection);
        assert_eq!(
            router.route(&namespace).expect("an answer"),
            route,
            "{namespace}"
        );
    }
    let all = shipped()
        .router(&options(vec![], vec![]))
        .expect("no filters");
    assert_eq!(
        all.route(&Namespace::new("x", "y")).expect("an answer"),
        Route::Keep
    );
}

#[test]
fn one_router_serves_many_threads() {
    let router = shipped()
        .router(&options(vec![database("a")], vec![]))
        .expect("good filters");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for i in 0..200 {
                    let kept = i % 2 == 0;
                    let namespace = Namespace::new(if kept { "a" } else { "b" }, format!("c{i}"));
                    let route = router.route(&namespace).expect("an answer");
                    assert_eq!(route, if kept { Route::Keep } else { Route::Skip });
                }
            });
        }
    });
}

#[test]
fn bad_filters_are_refused_by_name_and_field() {
    let only_collections = NamespaceFilter {
        collections: Some(vec!["c".to_owned()]),
        ..Default::default()
    };
    for (filters, name, field) in [
        (
            options(vec![database("a"), database_regex("(", "")], vec![]),
            ErrorName::InvalidRegex,
            "includeNamespaces[1].databaseRegex",
        ),
        (
            options(vec![], vec![database_regex("a", "q")]),
            ErrorName::InvalidRegex,
            "excludeNamespaces[0].databaseRegex",
        ),
        (
            options(vec![only_collections], vec![]),
            ErrorName::MissingField,
            "includeNamespaces[0]",
        ),
        (
            options(vec![database("admin")], vec![]),
            ErrorName::InvalidField,
            "includeNamespaces[0].database",
        ),
    ] {
        let error = shipped().router(&filters).err().expect("a refusal");
        assert_eq!(error.name, name, "{error}");
        assert!(error.message.starts_with(&format!("{field}: ")), "{error}");
    }
}

#[test]
fn a_pattern_that_backtracks_without_end_is_an_error_and_not_the_end() {
    let router = shipped()
        .router(&options(vec![database_regex("^(a+)+$", "")], vec![]))
        .expect("a pattern that compiles");
    let error = router
        .route(&Namespace::new(format!("{}b", "a".repeat(60)), "c"))
        .expect_err("no answer");
    assert_eq!(error.name, ErrorName::PluginFailed);
    assert!(error.message.contains("includeNamespaces[0]"), "{error}");
    assert_eq!(
        router
            .route(&Namespace::new("aaa", "c"))
            .expect("an answer"),
        Route::Keep
    );
}

#[test]
fn a_folder_replaces_the_embedded_feature_set_if_its_digests_hold() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components");
    let set = FeatureSet::load(Some(&built)).expect("what was just embedded");
    assert_eq!(set.components(), shipped().components());
    assert_eq!(
        (set.name(), set.version()),
        (shipped().name(), shipped().version())
    );

    let folder = std::env::temp_dir().join(format!("tidegate-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(
        built.join("featureset.toml"),
        folder.join("featureset.toml"),
    )
    .expect("copy");
    for bytes in [None, Some(b"something else")] {
        if let Some(bytes) = bytes {
            std::fs::write(folder.join("namespace-filter.wasm"), bytes).expect("write");
        }
        let error = FeatureSet::load(Some(&folder)).err().expect("a refusal");
        assert_eq!(error.name, ErrorName::InvalidConfig, "{error}");
        assert!(error.message.contains("namespace-filter.wasm"), "{error}");
    }
    std::fs::remove_dir_all(&folder).expect("clean up");
}

/// A component in text: `route` runs `body`, everything else is well-behaved.
fn guest(body: &str, version: &str, import: &str) -> Vec<u8> {
    let core = format!(
        r#"(module {import}
            (memory (export "memory") 1)
            (global $top (mut i32) (i32.const 4096))
            (data (i32.const 100) "guest1.0.0{{}}")
            (data (i32.const 16) "\64\00\00\00\05\00\00\00\69\00\00\00\05\00\00\00\01\00\00\00\01\00\00\00\6e\00\00\00\02\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $top)
                (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8)))))
            (func (export "tidegate:plugin/describe@{version}#describe") (result i32) (i32.const 16))
            (func (export "tidegate:plugin/describe@{version}#configure") (param i32 i32) (result i32) (i32.const 512))
            (func $misbehave_deeper (param i32) (result i32) (i32.add (call $misbehave_deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
            (func $misbehave (export "tidegate:plugin/route@{version}#route") (param i32 i32 i32 i32) (result i32)
                (if (i32.eq (local.get 1) (i32.const 3)) (then {body}))
                (i32.const 512)))"#
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/since-v1.0.0");
    let mut wit = String::new();
    for file in ["worlds", "describe", "route", "transform"] {
        wit += &std::fs::read_to_string(folder.join(format!("{file}.wit"))).expect("the contract");
    }
    let mut wit = wit.replace(
        "tidegate:plugin@1.0.0;",
        &format!("tidegate:plugin@{version};"),
    );
    if !import.is_empty() {
        wit = wit.replace(
            "world route-plugin {",
            "world route-plugin { import now: func() -> u64;",
        );
    }
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", &wit).expect("WIT");
    let world = resolve
        .select_world(&[package], Some("route-plugin"))
        .expect("the world");
    let mut module = wat::parse_str(core).expect("a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("embed");
    let mut encoder = ComponentEncoder::default();
    encoder
        .module(&module)
        .expect("a guest")
        .encode()
        .expect("a component")
}

fn load(bytes: &[u8]) -> Result<Component> {
    let info = ComponentInfo {
        role: "route".to_owned(),
        name: "guest".to_owned(),
        version: "1.0.0".to_owned(),
        digest: "sha256:00".to_owned(),
        abi: "1.0.0".to_owned(),
        semantics: 1,
    };
    Component::load(&Engine::new(LIMITS)?, info, bytes)
}

#[test]
fn a_trap_is_named_and_the_next_call_gets_a_fresh_instance() {
    for (body, kind) in [
        ("(loop $again (br $again))", TrapKind::Deadline),
        ("(unreachable)", TrapKind::Panic),
        (
            "(drop (call $misbehave_deeper (i32.const 0)))",
            TrapKind::Stack,
        ),
        ("(drop (i32.load (i32.const -1)))", TrapKind::Other),
        (
            "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))",
            TrapKind::Memory,
        ),
    ] {
        let component = load(&guest(body, "1.0.0", "")).expect(body);
        let pool = Pool::new(Arc::new(component), "{}".to_owned()).expect(body);
        for _ in 0..3 {
            // The guest misbehaves where the database's name has three letters.
            let error = pool.route(&Namespace::new("bad", "c")).expect_err(body);
            let Error::Trapped {
                call,
                trap,
                backtrace,
            } = &error
            else {
                panic!("{body}: {error}")
            };
            assert_eq!((call.export, *trap), ("route", kind), "{body}");
            assert!(backtrace.contains("misbehave"), "{backtrace}");
            let shown = OperatorError::from(error);
            assert_eq!(shown.name, ErrorName::PluginFailed);
            assert!(shown.message.contains("guest") && shown.message.contains("sha256:00"));
            assert_eq!(
                pool.route(&Namespace::new("good", "c")).expect(body),
                Route::Skip
            );
        }
    }
}

#[test]
fn a_component_that_this_host_does_not_know_is_refused_before_it_runs() {
    for (bytes, words) in [
        (guest("", "1.0.1", ""), &["1.0.1", "1.0.0"][..]),
        (guest("", "2.0.0", ""), &["2.0.0", "1.0.0"]),
        (guest("", "0.9.0", ""), &["0.9.0", "1.0.0"]),
        (
            guest("", "1.0.0", r#"(import "$root" "now" (func (result i64)))"#),
            &["imports now"],
        ),
        (b"\0asm\x01\0\0\0".to_vec(), &["exports nothing"]),
        (b"#!/bin/sh".to_vec(), &["not a component"]),
    ] {
        let error = load(&bytes).err().expect("a refusal");
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!(
            OperatorError::from(error).name,
            ErrorName::PluginNotSupported
        );
    }
}
