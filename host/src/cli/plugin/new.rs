//! `tidegate plugin new`: creates a plugin that builds and has a test. Its folder contains all it needs of tidegate: the
//! contract, and for Rust the SDK.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

use super::super::status::CommandStatus;
use super::command::{self, Language};
use super::console::Console;
use super::usage_error::usage_error;

static RUST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/templates/rust");
static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/templates/python");
static JAVASCRIPT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/templates/javascript");
static GO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/templates/go");
static C: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/templates/c");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit/since-v1.0.0");
static OBSERVE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit/since-v1.1.0");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/sdk/src");
static RAW_BSON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/raw-bson/src");
const SDK_MANIFEST: &[u8] = include_bytes!("../../../../plugins/sdk/Cargo.toml");
const RAW_BSON_MANIFEST: &[u8] = include_bytes!("../../../../plugins/raw-bson/Cargo.toml");

/// The placeholder for the plugin's name in a template.
const NAME: &str = "{{name}}";

/// Most characters of a name, as in the host.
const LONGEST_NAME: usize = 64;

pub(super) fn execute(
    arguments: &command::NewArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    check_name(&arguments.name)?;
    let folder = arguments.into.join(&arguments.name);
    if folder.exists() {
        return Err(usage_error(format!(
            "{} exists already. Give another name, or another folder with --into.",
            folder.display()
        )));
    }
    for (path, bytes) in files(arguments.lang, &arguments.name) {
        write(&folder.join(path), &bytes)?;
    }
    let folder = folder.strip_prefix(".").unwrap_or(&folder).display();
    console.line(format!(
        "{folder} holds a plugin that keeps or drops documents. Next:\n"
    ))?;
    console.line(format!("  cd {folder}"))?;
    for command in next(arguments.lang) {
        console.line(format!("  {command}"))?;
    }
    Ok(CommandStatus::Success)
}

fn next(language: Language) -> [&'static str; 2] {
    match language {
        Language::Rust => ["cargo test", "tidegate plugin build"],
        Language::Python => [
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            "python3 -m unittest && tidegate plugin build",
        ],
        Language::Javascript => ["npm install && npm test", "tidegate plugin build"],
        Language::Go => ["go test", "tidegate plugin build"],
        Language::C => [
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            "make test && tidegate plugin build",
        ],
    }
}

/// Checks a name, which is used for the crate, the folder and the component.
fn check_name(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins_well && name.len() <= LONGEST_NAME && name.split('-').all(is_word) {
        return Ok(());
    }
    Err(usage_error(format!(
        "'{name}' cannot be a plugin's name. Give lower-case words joined by hyphens, \
         of {LONGEST_NAME} characters at most, such as mask-mail."
    )))
}

/// The files of the new folder.
fn files(language: Language, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let template = match language {
        Language::Rust => &RUST,
        Language::Python => &PYTHON,
        Language::Javascript => &JAVASCRIPT,
        Language::Go => &GO,
        Language::C => &C,
    };
    collect(template, Path::new(""), &mut files);
    for (_, bytes) in &mut files {
        *bytes = render(bytes, name);
    }
    if language == Language::Rust {
        let vendor = Path::new("vendor");
        files.push((vendor.join("plugins/sdk/Cargo.toml"), SDK_MANIFEST.to_vec()));
        files.push((
            vendor.join("plugins/raw-bson/Cargo.toml"),
            RAW_BSON_MANIFEST.to_vec(),
        ));
        collect(&SDK, &vendor.join("plugins/sdk/src"), &mut files);
        collect(&RAW_BSON, &vendor.join("plugins/raw-bson/src"), &mut files);
        collect(&WIT, &vendor.join("wit/since-v1.0.0"), &mut files);
        collect(&OBSERVE, &vendor.join("wit/since-v1.1.0"), &mut files);
    } else {
        collect(&WIT, Path::new("wit"), &mut files);
        collect(&OBSERVE, Path::new("wit/deps/observe"), &mut files);
    }
    files
}

fn collect(dir: &Dir<'_>, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for file in dir.files() {
        files.push((below.join(file.path()), file.contents().to_vec()));
    }
    for dir in dir.dirs() {
        collect(dir, below, files);
    }
}

fn render(template: &[u8], name: &str) -> Vec<u8> {
    String::from_utf8_lossy(template)
        .replace(NAME, name)
        .into_bytes()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_joined_by_hyphens() {
        for name in ["mask", "mask-mail", "a1-b2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in [
            "",
            "-",
            "mask-",
            "-mask",
            "a--b",
            "Mask",
            "mask_mail",
            "1mask",
            "../x",
            "é",
            &long,
        ] {
            let error = check_name(name).expect_err(name).to_string();
            assert!(error.starts_with("InvalidConfig: "), "{error}");
        }
    }

    #[test]
    fn every_language_has_its_files_and_its_name() {
        for (language, expected) in [
            (
                Language::Rust,
                &[
                    "Cargo.toml",
                    ".gitignore",
                    "src/lib.rs",
                    "vendor/plugins/sdk/src/lib.rs",
                    "vendor/plugins/raw-bson/Cargo.toml",
                    "vendor/wit/since-v1.0.0/worlds.wit",
                    "vendor/wit/since-v1.1.0/observe.wit",
                ][..],
            ),
            (
                Language::Python,
                &[
                    "plugin.py",
                    "requirements.txt",
                    "wit/worlds.wit",
                    "wit/deps/observe/observe.wit",
                ],
            ),
            (
                Language::Javascript,
                &["package.json", "plugin.js", "wit/transform.wit"],
            ),
            (Language::Go, &["go.mod", "plugin.go", "wit/worlds.wit"]),
            (
                Language::C,
                &[
                    "Makefile",
                    "plugin.c",
                    "transform_plugin.h",
                    "wit/worlds.wit",
                ],
            ),
        ] {
            let files = files(language, "mask-mail");
            for path in expected {
                assert!(
                    files.iter().any(|(found, _)| found == Path::new(path)),
                    "{language:?}: {path}"
                );
            }
            let texts: Vec<_> = files
                .iter()
                .map(|(_, bytes)| String::from_utf8_lossy(bytes))
                .collect();
            assert!(
                texts.iter().all(|text| !text.contains(NAME)),
                "{language:?}"
            );
            assert!(
                texts.iter().any(|text| text.contains("mask-mail")),
                "{language:?}"
            );
        }
    }
}
