//! The rules of the house, checked in the host's source: a room uses only those to its right (`host/src/lib.rs`),
//! files inside a room use each other in one direction, the driver is named in one room, and no file grows without
//! end.

mod names;
mod source;
mod voice;
mod walls;

use std::path::{Path, PathBuf};

use crate::source::Source;

use anyhow::{Context, Result, ensure};

/// Each room and the rooms that it may use, in addition to itself.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "api",
        &[
            "session", "sync", "mongo", "metadata", "plugin", "model", "config", "observe",
        ],
    ),
    (
        "session",
        &[
            "sync",
            "mongo",
            "metadata",
            "distribution",
            "plugin",
            "model",
            "config",
            "observe",
        ],
    ),
    (
        "cli",
        &[
            "session",
            "sync",
            "mongo",
            "metadata",
            "distribution",
            "plugin",
            "model",
            "config",
            "observe",
        ],
    ),
    (
        "sync",
        &["mongo", "metadata", "plugin", "model", "config", "observe"],
    ),
    ("mongo", &["model", "config", "observe"]),
    ("metadata", &["mongo", "model", "config", "observe"]),
    ("distribution", &["plugin", "model", "config", "observe"]),
    ("plugin", &["model", "config", "observe"]),
    ("config", &["model"]),
    ("observe", &["model"]),
    ("model", &[]),
];

/// Lines of a file: in the host's source, and elsewhere.
const MOST_LINES: [(&str, usize); 3] = [("host/src", 400), ("plugins", 800), ("tests", 800)];

fn source() -> PathBuf {
    support::mongod::workspace().join("host").join("src")
}

/// Every Rust file under a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in directory
        .read_dir()
        .with_context(|| format!("list {}", directory.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The rooms that a text names as `crate::room` or in `use crate::{room, …}`.
fn rooms_used(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut rooms = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(group_members(group)),
            None => rooms.push(identifier(rest)),
        }
    }
    rooms
}

/// The first names of `a::b, c::{d, e}, f}`.
fn group_members(group: &str) -> Vec<String> {
    let (mut members, mut depth, mut begins) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && !character.is_whitespace() => {
                members.push(identifier(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    members
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn no_import_runs_against_the_allowed_direction() -> Result<()> {
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        let mut found = Vec::new();
        files(&source().join(room), &mut found)?;
        for file in found {
            let used = rooms_used(&std::fs::read_to_string(&file)?);
            let known = used
                .iter()
                .filter(|used| ROOMS.iter().any(|(room, _)| room == used));
            for used in known.filter(|used| *used != room && !allowed.contains(&used.as_str())) {
                wrong.push(format!("{}: {room} must not use {used}", file.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_room_is_listed() -> Result<()> {
    for entry in source().read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let listed = name.ends_with(".rs") || ROOMS.iter().any(|(room, _)| *room == name);
        ensure!(
            listed,
            "host/src/{name} is a room without a rule: add it to ROOMS"
        );
    }
    Ok(())
}

#[test]
fn no_file_is_longer_than_the_limit() -> Result<()> {
    let root = support::mongod::workspace();
    let mut wrong = Vec::new();
    for (part, limit) in MOST_LINES {
        let mut found = Vec::new();
        files(&root.join(part), &mut found)?;
        for file in found {
            let lines = std::fs::read_to_string(&file)?.lines().count();
            if lines > limit {
                wrong.push(format!("{}: {lines} lines; split it", file.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn files_of_a_folder_import_each_other_in_one_direction() -> Result<()> {
    let circles = walls::circles(&Source::read(&source())?);
    ensure!(circles.is_empty(), "{}", circles.join("\n"));
    Ok(())
}

#[test]
fn only_one_room_names_the_driver() -> Result<()> {
    let outside = walls::driver_outside(&Source::read(&source())?);
    ensure!(outside.is_empty(), "{}", outside.join("\n"));
    Ok(())
}

#[test]
fn types_are_nouns() -> Result<()> {
    let wrong = names::participles(&Source::read(&source())?);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn comments_are_plain() -> Result<()> {
    let root = support::mongod::workspace();
    let mut found = Vec::new();
    for part in ["host/src", "plugins"] {
        files(&root.join(part), &mut found)?;
    }
    let excess = voice::excess(&found)?;
    ensure!(excess.is_empty(), "{}", excess.join("\n"));
    Ok(())
}

/// Packages stand in the folders that the README names, and nowhere else.
#[test]
fn packages_stand_in_their_folders() -> Result<()> {
    for entry in support::mongod::workspace().read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = ["host", "plugins", "wit", "tests"].contains(&name.as_str());
        ensure!(
            known || !entry.path().join("Cargo.toml").exists(),
            "{name} is a package at the top level"
        );
    }
    Ok(())
}

#[test]
fn words_that_the_glossary_forbids_do_not_occur() -> Result<()> {
    let glossary = support::mongod::workspace().join("docs/glossary.md");
    let glossary = std::fs::read_to_string(glossary).context("read docs/glossary.md")?;
    let wrong = names::forbidden(&Source::read(&source())?, &glossary)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn imports_are_read_in_every_form() {
    let text = "use crate::model::A;\nuse crate::{\n    sync::{x, y::Z},\n    mongo as m,\n};\n\
                // use crate::api::No;\nfn f() -> crate::plugin::P {}";
    assert_eq!(rooms_used(text), ["model", "sync", "mongo", "plugin"]);
}

/// The lines of a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> Result<Vec<String>> {
    let path = support::mongod::workspace().join(manifest);
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {manifest}"))?;
    let (_, listed) = text
        .split_once("[dependencies]\n")
        .with_context(|| format!("{manifest} has no dependencies"))?;
    let listed = listed.lines().take_while(|line| !line.starts_with('['));
    let listed = listed.filter(|line| !line.is_empty());
    Ok(listed.map(str::to_owned).collect())
}

/// Otherwise the tasks have dependencies with other features than the host, and these are compiled twice.
#[test]
fn the_tasks_are_compiled_beside_all_that_the_host_depends_on() -> Result<()> {
    let (host, listed) = ("host/Cargo.toml", "tests/dependencies/Cargo.toml");
    ensure!(
        dependencies(host)? == dependencies(listed)?,
        "{listed} does not list the dependencies of {host}"
    );
    Ok(())
}
