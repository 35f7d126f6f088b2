//! Reports of the tools for authors about guests: `check` and `run` of components, without a sync.

use std::{
    fs,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{TestDir, host, mongod::workspace};

use super::builds::{Build, FIRST};
use super::guests::{DELTA, STAMP};

fn tidegate(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(host::binary()?);
    command.arg("plugin").args(arguments);
    command.output().context("run tidegate plugin")
}

fn file(guest: &str) -> String {
    format!("{}/target/guests/{guest}.wasm", workspace().display())
}

/// The report of `check` on a guest, by the names of the checks, and whether all is well.
fn check(guest: &str, config: &Value, more: &[&str]) -> Result<(bool, Value)> {
    let (file, config) = (file(guest), config.to_string());
    let arguments = [&["check", &file, "--config", &config, "--json"][..], more].concat();
    let output = tidegate(&arguments)?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output.status.success(), report))
}

/// The result of a check.
fn result<'a>(report: &'a Value, check: &str) -> &'a str {
    let mut checks = report["checks"].as_array().into_iter().flatten();
    let found = checks.find(|found| found["check"] == check);
    found
        .and_then(|found| found["result"].as_str())
        .unwrap_or("none")
}

/// Finding 47: a NaN failed a correct plugin, and a plugin that compares fields passed, because no sample had the
/// field that it compares.
#[test]
fn f47_a_check_compares_bytes_and_reaches_what_the_configuration_names() -> Result<()> {
    let (well, report) = check(DELTA, &json!({ "zero": "a" }), &[])?;
    ensure!(well && result(&report, "scope") == "ok", "{report:#}");

    let across = json!({ "zero": "a", "where": { "field": "b", "is": "EMEA" } });
    let (well, report) = check(DELTA, &across, &[])?;
    ensure!(!well && result(&report, "scope") == "failed", "{report:#}");

    // A field that no sample has is reported, and is found in the author's own documents.
    let directory = TestDir::new()?;
    let own = directory.path().join("own.json");
    fs::write(&own, r#"{"_id": 1, "x.y": 7}"#)?;
    let dotted = json!({ "zero": "x.y" });
    let (well, report) = check(DELTA, &dotted, &[])?;
    ensure!(well && result(&report, "effect") == "skipped", "{report:#}");
    ensure!(result(&report, "scope") == "skipped", "{report:#}");
    let (well, report) = check(DELTA, &dotted, &["--in", &own.to_string_lossy()])?;
    ensure!(well && result(&report, "effect") == "none", "{report:#}");
    ensure!(result(&report, "scope") == "ok", "{report:#}");
    directory.remove();
    Ok(())
}

/// Finding 51: nothing said whether `semantics` has to rise.
#[test]
fn f51_a_build_is_compared_with_an_earlier_one() -> Result<()> {
    let directory = TestDir::new()?;
    let build = |version, semantics, stamp| -> Result<String> {
        let build = Build {
            version,
            semantics,
            stamp,
            ..FIRST
        };
        let path = directory.path().join(version);
        fs::write(&path, build.bytes()?)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let first = build("7.0.0", 1, "first")?;
    let fixed = build("7.0.1", 1, "first")?;
    let other = build("7.1.0", 1, "second")?;
    let risen = build("8.0.0", 2, "second")?;
    for (new, old, against) in [
        (&fixed, &first, "ok"),
        (&other, &first, "failed"),
        (&risen, &first, "ok"),
        (&first, &risen, "failed"),
        (&risen, &other, "skipped"),
        (&first, &file(DELTA), "failed"),
    ] {
        let output = tidegate(&["check", new, "--json", "--against", old])?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(
            result(&report, "against") == against,
            "{new} {old}: {report:#}"
        );
    }
    directory.remove();
    Ok(())
}

/// Finding 51: a plugin that routes could not be tried.
#[test]
fn f51_names_are_routed() -> Result<()> {
    let directory = TestDir::new()?;
    let names = directory.path().join("names");
    fs::write(&names, "sales.EMEA\nsales_test.EMEA\nhr.people\n")?;
    let names = names.to_string_lossy();
    let remap =
        r#"{"namespaceRemap": [{"from": {"database": "sales"}, "to": {"database": "new"}}]}"#;
    let filter = r#"{"excludeNamespaces": [{"databaseRegex": {"pattern": "_test$"}}]}"#;
    for (plugin, config, says) in [
        ("namespace-remap", remap, "renamed   sales.EMEA to new.EMEA"),
        ("namespace-filter", filter, "skipped   sales_test.EMEA"),
        (
            "namespace-filter",
            filter,
            "3 namespaces: 2 kept, 1 skipped, 0 renamed, 0 errors",
        ),
    ] {
        let output = tidegate(&["run", plugin, "--config", config, "--names", &names])?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && said.contains(says), "{said}");
    }
    let (stamp, both) = (file(STAMP), ["--names", "x", "--in", "y"]);
    for (more, code) in [(&["--names", "/nowhere"][..], 2), (&[], 2), (&both, 2)] {
        let output = tidegate(&[&["run", &stamp][..], more].concat())?;
        ensure!(output.status.code() == Some(code), "{more:?}: {output:?}");
    }
    directory.remove();
    Ok(())
}
