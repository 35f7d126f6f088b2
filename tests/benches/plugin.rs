//! The cost of a plugin for a document: through the host and its sandbox, compared with the same plugin called as
//! native code. Prints a JSON object.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a benchmark reports small numbers"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use bson::{DateTime, RawDocumentBuf, oid::ObjectId, rawdoc};
use document_filter::DocumentFilter;
use field_mask::FieldMask;
use serde_json::{Value, json};
use tidegate::{
    model::{
        Namespace, StartOptions,
        options::{ClusterName, Json, OnError, PluginOptions},
    },
    plugin::{Chain, Registry, WasiPolicy},
};
use tidegate_plugin_sdk::{self as sdk, Transform, transform_batch};

/// The host's own: glibc's maps and unmaps every batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: [usize; 4] = [1, 16, 128, 1024];
const SIZES: [usize; 2] = [200, 1024];

/// Rounds of a case, native and wasm in turn; the median of each counts.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let registry = Registry::load(None, WasiPolicy::GrantNothing)?;
    let mut cases = Vec::new();
    for size in SIZES {
        for batch in BATCHES {
            let bench = Bench {
                registry: &registry,
                size,
                batch,
            };
            let keep = json!({ "filter": {} });
            cases.push(bench.case::<DocumentFilter>("keep", "document-filter", &keep)?);
            let filter = json!({ "field": "region", "matchValues": ["EU"] });
            cases.push(bench.case::<DocumentFilter>("filter", "document-filter", &filter)?);
            cases.push(bench.case::<FieldMask>("mask", "field-mask", &mask())?);
        }
    }
    println!("{}", json!({ "bench": "plugin", "cases": cases }));
    Ok(())
}

fn mask() -> Value {
    json!({ "rules": [
        { "path": "name", "action": "keepFirst", "count": 2 },
        { "path": "phone", "action": "set", "value": "hidden" },
        { "path": "secret", "action": "drop" },
    ] })
}

struct Bench<'a> {
    registry: &'a Registry,
    size: usize,
    batch: usize,
}

impl Bench<'_> {
    fn case<P: Transform>(&self, name: &str, component: &str, config: &Value) -> Result<Value> {
        let documents: Vec<u8> = (0..self.batch)
            .flat_map(|number| document(number, self.size).into_bytes())
            .collect();
        let namespace = Namespace::new("app", "people");
        let options = options(component, config);
        let chain = Chain::new(self.registry, &options, &self.registry.pins(&options)?)?;
        let chain = chain.of(&namespace)?.ok_or_else(|| anyhow!("no stage"))?;
        let refused = |error| anyhow!("the configuration is refused: {error}");
        let plugin = P::configure(sdk::parse(&config.to_string()).map_err(refused)?);
        let plugin = plugin.map_err(refused)?;
        let (mut native, mut wasm) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            native.push(self.time(|| {
                let namespace = transform_namespace();
                black_box(transform_batch(&plugin, namespace, black_box(&documents))).is_ok()
            }));
            wasm.push(self.time(|| black_box(chain.transform(black_box(&documents))).is_ok()));
        }
        let (native, wasm) = (median(native), median(wasm));
        Ok(json!({
            "name": name, "batch": self.batch, "doc_bytes": documents.len() / self.batch,
            "native_ns": native.round(), "wasm_ns": wasm.round(),
            "ratio": (wasm / native * 100.0).round() / 100.0,
        }))
    }

    /// Nanoseconds a document.
    fn time(&self, mut work: impl FnMut() -> bool) -> f64 {
        let (begun, mut calls) = (Instant::now(), 0_u32);
        while begun.elapsed() < ROUND {
            assert!(work(), "a document was refused");
            calls += 1;
        }
        begun.elapsed().as_nanos() as f64 / f64::from(calls) / self.batch as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn transform_namespace() -> sdk::bindings::transform::exports::tidegate::plugin::transform::Namespace
{
    sdk::bindings::transform::exports::tidegate::plugin::transform::Namespace {
        database: "app".to_owned(),
        collection: "people".to_owned(),
    }
}

fn options(component: &str, config: &Value) -> StartOptions {
    StartOptions {
        plugins: vec![PluginOptions {
            component: component.to_owned(),
            config: Json(config.clone()),
            namespaces: Vec::new(),
            on_error: OnError::Stop,
        }],
        ..StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
    }
}

/// A document of about `size` bytes: a dozen fields, or five in a small document.
fn document(number: usize, size: usize) -> RawDocumentBuf {
    let region = if number.is_multiple_of(2) { "EU" } else { "US" };
    let mut document = rawdoc! {
        "_id": ObjectId::from_bytes([number as u8; 12]),
        "name": "Grace Brewster Hopper",
        "region": region,
        "phone": "+1 555 0100",
    };
    let mut filler = |name: &str, bytes: usize| {
        let name = bson::raw::CString::try_from(name.to_owned());
        if let Ok(name) = name {
            document.append(name, "x".repeat(bytes));
        }
    };
    if size > 500 {
        for field in ["street", "city", "notes", "comment", "history"] {
            filler(field, 150);
        }
        document.append(
            bson::cstr!("since"),
            DateTime::from_millis(1_600_000_000_000),
        );
        document.append(bson::cstr!("score"), 12.5);
    } else {
        filler("note", 50);
    }
    document.append(bson::cstr!("secret"), "0123456789");
    document
}
