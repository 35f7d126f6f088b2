//! Tests of the chain: order of stages and outcomes, configurations, and counters.

use serde_json::json;

use crate::model::options::{Json, NamespaceFilter, OnError};
use crate::model::{ErrorName, Namespace};

use super::super::{Outcome, Scope};
use super::guest::act::{DROP, KEEP, REPLACE, REPLACED};
use super::guest::{Guest, transformer};
use super::{
    acting, added, batch, chain_of, configured, document, options, outcomes, plugin, registry, shop,
};

#[test]
fn outcomes_stand_in_the_order_of_the_documents_through_all_stages() {
    let (chain, of_shop) = acting(&[OnError::Stop, OnError::Stop, OnError::Quarantine]);
    let words = outcomes(&of_shop, &[REPLACE, KEEP, DROP, REPLACE, REPLACED, DROP]);
    assert_eq!(
        words.expect("outcomes"),
        ["replaced", "keep", "drop", "replaced", "keep", "drop"]
    );
    let seen: Vec<_> = chain
        .metrics()
        .iter()
        .map(|stage| (stage.documents, stage.kept, stage.dropped, stage.replaced))
        .collect();
    assert_eq!(seen, [(6, 2, 2, 2), (4, 4, 0, 0), (4, 4, 0, 0)]);
    assert_eq!(of_shop.scope(), Scope::Document);
}

#[test]
fn a_batch_of_any_size_is_cut_and_put_together_again() {
    let (chain, of_shop) = acting(&[OnError::Stop, OnError::Stop]);
    let mut acts: Vec<u8> = (0..30_000)
        .map(|at| [KEEP, KEEP, REPLACE, DROP][at % 4])
        .collect();
    let words = outcomes(&of_shop, &acts).expect("outcomes");
    for (act, word) in acts.iter().zip(&words) {
        let expected = match *act {
            KEEP => "keep",
            REPLACE => "replaced",
            _ => "drop",
        };
        assert_eq!(word, expected);
    }
    acts.fill(KEEP);
    let before = batch(&acts);
    let transformed = of_shop.transform(&before).expect("outcomes");
    assert!(transformed.is_unchanged() && transformed.len() == acts.len());
    assert!(
        transformed
            .outcomes()
            .all(|outcome| outcome == Outcome::Keep)
    );
    assert!(of_shop.transform(&[]).expect("nothing").is_empty());

    let metrics = &chain.metrics()[0];
    assert_eq!(metrics.bytes_in, 2 * before.len() as u64);
    assert_eq!(metrics.bytes_out, before.len() as u64 * 7 / 4);
    assert!(metrics.p50_us <= metrics.p99_us);
}

#[test]
fn a_document_larger_than_a_call_goes_alone() {
    let (_chain, of_shop) = acting(&[OnError::Stop]);
    let mut large = document(1, KEEP);
    large.pop();
    large.extend_from_slice(b"\x05pad\0\x00\x00\x04\x00\x00");
    large.resize(large.len() + (4 << 16), 0);
    large.push(0);
    let length = i32::try_from(large.len()).expect("small").to_le_bytes();
    large[..4].copy_from_slice(&length);
    let before = [document(0, REPLACE), large, document(2, DROP)].concat();
    let transformed = of_shop.transform(&before).expect("outcomes");
    let kinds: Vec<_> = transformed
        .outcomes()
        .map(|outcome| match outcome {
            Outcome::Keep => 'k',
            Outcome::Drop => 'd',
            Outcome::Replaced(_) => 'r',
            Outcome::Quarantined(_) => 'q',
        })
        .collect();
    assert_eq!(kinds, ['r', 'k', 'd']);
}

#[test]
fn a_plugin_sees_the_source_namespaces_that_it_is_for() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let mut options = options();
    options.plugins = vec![plugin(&digest, OnError::Stop)];
    options.plugins[0].namespaces = vec![NamespaceFilter {
        database: Some("shop".to_owned()),
        ..Default::default()
    }];
    let chain = chain_of(&options).expect("a good chain");
    assert!(!chain.is_empty());
    let is_seen = |namespace: &Namespace| chain.of(namespace).expect("an answer").is_some();
    assert!(is_seen(&shop()) && !is_seen(&Namespace::new("hr", "people")));
    let none = chain_of(&super::options()).expect("no plugins");
    assert!(none.is_empty() && none.of(&shop()).expect("an answer").is_none());
}

#[test]
fn bad_configurations_are_refused_by_name_and_field() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    for (config, name, field) in [
        (
            json!({"rules": [{"path": 1}]}),
            ErrorName::InvalidField,
            "plugins[1].config.rules[0].path: ",
        ),
        (
            json!({"rules": [{}]}),
            ErrorName::MissingField,
            "plugins[1].config.rules[0]: ",
        ),
        (
            json!({"rulez": 1}),
            ErrorName::UnknownField,
            "plugins[1].config.rulez: ",
        ),
        (json!([]), ErrorName::InvalidField, "plugins[1].config: "),
        // The guest itself refuses this one, in `configure`.
        (
            json!({"refuse": true}),
            ErrorName::InvalidRegex,
            "plugins[1].config.refuse: not today",
        ),
    ] {
        let mut options = options();
        options.plugins = vec![
            plugin(&digest, OnError::Stop),
            configured(&digest, config.clone()),
        ];
        let error = chain_of(&options).err().expect("a refusal");
        assert_eq!(error.name, name, "{config}: {error}");
        assert!(error.message.starts_with(field), "{config}: {error}");
    }
}

#[test]
fn a_value_of_a_configuration_is_never_shown() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let mut options = options();
    options.plugins = vec![configured(
        &digest,
        json!({"rules": [{"path": ["my key"]}]}),
    )];
    let error = chain_of(&options).err().expect("a refusal");
    assert!(!error.message.contains("my key"), "{error}");
}

#[test]
fn a_component_without_use_in_a_chain_is_refused_by_name() {
    let digest = added(&Guest {
        world: "migrate-plugin",
        name: "stepper",
        more: r#"(func (export "tidegate:plugin/migrate@1.0.0#which-step") (result i32) (i32.const 512))
            (func (export "tidegate:plugin/migrate@1.0.0#migrate") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 512))"#
            .to_owned(),
        ..Guest::default()
    });
    let mut options = options();
    options.plugins = vec![plugin(&digest, OnError::Stop)];
    let error = chain_of(&options).err().expect("a refusal");
    assert_eq!(error.name, ErrorName::PluginNotSupported);
    assert!(error.message.contains("stepper"), "{error}");
}

#[test]
fn the_short_form_names_its_own_field() {
    let mut options = options();
    options.document_filter = Some(Json(json!({"field": 1, "no such": true})));
    let error = chain_of(&options).err().expect("a refusal");
    let known = registry().find("document-filter").is_ok();
    let expected = if known {
        "documentFilter"
    } else {
        "no component has the name or digest document-filter"
    };
    assert!(error.message.starts_with(expected), "{error}");
}

#[test]
fn one_chain_serves_many_threads() {
    let (chain, of_shop) = acting(&[OnError::Quarantine, OnError::Stop]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let words = outcomes(&of_shop, &[KEEP, REPLACE, DROP, KEEP]).expect("outcomes");
                    assert_eq!(words, ["keep", "replaced", "drop", "keep"]);
                }
            });
        }
    });
    assert_eq!(chain.metrics()[1].documents, 8 * 50 * 3);
}
