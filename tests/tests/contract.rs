//! The plugin contract as others rely on it: the bindings that it gives, and
//! components that earlier releases built.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use bson::rawdoc;
use serde_json::{Value, json};
use support::mongod::workspace;
use tidegate::{
    model::{
        Namespace, Route, StartOptions,
        options::{ClusterName, Json, OnError, PluginOptions},
    },
    plugin::{Outcome, Registry, WasiPolicy},
};
use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};

fn fixture(path: &str) -> PathBuf {
    workspace().join("tests/fixtures").join(path)
}

/// The bindings of the released contract, for a plugin that exports everything. They change with
/// the generator's version only, and then on purpose: `BLESS=1 cargo xtask test contract`.
#[test]
fn bindings_are_the_golden_ones() -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(workspace().join("wit/since-v1.0.0"))?;
    for world in ["route-and-transform-plugin", "migrate-plugin"] {
        let id = resolve.select_world(&[package], Some(world))?;
        let mut files = Files::default();
        let options = wit_bindgen_rust::Opts {
            format: true,
            ..Default::default()
        };
        options.build().generate(&mut resolve, id, &mut files)?;
        let (_, bindings) = files.iter().next().context("a generated file")?;
        let golden = fixture(&format!("bindings/{world}.rs.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, bindings)?;
        }
        let expected = std::fs::read(&golden).unwrap_or_default();
        ensure!(
            bindings == expected,
            "the bindings of {world} are not those of {}: see the difference with BLESS=1",
            golden.display()
        );
    }
    Ok(())
}

fn options(digest: &str, config: Value) -> StartOptions {
    StartOptions {
        plugins: vec![PluginOptions {
            component: digest.to_owned(),
            config: Json(config),
            namespaces: Vec::new(),
            on_error: OnError::Stop,
        }],
        ..StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
    }
}

/// What a component of a release did with one document of `app.people`.
fn answer(registry: &Registry, digest: &str, config: Value) -> Result<Option<bson::Document>> {
    let chain = registry.chain(&options(digest, config))?;
    let chain = chain.of(&Namespace::new("app", "people"))?;
    let document = rawdoc! { "_id": 1, "name": "Grace", "region": "EU", "n": 7 };
    let transformed = chain.context("a stage")?.transform(document.as_bytes())?;
    let outcome = transformed.outcomes().next().context("an outcome")?;
    let bytes = match outcome {
        Outcome::Keep => document.as_bytes(),
        Outcome::Replaced(bytes) => bytes,
        Outcome::Drop => return Ok(None),
        Outcome::Quarantined(fault) => return Err(anyhow!("{}", fault.reason)),
    };
    Ok(Some(bson::deserialize_from_slice(bytes)?))
}

fn added(registry: &Registry, release: &str, name: &str) -> Result<String> {
    let file = fixture(&format!("abi/{release}/{name}.wasm"));
    let bytes = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let installed = registry.add(&bytes)?;
    ensure!(installed.info.name == name && installed.info.abi == release);
    Ok(installed.info.digest)
}

/// The components that were shipped when the contract was frozen run on this host, and give the
/// answers that they gave then.
#[test]
fn components_of_1_0_0_run() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    let digest = |name| added(&registry, "1.0.0", name);

    let filter = digest("document-filter")?;
    let of_region = |region| json!({ "field": "region", "matchValues": [region] });
    ensure!(answer(&registry, &filter, of_region("EU"))?.is_some());
    ensure!(answer(&registry, &filter, of_region("US"))?.is_none());

    let rules = json!([{ "path": "name", "action": "keepFirst", "count": 1 }]);
    let masked = answer(&registry, &digest("field-mask")?, json!({ "rules": rules }))?;
    ensure!(masked.context("kept")?.get_str("name")? == "G****");

    let rules = json!([{ "rename": { "from": "n", "to": "number" } }]);
    let renamed = answer(
        &registry,
        &digest("field-rename")?,
        json!({ "rules": rules }),
    )?;
    ensure!(renamed.context("kept")?.get_i32("number")? == 7);

    let remap = json!([{ "from": { "database": "app" }, "to": { "database": "new" } }]);
    let remap = options(
        &digest("namespace-remap")?,
        json!({ "namespaceRemap": remap }),
    );
    let route = registry
        .router(&remap)?
        .route(&Namespace::new("app", "people"))?;
    ensure!(route == Route::Rename(Namespace::new("new", "people")));

    let exclude = json!({ "excludeNamespaces": [{ "databaseRegex": { "pattern": "^ap" } }] });
    let filter = options(&digest("namespace-filter")?, exclude);
    let route = registry
        .router(&filter)?
        .route(&Namespace::new("app", "people"))?;
    ensure!(route == Route::Skip);
    Ok(())
}
