//! The plugin contract as other parties rely on it: its generated bindings, and components that earlier releases
//! built.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use bson::{Bson, RawDocumentBuf, doc, rawdoc};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use support::mongod::workspace;
use tidegate::{
    metadata::METADATA_VERSION,
    model::{
        Namespace, Route, StartOptions,
        options::{ClusterName, Json, OnError, PluginOptions},
    },
    plugin::{Chain, Migrator, Outcome, Registry, Router, WasiPolicy},
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

/// A world of 1.0.0 imports `observe` with one more line, in the layout that `plugin new` writes. Without the line it is as before.
#[test]
fn a_world_of_1_0_0_imports_observe_with_one_line() -> Result<()> {
    let directory = support::TestDir::new()?;
    let copy = |version: &str, folder: &std::path::Path| -> Result<()> {
        std::fs::create_dir_all(folder)?;
        for file in workspace().join("wit").join(version).read_dir()? {
            let file = file?;
            std::fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        Ok(())
    };
    let wit = directory.path().join("wit");
    copy("since-v1.0.0", &wit)?;
    copy("since-v1.1.0", &wit.join("deps/observe"))?;
    let worlds = std::fs::read_to_string(wit.join("worlds.wit"))?;
    let world = "world transform-plugin {";
    let line = "import tidegate:plugin/observe@1.1.0;";
    for (worlds, imports) in [
        (worlds.clone(), 0),
        (worlds.replace(world, &format!("{world} {line}")), 1),
    ] {
        std::fs::write(wit.join("worlds.wit"), worlds)?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&wit)?;
        let world = resolve.select_world(&[package], Some("transform-plugin"))?;
        let found = resolve.worlds.get(world).context("the world")?;
        ensure!(found.imports.len() == imports, "{:?}", found.imports);
    }
    directory.remove();
    Ok(())
}

/// The template in C holds what the generator makes of the contract that it holds.
#[test]
fn bindings_of_the_template_in_c_are_those_of_the_contract() -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(workspace().join("wit/since-v1.0.0"))?;
    let world = resolve.select_world(&[package], Some("transform-plugin"))?;
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts {
        no_object_file: true,
        ..Default::default()
    };
    options.build().generate(&mut resolve, world, &mut files)?;
    ensure!(files.iter().count() == 2, "a header and its source");
    for (name, bindings) in files.iter() {
        let file = workspace().join("plugins/templates/c").join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, bindings)?;
        }
        let found = std::fs::read(&file).unwrap_or_default();
        ensure!(
            bindings == found,
            "the bindings are not those of {}: see the difference with BLESS=1",
            file.display()
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

/// The result of a release's component for a document of `app.people`.
fn answer(registry: &Registry, digest: &str, config: Value) -> Result<Option<bson::Document>> {
    let options = options(digest, config);
    let chain = Chain::new(registry, &options, &registry.pins(&options)?)?;
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

/// The components that were shipped when the contract was frozen run on this host, and answer as they did then.
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
    let route = Router::new(&registry, &remap, &registry.pins(&remap)?)?
        .route(&Namespace::new("app", "people"))?;
    ensure!(route == Route::Rename(Namespace::new("new", "people")));

    let exclude = json!({ "excludeNamespaces": [{ "databaseRegex": { "pattern": "^ap" } }] });
    let filter = options(&digest("namespace-filter")?, exclude);
    let route = Router::new(&registry, &filter, &registry.pins(&filter)?)?
        .route(&Namespace::new("app", "people"))?;
    ensure!(route == Route::Skip);
    Ok(())
}

/// The manifest says which metadata the host writes, and there is a step to it from every version
/// before.
#[test]
fn the_feature_set_leads_to_the_metadata_that_the_host_writes() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    let version = u32::try_from(METADATA_VERSION)?;
    ensure!(registry.feature_set().metadata_version() == version);
    for from in 1..version {
        let step = Migrator::find(&registry, from)?;
        ensure!(step.is_some(), "no step from metadata version {from}");
    }
    Ok(())
}

/// A document of random fields, some of which the configurations below name.
fn random_document(rng: &mut StdRng, number: i32) -> RawDocumentBuf {
    const FIELDS: [&str; 6] = ["name", "region", "n", "at", "list", "x"];
    let mut document = doc! { "_id": number };
    for _ in 0..rng.random_range(0..8) {
        let Some(field) = FIELDS.choose(rng) else {
            continue;
        };
        document.insert(*field, random_value(rng, 0));
    }
    RawDocumentBuf::try_from(&document).unwrap_or_default()
}

fn random_value(rng: &mut StdRng, depth: u32) -> Bson {
    match rng.random_range(0..if depth < 3 { 10 } else { 8 }) {
        0 => Bson::Int32(rng.random()),
        1 => Bson::Int64(rng.random()),
        2 => Bson::Double(rng.random::<f64>() * 1e6),
        3 => Bson::String("text ".repeat(rng.random_range(0..20))),
        4 => Bson::Boolean(rng.random()),
        5 => Bson::DateTime(bson::DateTime::from_millis(
            rng.random_range(-1 << 40..1 << 40),
        )),
        6 => Bson::Null,
        7 => Bson::ObjectId(bson::oid::ObjectId::from_bytes(rng.random())),
        8 => (0..rng.random_range(0..4))
            .map(|_| random_value(rng, depth + 1))
            .collect(),
        _ => Bson::Document(
            doc! { "name": random_value(rng, depth + 1), "x": random_value(rng, depth + 1) },
        ),
    }
}

/// The results of a shipped transform for documents in batches of this size.
fn judged(
    registry: &Registry,
    (component, config): (&str, &Value),
    documents: &[RawDocumentBuf],
    batch: usize,
) -> Result<Vec<Option<Vec<u8>>>> {
    let mut options = options(component, config.clone());
    for plugin in &mut options.plugins {
        plugin.on_error = OnError::Quarantine;
    }
    let chain = Chain::new(registry, &options, &registry.pins(&options)?)?;
    let chain = chain
        .of(&Namespace::new("app", "people"))?
        .context("a stage")?;
    let mut judged = Vec::new();
    for batch in documents.chunks(batch) {
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|document| document.as_bytes().to_vec())
            .collect();
        let transformed = chain.transform(&bytes)?;
        for (document, outcome) in batch.iter().zip(transformed.outcomes()) {
            judged.push(match outcome {
                Outcome::Keep => Some(document.as_bytes().to_vec()),
                Outcome::Replaced(bytes) => Some(bytes.to_vec()),
                Outcome::Drop => None,
                Outcome::Quarantined(fault) => Some(fault.reason.clone().into_bytes()),
            });
        }
    }
    Ok(judged)
}

/// Same input, same output: in other instances, in other company, and again.
#[test]
fn shipped_components_answer_the_same_twice() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::Refuse)?;
    let mut rng = StdRng::seed_from_u64(5);
    let documents: Vec<_> = (0..2_000).map(|n| random_document(&mut rng, n)).collect();
    for (component, config) in [
        (
            "document-filter",
            json!({ "filter": { "$or": [{ "n": { "$gt": 0 } }, { "list.x": null }] } }),
        ),
        (
            "field-mask",
            json!({ "key": "0123456789abcdef0123456789abcdef", "rules": [
            { "path": "name", "action": "hash", "otherwise": "keep" },
            { "path": "list.name", "action": "drop" },
            { "path": "at", "action": "truncateDate", "to": "day" },
        ] }),
        ),
        (
            "field-rename",
            json!({ "rules": [
            { "rename": { "from": "region", "to": "area" } },
            { "convert": { "path": "n", "to": "string" } },
        ] }),
        ),
    ] {
        let judge = |batch| judged(&registry, (component, &config), &documents, batch);
        let first = judge(128)?;
        ensure!(
            first == judge(128)? && first == judge(1)? && first == judge(2_000)?,
            "{component}"
        );
        ensure!(
            first
                .iter()
                .any(|one| *one != first.first().cloned().flatten()),
            "{component} did something"
        );
    }
    for (component, config) in [
        (
            "namespace-filter",
            json!({ "includeNamespaces": [{ "databaseRegex": { "pattern": "^[a-m]" } }] }),
        ),
        (
            "namespace-remap",
            json!({ "namespaceRemap": [{ "from": { "database": "b" }, "to": { "database": "c" } }] }),
        ),
    ] {
        let answers = || -> Result<Vec<Route>> {
            let options = options(component, config.clone());
            let router = Router::new(&registry, &options, &registry.pins(&options)?)?;
            let names = ('a'..='z').map(|letter| Namespace::new(letter, "x"));
            names.map(|name| Ok(router.route(&name)?)).collect()
        };
        ensure!(answers()? == answers()?, "{component}");
    }
    Ok(())
}
