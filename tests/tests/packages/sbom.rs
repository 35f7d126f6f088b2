//! The list of components, in the format CycloneDX.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::test_dir::TestDir;

use crate::{is_installed, printed, release};

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

/// `/bin/true` with a list as `cargo auditable` writes it.
fn with_list(dir: &Path, list: &Value) -> Result<std::path::PathBuf> {
    let (section, program) = (dir.join("list"), dir.join("program"));
    let compress =
        "import sys, zlib; open(sys.argv[1], 'wb').write(zlib.compress(sys.argv[2].encode()))";
    let mut python = Command::new("python3");
    python.args(["-c", compress]).arg(&section);
    printed(python.arg(list.to_string()))?;
    let mut objcopy = Command::new("objcopy");
    objcopy.arg(format!("--add-section=.dep-v0={}", section.display()));
    printed(objcopy.arg("/bin/true").arg(&program))?;
    Ok(program)
}

#[test]
fn the_list_inside_the_binary_is_a_part_of_the_list_of_components() -> Result<()> {
    if !is_installed("objcopy") {
        return Ok(());
    }
    let dir = TestDir::new()?;
    let own = serde_json::json!({ "name": "tidegate", "version": env!("CARGO_PKG_VERSION") });
    let other =
        |kind: &str| serde_json::json!({ "name": "other", "version": "1.0.0", "kind": kind });
    for (other, fits) in [(other("build"), true), (other("runtime"), false)] {
        let list = serde_json::json!({ "packages": [own, other] });
        let program = with_list(dir.path(), &list)?;
        let inside = packaging::dependencies(&fs::read(&program)?)?.context("no list")?;
        ensure!(inside.len() == if fits { 1 } else { 2 }, "{inside:?}");
        let built = packaging::build(&release(&program)?, &dir.path().join("out"));
        match (built, fits) {
            (Ok(_), true) => {}
            (Err(refused), false) => ensure!(refused.to_string().contains("lacks"), "{refused:#}"),
            (built, _) => anyhow::bail!("{list}: {built:?}"),
        }
    }
    let none = packaging::dependencies(&fs::read("/bin/true")?)?;
    ensure!(none.is_none(), "{none:?}");
    dir.remove();
    Ok(())
}
