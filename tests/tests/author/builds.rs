//! `tidegate plugin diff`: two builds on the same documents.

use std::{fmt::Write as _, fs, process::Output};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{ReplicaSet, TestDir, mongod::workspace, replica_set};

use super::{said, tidegate};

const LAST_FOUR: &str = r#"{"rules": [{"path": "card.number", "action": "keepLast", "count": 4}]}"#;
const LAST_TWO: &str = r#"{"rules": [{"path": "card.number", "action": "keepLast", "count": 2}]}"#;

/// People of four regions; every tenth has no card.
fn people() -> Vec<Document> {
    let person = |id: i32| {
        let region = match id % 4 {
            0 => "EMEA",
            1 => "APAC",
            2 => "AMER",
            _ => "none",
        };
        let mut person = doc! { "_id": id, "region": region };
        if id % 10 > 0 {
            person.insert("card", doc! { "number": format!("4000{id:012}") });
        }
        person
    };
    (0..2_500).map(person).collect()
}

/// `tidegate plugin diff`, with the exit code that it has to have. Returns its standard output.
fn diff(arguments: &[&str], code: i32) -> Result<String> {
    let output: Output = tidegate(&[&["diff"], arguments].concat())?;
    ensure!(
        output.status.code() == Some(code),
        "{arguments:?}: {:?} {}",
        output.status,
        said(&output)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn f226_answers_of_two_builds_are_compared() -> Result<()> {
    let directory = TestDir::new()?;
    let options = replica_set::Options::default();
    let set = ReplicaSet::start("source", directory.path().join("source"), options).await?;
    let people = people();
    set.db("shop")
        .collection::<Document>("people")
        .insert_many(&people)
        .await?;
    let uri = set.uri().replacen("/?", "/shop.people?", 1);
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = directory.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let mut dump = Vec::new();
    let mut lines = String::new();
    for person in &people {
        person.to_writer(&mut dump)?;
        writeln!(
            lines,
            "{}",
            bson::Bson::from(person.clone()).into_relaxed_extjson()
        )?;
    }
    let dump = file("people.bson", &dump)?;
    let lines = file("people.json", lines.as_bytes())?;
    let component = workspace().join("target/components/field-mask.wasm");
    let component = component.to_str().context("a path in UTF-8")?;

    for input in [uri.as_str(), &dump, &lines] {
        differences_are_counted_and_listed(component, input)?;
    }
    contents_and_outcomes_are_shown(&uri)?;
    names_are_routed_by_both(&file("names", b"shop.people\nother.people\n")?)?;
    trouble_has_the_exit_code_of_diff(&uri, &file("junk.wasm", b"junk")?)?;
    drop(set);
    directory.remove();
    Ok(())
}

fn differences_are_counted_and_listed(component: &str, input: &str) -> Result<()> {
    let same = [
        component,
        "field-mask",
        "--config",
        LAST_FOUR,
        "--in",
        input,
    ];
    let printed = diff(&same, 0)?;
    ensure!(
        printed.contains(": 2500 the same, 0 with other"),
        "{printed}"
    );
    ensure!(!printed.contains("differs"), "{printed}");

    let masks = [
        "--config",
        LAST_FOUR,
        "--newConfig",
        LAST_TWO,
        "--in",
        input,
    ];
    let printed = diff(&[&[component, "field-mask"][..], &masks].concat(), 1)?;
    ensure!(
        printed.contains("\ndiffers   _id 1: card.number\n"),
        "{printed}"
    );
    ensure!(printed.matches("differs ").count() == 100, "{printed}");
    ensure!(printed.contains("… and 2150 more"), "{printed}");
    ensure!(
        printed.contains(": 250 the same, 2250 with other contents, 0 with another outcome"),
        "{printed}"
    );
    ensure!(
        !printed.contains("****"),
        "no contents were asked for: {printed}"
    );
    Ok(())
}

fn contents_and_outcomes_are_shown(uri: &str) -> Result<()> {
    let masks = [
        "field-mask",
        "field-mask",
        "--config",
        LAST_FOUR,
        "--newConfig",
        LAST_TWO,
    ];
    let printed = diff(
        &[&masks[..], &["--in", uri, "--limit", "3", "--contents"]].concat(),
        1,
    )?;
    ensure!(
        printed.contains("-     \"number\": \"************0001\"")
            && printed.contains("+     \"number\": \"**************01\"")
            && printed.contains("3 documents of shop.people: 1 the same, 2 with other contents"),
        "{printed}"
    );
    let region =
        |name: &str| format!(r#"{{"field": "region", "matchValues": ["EMEA", "{name}"]}}"#);
    let (apac, amer) = (region("APAC"), region("AMER"));
    let filters = [
        "document-filter",
        "document-filter",
        "--config",
        &apac,
        "--newConfig",
        &amer,
    ];
    let printed = diff(&[&filters[..], &["--in", uri, "--list", "2"]].concat(), 1)?;
    ensure!(
        printed.contains("differs   _id 1: kept, now dropped\ndiffers   _id 2: dropped, now kept\n… and 1248 more")
            && printed.contains("1250 the same, 0 with other contents, 1250 with another outcome"),
        "{printed}"
    );
    Ok(())
}

fn names_are_routed_by_both(names: &str) -> Result<()> {
    let to = |name: &str| {
        format!(
            r#"{{"namespaceRemap": [{{"from": {{"database": "shop"}}, "to": {{"database": "{name}"}}}}]}}"#
        )
    };
    let (eu, us) = (to("shop_eu"), to("shop_us"));
    let remaps = [
        "namespace-remap",
        "namespace-remap",
        "--config",
        &eu,
        "--newConfig",
        &us,
    ];
    let printed = diff(&[&remaps[..], &["--names", names]].concat(), 1)?;
    ensure!(
        printed.contains(
            "differs   shop.people: renamed to shop_eu.people, now renamed to shop_us.people\n2 namespaces: 1 the same"
        ),
        "{printed}"
    );
    Ok(())
}

/// 1 says that answers differ, and nothing else.
fn trouble_has_the_exit_code_of_diff(uri: &str, junk: &str) -> Result<()> {
    let nowhere = "mongodb://u:secret@127.0.0.1:1/db.c?serverSelectionTimeoutMS=100";
    let empty = uri.replace("shop.people", "shop.nobody");
    for (arguments, says) in [
        (
            ["field-mask", junk, "--config", LAST_TWO, "--in", uri],
            "not a component",
        ),
        (
            ["field-mask", "field-mask", "--config", "{}", "--in", uri],
            "\"rules\" is missing",
        ),
        (
            [
                "field-mask",
                "field-mask",
                "--config",
                LAST_TWO,
                "--in",
                nowhere,
            ],
            "ConnectionFailed",
        ),
        (
            [
                "field-mask",
                "field-mask",
                "--config",
                LAST_TWO,
                "--in",
                &empty,
            ],
            "no documents",
        ),
        (
            [
                "field-mask",
                "field-mask",
                "--config",
                LAST_TWO,
                "--in",
                "nothing.json",
            ],
            "cannot be read",
        ),
    ] {
        let output = tidegate(&[&["diff"], &arguments[..]].concat())?;
        let said = said(&output);
        ensure!(
            output.status.code() == Some(2),
            "{arguments:?}: {:?} {said}",
            output.status
        );
        ensure!(
            said.contains(says) && !said.contains("secret"),
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}
