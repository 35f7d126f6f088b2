//! Tests of the shipped components in the host, and of guests that misbehave.

mod bounds;
mod chain;
mod faults;
mod guest;
mod loading;
mod migrate;
mod routes;
mod swap;
mod traps;
mod wasi;

use std::sync::OnceLock;
use std::time::Duration;

use bson::rawdoc;
use serde_json::{Value, json};

use crate::model::options::{ClusterName, Json, OnError, PluginOptions};
use crate::model::{Namespace, OperatorError, StartOptions};

use super::sandbox::Limits;
use super::{Chain, NamespaceChain, Outcome, Registry, Router, WasiPolicy};
use guest::{Guest, transformer};

const LIMITS: Limits = Limits {
    deadline: Duration::from_millis(200),
    memory_bytes: 16 << 20,
    runtime_memory_bytes: 16 << 20,
    output_bytes: 1 << 20,
};

/// The registry for all tests of a process, with [`LIMITS`].
fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| strict(WasiPolicy::default()))
}

fn strict(wasi: WasiPolicy) -> Registry {
    Registry::load_within(None, wasi, LIMITS).expect("embedded")
}

/// Adds a guest to [`registry`], and returns its digest.
fn added(guest: &Guest<'_>) -> String {
    registry()
        .add(&guest.build())
        .expect("a good guest")
        .info
        .digest
}

fn options() -> StartOptions {
    StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
}

/// The router of a sync that begins now.
fn router_of(options: &StartOptions) -> Result<Router, OperatorError> {
    Router::new(registry(), options, &registry().pins(options)?)
}

/// The chain of a sync that begins now.
fn chain_of(options: &StartOptions) -> Result<Chain, OperatorError> {
    Chain::new(registry(), options, &registry().pins(options)?)
}

fn plugin(component: &str, on_error: OnError) -> PluginOptions {
    PluginOptions {
        component: component.to_owned(),
        config: Json(json!({})),
        namespaces: Vec::new(),
        on_error,
    }
}

fn configured(component: &str, config: Value) -> PluginOptions {
    PluginOptions {
        config: Json(config),
        ..plugin(component, OnError::Stop)
    }
}

fn shop() -> Namespace {
    Namespace::new("shop", "orders")
}

/// The chain of a namespace, with the guest of [`transformer`] once per policy.
fn acting(policies: &[OnError]) -> (Chain, NamespaceChain) {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let mut options = options();
    options.plugins = policies
        .iter()
        .map(|policy| plugin(&digest, *policy))
        .collect();
    let chain = chain_of(&options).expect("a good chain");
    let of_shop = chain.of(&shop()).expect("an answer").expect("a stage");
    (chain, of_shop)
}

/// A document for which the guest of [`transformer`] performs an act.
fn document(id: usize, act: u8) -> Vec<u8> {
    let id = i32::try_from(id).expect("a small number");
    rawdoc! { "_id": id, "b": i32::from(act) }.into_bytes()
}

/// A document for each act, with its position as `_id`.
fn batch(acts: &[u8]) -> Vec<u8> {
    let documents = acts.iter().enumerate();
    documents.flat_map(|(id, act)| document(id, *act)).collect()
}

/// The outcome of each document as a word.
fn outcomes(chain: &NamespaceChain, acts: &[u8]) -> Result<Vec<String>, OperatorError> {
    let before = batch(acts);
    let transformed = chain.transform(&before)?;
    assert_eq!(transformed.len(), acts.len());
    let words = transformed
        .outcomes()
        .enumerate()
        .map(|(id, outcome)| match outcome {
            Outcome::Keep => "keep".to_owned(),
            Outcome::Drop => "drop".to_owned(),
            Outcome::Replaced(bytes) => {
                assert_eq!(bytes, document(id, guest::act::REPLACED));
                "replaced".to_owned()
            }
            Outcome::Quarantined(fault) => fault.reason.clone(),
        });
    Ok(words.collect())
}
