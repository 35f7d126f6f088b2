//! Tests with feature sets that differ in every way, written to folders.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

/// A temporary folder, removed on drop.
struct Folder(PathBuf);

impl Folder {
    /// A feature set with components of these roles, names, versions, semantics and bytes.
    fn new(version: &str, metadata: u32, components: &[(&str, &str, &str, u32, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).expect("a folder");
        let mut manifest = format!(
            "name = \"tidegate\"\nversion = \"{version}\"\nmetadata_version = {metadata}\n"
        );
        for (role, name, version, semantics, bytes) in components {
            let digest = Sha256::digest(bytes)
                .iter()
                .fold(String::new(), |mut text, byte| {
                    write!(text, "{byte:02x}").expect("text");
                    text
                });
            write!(
                manifest,
                "[[components]]\nrole = \"{role}\"\nname = \"{name}\"\nversion = \"{version}\"\n\
                 digest = \"sha256:{digest}\"\nabi = \"1.0.0\"\nsemantics = {semantics}\n"
            )
            .expect("text");
            fs::write(folder.join(format!("{name}.wasm")), bytes).expect("write");
        }
        fs::write(folder.join("featureset.toml"), manifest).expect("write");
        Self(folder)
    }

    fn diff(&self, to: &Self, json: bool) -> String {
        featureset(&FeatureSetCommand::Diff {
            from: Some(self.0.clone()),
            to: Some(to.0.clone()),
            json,
        })
        .expect("a difference")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn old() -> Folder {
    Folder::new(
        "0.1.1",
        1,
        &[
            ("route", "same", "0.1.1", 1, "same"),
            ("transform", "mended", "0.1.1", 1, "a"),
            ("transform", "other-answers", "0.1.1", 1, "a"),
            ("transform", "gone", "0.1.1", 1, "a"),
            ("transform", "rebuilt", "0.1.1", 1, "a"),
            ("migrate", "metadata-v1-to-v2", "0.1.1", 1, "a"),
        ],
    )
}

fn new() -> Folder {
    Folder::new(
        "0.2.0",
        2,
        &[
            ("transform", "added", "0.2.0", 1, "b"),
            ("migrate", "metadata-v2-to-v3", "0.2.0", 1, "b"),
            ("transform", "rebuilt", "0.1.1", 1, "b"),
            ("transform", "other-answers", "0.2.0", 2, "b"),
            ("transform", "mended", "0.2.0", 1, "b"),
            ("route", "same", "0.1.1", 1, "same"),
            ("migrate", "metadata-v1-to-v2", "0.2.0", 1, "b"),
        ],
    )
}

#[test]
fn a_difference_says_what_happens_to_each_component_of_a_running_sync() {
    let (old, new) = (old(), new());
    assert_eq!(
        old.diff(&new, false),
        "\
pinned     tidegate 0.1.1, metadata version 1
installed  tidegate 0.2.0, metadata version 2: the metadata is migrated at the takeover

role       name               pinned               installed            effect
route      same               0.1.1 (semantics 1)  0.1.1 (semantics 1)  unchanged
transform  mended             0.1.1 (semantics 1)  0.2.0 (semantics 1)  swapped in
transform  other-answers      0.1.1 (semantics 1)  0.2.0 (semantics 2)  stays pinned: newer semantics (deferred)
transform  gone               0.1.1 (semantics 1)  -                    stays pinned: not installed, runs from the destination
transform  rebuilt            0.1.1 (semantics 1)  0.1.1 (semantics 1)  stays pinned: not newer
migrate    metadata-v1-to-v2  0.1.1 (semantics 1)  0.2.0 (semantics 1)  not pinned: a host uses its own
transform  added              -                    0.2.0 (semantics 1)  new
migrate    metadata-v2-to-v3  -                    0.2.0 (semantics 1)  not pinned: a host uses its own
"
    );
    let shown: Value = serde_json::from_str(&old.diff(&new, true)).expect("JSON");
    let outcomes = shown["components"].as_array().expect("a list");
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|component| component["outcome"].as_str().expect("a word"))
        .collect();
    assert_eq!(
        outcomes,
        [
            "unchanged",
            "swap",
            "deferred",
            "missing",
            "notNewer",
            "notPinned",
            "new",
            "notPinned"
        ]
    );
    assert_eq!(shown["metadata"], "migrated");
    assert_eq!(shown["components"][1]["installed"]["version"], "0.2.0");
    assert_eq!(shown["components"][3]["installed"], Value::Null);
}

#[test]
fn an_older_release_refuses_newer_metadata() {
    let (old, new) = (old(), new());
    let back = new.diff(&old, false);
    assert!(back.contains("MetadataVersionNotSupported"), "{back}");
    let same = new.diff(&new, false);
    assert!(same.contains("the metadata stays unchanged"), "{same}");
}

#[test]
fn a_feature_set_is_shown_as_its_manifest_names_it() {
    let show = |json| featureset(&FeatureSetCommand::Show { set: None, json }).expect("embedded");
    let set = FeatureSet::load(None).expect("embedded");
    let shown: Value = serde_json::from_str(&show(true)).expect("JSON");
    assert_eq!(shown["metadataVersion"], set.metadata_version());
    assert_eq!(
        shown["components"].as_array().map(Vec::len),
        Some(set.components().len())
    );
    let text = show(false);
    for info in set.components() {
        let line = text
            .lines()
            .find(|line| line.contains(&info.digest))
            .expect(&info.name);
        for word in [&info.role, &info.name, &info.version, &info.abi] {
            assert!(line.contains(word.as_str()), "{word}: {line}");
        }
    }
}

#[test]
fn a_folder_that_is_not_what_its_manifest_says_is_refused() {
    let set = new();
    fs::write(set.0.join("same.wasm"), "changed").expect("write");
    let show = FeatureSetCommand::Show {
        set: Some(set.0.clone()),
        json: false,
    };
    let error = featureset(&show).expect_err("a refusal");
    assert!(error.message.contains("same.wasm"), "{error}");
}
