//! The list of components, in the format CycloneDX.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::test_dir::TestDir;

use crate::release;

#[test]
fn the_list_names_every_package_with_its_checksum_and_licence() -> Result<()> {
    let dir = TestDir::new()?;
    let release = release(Path::new("/bin/true"))?;
    packaging::build(&release, dir.path())?;
    let list = dir
        .path()
        .join(format!("tidegate-{}.cdx.json", release.version));
    let list: Value = serde_json::from_slice(&fs::read(list)?)?;
    assert_eq!(list["specVersion"], "1.5");
    let components = list["components"].as_array().context("components")?;
    let find = |name| {
        components
            .iter()
            .find(|component| component["name"] == name)
    };
    for name in ["wasmtime", "mongodb", "rustls", "tidegate-field-mask"] {
        ensure!(find(name).is_some(), "{name} is missing");
    }
    ensure!(find("jsonschema").is_some_and(|its| its["hashes"][0]["content"].is_string()));
    for test_only in ["proptest", "tidegate-support", "rcgen"] {
        ensure!(
            find(test_only).is_none(),
            "{test_only} is not in the binary"
        );
    }
    for component in components {
        ensure!(
            component["licenses"][0].is_object(),
            "no licence: {component}"
        );
    }

    let subject = &list["metadata"]["component"]["bom-ref"];
    let known: BTreeSet<_> = (components.iter().map(|component| &component["bom-ref"]))
        .chain([subject])
        .filter_map(Value::as_str)
        .collect();
    for edge in list["dependencies"].as_array().context("dependencies")? {
        let used = edge["dependsOn"].as_array().context("dependsOn")?;
        for name in used.iter().chain([&edge["ref"]]) {
            let name = name.as_str().context("a reference")?;
            ensure!(known.contains(name), "{name} is used and not listed");
        }
    }
    dir.remove();
    Ok(())
}
