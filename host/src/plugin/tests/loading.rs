//! Tests of loading, refusing and finding components.

use std::path::Path;

use crate::model::ErrorName;

use super::super::{Migrator, Registry, Scope, WasiPolicy};
use super::guest::{Guest, transformer};
use super::{added, registry, strict};

/// A component with this import and this export beside its description.
fn outside(import: &str, export: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component {import} (instance $i)
            (export "tidegate:plugin/describe@1.0.0" (instance $i))
            (export "tidegate:plugin/{export}" (instance $i)))"#
    ))
    .expect("a component")
}

fn import(name: &str) -> String {
    format!(r#"(import "{name}" (instance))"#)
}

#[test]
fn a_component_that_this_host_does_not_know_is_refused_before_it_runs() {
    let guest = |abi| {
        Guest {
            abi,
            ..Guest::default()
        }
        .build()
    };
    let importing = Guest {
        imports: [
            "import now: func() -> u64;",
            r#"(import "$root" "now" (func (result i64)))"#,
            "",
        ],
        ..Guest::default()
    };
    for (bytes, words) in [
        (guest("1.0.1"), &["1.0.1", "1.0.0"][..]),
        (guest("2.0.0"), &["2.0.0", "1.0.0"]),
        (guest("0.9.0"), &["0.9.0", "1.0.0"]),
        (outside("", "route@1.1.0"), &["1.1.0", "1.0.0"]),
        (
            outside(&import("tidegate:plugin/observe@1.2.0"), "transform@1.0.0"),
            &["1.2.0", "1.0.0 to 1.1.0"],
        ),
        (
            outside(&import("tidegate:plugin/observe@1.0.0"), "transform@1.0.0"),
            &["imports observe 1.0.0", "observe 1.1.0"],
        ),
        (
            outside(&import("tidegate:plugin/observe@1.1.0"), "route@1.0.0"),
            &["imports observe and exports no transform"],
        ),
        (
            outside(&import("tidegate:plugin/observe@1.1.0"), "migrate@1.0.0"),
            &["a migration step may not"],
        ),
        (outside("", "verify@1.0.0"), &["it exports verify"]),
        (outside("", "describe2@1.0.0"), &["it exports describe2"]),
        (importing.build(), &["imports now"]),
        (
            outside(&import("tidegate:plugin/host@1.0.0"), "route@1.0.0"),
            &["tidegate:plugin/host@1.0.0"],
        ),
        (
            outside(&import("wasi:http/types@0.2.0"), "route@1.0.0"),
            &["wasi:http/types@0.2.0"],
        ),
        (
            outside(&import("wasi:io/poll@0.3.0"), "route@1.0.0"),
            &["wasi:io/poll@0.3.0"],
        ),
        (outside("", "route@1.0.0"), &["does not fit the contract"]),
        (b"\0asm\x01\0\0\0".to_vec(), &["exports nothing"]),
        (b"#!/bin/sh".to_vec(), &["not a component"]),
        (vec![0; (64 << 20) + 1], &["67108865 bytes"]),
    ] {
        let error = registry().add(&bytes).expect_err("a refusal");
        for word in words {
            assert!(error.message.contains(word), "{word}: {error}");
        }
        assert_eq!(error.name, ErrorName::PluginNotSupported);
    }
}

#[test]
fn a_component_that_describes_itself_wrongly_is_refused() {
    for (guest, word) in [
        (
            Guest {
                name: "My Plugin",
                ..Guest::default()
            },
            "My Plugin",
        ),
        (
            Guest {
                name: "",
                ..Guest::default()
            },
            "lower-case words",
        ),
        (
            Guest {
                version: "one",
                ..Guest::default()
            },
            "\"one\"",
        ),
        (
            Guest {
                semantics: 0,
                ..Guest::default()
            },
            "counts from 1",
        ),
        (
            Guest {
                schema: "{",
                ..Guest::default()
            },
            "not JSON",
        ),
        (
            Guest {
                schema: r#"{"type": 7}"#,
                ..Guest::default()
            },
            "not a JSON Schema",
        ),
        (
            Guest {
                schema: r#"{"$ref": "https://example.com/x"}"#,
                ..Guest::default()
            },
            "not a JSON Schema",
        ),
    ] {
        let error = registry().add(&guest.build()).expect_err("a refusal");
        assert_eq!(error.name, ErrorName::PluginNotSupported);
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[test]
fn added_components_are_listed_behind_the_shipped_ones_and_found_by_name_and_digest() {
    let registry = strict(WasiPolicy::default());
    let shipped = registry.list().expect("a list");
    assert_eq!(shipped.len(), registry.feature_set().components().len());
    assert!(
        shipped
            .iter()
            .all(|component| component.shipped && !component.wasi)
    );

    let builds =
        ["1.9.0", "1.10.0", "1.2.0"].map(|version| transformer("actor", version, 1).build());
    let added = builds
        .each_ref()
        .map(|bytes| registry.add(bytes).expect("a good guest"));
    assert_eq!(registry.add(&builds[0]).expect("again"), added[0]);
    assert_eq!(registry.list().expect("a list").len(), shipped.len() + 3);
    assert_eq!(
        registry.find("actor").expect("a name"),
        added[1],
        "the newest"
    );
    assert_eq!(
        registry.find(&added[2].info.digest).expect("a digest"),
        added[2]
    );
    assert_eq!(added[0].exports, ["describe", "transform"]);
    assert_eq!((added[0].scope, added[0].shipped), (Scope::Document, false));
    assert_eq!(added[0].bytes, builds[0].len());

    let impostor = registry.add(
        &Guest {
            name: "namespace-filter",
            ..Guest::default()
        }
        .build(),
    );
    let found = registry.find("namespace-filter").expect("shipped");
    assert!(found.shipped && found != impostor.expect("a good guest"));

    for (wanted, words) in [
        (
            "namspace-filter",
            &["did you mean namespace-filter?", "actor"][..],
        ),
        (
            "something-else",
            &["this host has actor", "namespace-filter"],
        ),
    ] {
        let error = registry.find(wanted).expect_err("a refusal");
        assert_eq!(error.name, ErrorName::PluginNotFound);
        for word in words {
            assert!(error.message.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn a_folder_replaces_the_embedded_feature_set_if_its_digests_hold() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components");
    let shipped = registry().feature_set();
    let other =
        Registry::load(Some(&built), WasiPolicy::default()).expect("what was just embedded");
    let set = other.feature_set();
    assert_eq!(set.components(), shipped.components());
    let listed = |registry: &Registry| registry.list().expect("a list").len();
    assert_eq!(listed(&other), shipped.components().len());
    assert_eq!(
        (set.name(), set.version()),
        (shipped.name(), shipped.version())
    );

    let folder = std::env::temp_dir().join(format!("tidegate-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    let copy = |name: &str| std::fs::copy(built.join(name), folder.join(name)).expect("copy");
    copy("featureset.toml");
    for component in shipped.components() {
        copy(&format!("{}.wasm", component.name));
    }
    let file = format!("{}.wasm", shipped.components()[0].name);
    for bytes in [None, Some(b"something else")] {
        match bytes {
            Some(bytes) => std::fs::write(folder.join(&file), bytes).expect("write"),
            None => std::fs::remove_file(folder.join(&file)).expect("remove"),
        }
        let error = Registry::load(Some(&folder), WasiPolicy::default())
            .err()
            .expect("a refusal");
        assert_eq!(error.name, ErrorName::InvalidConfig, "{error}");
        assert!(error.message.contains(&file), "{error}");
    }
    std::fs::remove_dir_all(&folder).expect("clean up");
}

/// The host writes its own metadata version, so a folder without migration steps gets the embedded steps.
#[test]
fn a_feature_set_without_steps_has_the_embedded_ones() {
    let folder = std::env::temp_dir().join(format!("tidegate-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    let manifest = "name = \"none\"\nversion = \"9.0.0\"\nmetadata_version = 1\n";
    std::fs::write(folder.join("featureset.toml"), manifest).expect("a manifest");
    let registry = Registry::load(Some(&folder), WasiPolicy::Refuse).expect("a feature set");
    let step = Migrator::find(&registry, 1).expect("no failure");
    assert!(step.is_some());
    std::fs::remove_dir_all(&folder).expect("clean up");
}

#[test]
fn the_same_bytes_are_compiled_once() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let first = registry().component(&digest).expect("added");
    added(&transformer("actor", "1.0.0", 1));
    let again = registry().component("actor").expect("added");
    assert!(std::sync::Arc::ptr_eq(&first, &again));
}
