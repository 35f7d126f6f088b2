//! Tests of swaps under a chain in use, and of the memory that swaps and traps take.

use crate::model::options::{NamespaceFilter, OnError};
use crate::model::{ErrorName, Namespace, OperatorError, Route};

use super::super::{Chain, PreparedSwap, Slot, SlotSwap, SwapPolicy};
use super::guest::act::{DROP, KEEP, REPLACE, UNREACHABLE};
use super::guest::{Guest, transformer};
use super::{acting, added, options, outcomes, plugin, registry, router_of, shop};

/// Swaps a component into each stage.
fn swap(chain: &Chain, digest: &str, answers: SwapPolicy) -> Result<(), OperatorError> {
    let stages = 0..chain.metrics().len();
    let changes: Vec<_> = stages
        .map(|at| SlotSwap {
            slot: Slot::Plugin(at),
            digest: digest.to_owned(),
        })
        .collect();
    // A router without plugins.
    let router = router_of(&options())?;
    let successors = PreparedSwap::new(registry(), &router, chain, &changes, answers);
    successors.map(PreparedSwap::switch)
}

#[test]
fn a_swap_reaches_every_namespace_and_keeps_the_counts() {
    let (chain, of_shop) = acting(&[OnError::Stop, OnError::Quarantine]);
    outcomes(&of_shop, &[KEEP, REPLACE]).expect("outcomes");
    let fixed = added(&transformer("actor", "1.0.1", 1));
    swap(&chain, &fixed, SwapPolicy::SameAnswers).expect("a bug fix");
    for stage in chain.metrics() {
        assert_eq!(stage.digest, fixed);
        assert_eq!(stage.documents, 2);
    }
    let words = outcomes(&of_shop, &[REPLACE]).expect("outcomes of the new one");
    assert_eq!(words, ["replaced"]);
}

#[test]
fn what_does_not_fit_or_does_not_work_leaves_the_old_one_in_place() {
    let (chain, of_shop) = acting(&[OnError::Stop]);
    let before = chain.metrics()[0].digest.clone();
    let broken = Guest {
        more: r#"(func (export "tidegate:plugin/transform@1.0.0#transform") (param i32 i32 i32 i32 i32 i32) (result i32) (unreachable))"#
            .to_owned(),
        ..transformer("actor", "1.0.2", 1)
    };
    let unconfigurable = Guest {
        schema: r#"{"type": "object", "required": ["key"]}"#,
        ..transformer("actor", "1.0.3", 1)
    };
    for (successor, error_name) in [
        (
            added(&transformer("actor", "2.0.0", 2)),
            ErrorName::IncompatiblePlugin,
        ),
        (
            added(&transformer("other", "1.0.1", 1)),
            ErrorName::IncompatiblePlugin,
        ),
        (
            added(&Guest {
                name: "actor",
                ..Guest::default()
            }),
            ErrorName::IncompatiblePlugin,
        ),
        (added(&broken), ErrorName::PluginTrapped),
        (added(&unconfigurable), ErrorName::MissingField),
        ("sha256:00".to_owned(), ErrorName::PluginNotFound),
    ] {
        let error = swap(&chain, &successor, SwapPolicy::SameAnswers).expect_err("a refusal");
        assert_eq!(error.name, error_name, "{error}");
        assert_eq!(chain.metrics()[0].digest, before);
        assert_eq!(
            outcomes(&of_shop, &[REPLACE]).expect("the old one"),
            ["replaced"]
        );
    }
}

/// If a single successor is refused, the other is not swapped in either.
#[test]
fn all_take_over_or_none_does() {
    let (chain, _) = acting(&[OnError::Stop, OnError::Stop]);
    let before: Vec<_> = chain
        .metrics()
        .into_iter()
        .map(|stage| stage.digest)
        .collect();
    let digests = [("1.0.1", 1), ("2.0.0", 2)].map(|(v, s)| added(&transformer("actor", v, s)));
    let changes = [0, 1].map(|at| SlotSwap {
        slot: Slot::Plugin(at),
        digest: digests[at].clone(),
    });
    let router = router_of(&options()).expect("no filters");
    let both = PreparedSwap::new(
        registry(),
        &router,
        &chain,
        &changes,
        SwapPolicy::SameAnswers,
    );
    assert_eq!(
        both.err().expect("a refusal").name,
        ErrorName::IncompatiblePlugin
    );
    let after: Vec<_> = chain
        .metrics()
        .into_iter()
        .map(|stage| stage.digest)
        .collect();
    assert_eq!(before, after);
}

#[test]
fn other_answers_take_over_where_they_are_asked_for() {
    let (chain, of_shop) = acting(&[OnError::Stop]);
    let newer = added(&transformer("actor", "2.0.0", 2));
    swap(&chain, &newer, SwapPolicy::AnyAnswers).expect("a swap");
    assert_eq!(chain.metrics()[0].digest, newer);
    assert_eq!(outcomes(&of_shop, &[DROP]).expect("outcomes"), ["drop"]);
}

/// A swap of the namespace filter reaches the router in use, and the gates of plugins.
#[test]
fn a_swap_reaches_routes_and_the_filters_of_plugins() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let mut options = options();
    options.plugins = vec![plugin(&digest, OnError::Stop)];
    options.plugins[0].namespaces = vec![NamespaceFilter {
        database: Some("shop".to_owned()),
        ..Default::default()
    }];
    let (router, chain) = (
        router_of(&options).expect("a good router"),
        super::chain_of(&options).expect("a good chain"),
    );
    let rebuilt = rebuilt("namespace-filter");
    let change = SlotSwap {
        slot: Slot::NamespaceFilter,
        digest: rebuilt.clone(),
    };
    let successors = PreparedSwap::new(
        registry(),
        &router,
        &chain,
        &[change],
        SwapPolicy::SameAnswers,
    );
    successors.expect("a bug fix").switch();
    for usage in router.usages().chain(chain.usages()) {
        let is_filter = usage.slot == Slot::NamespaceFilter;
        assert_eq!(usage.pool().component().info().digest == rebuilt, is_filter);
    }
    let hr = Namespace::new("hr", "people");
    assert_eq!(router.route(&hr).expect("an answer"), Route::Keep);
    assert!(chain.of(&hr).expect("an answer").is_none());
    assert!(chain.of(&shop()).expect("an answer").is_some());
    for (slot, namespace, depends) in [
        (Slot::Plugin(0), &shop(), true),
        (Slot::Plugin(0), &hr, false),
        (Slot::NamespaceFilter, &hr, true),
        (Slot::DocumentFilter, &hr, false),
    ] {
        let answer = chain.depends_on(slot, namespace).expect("an answer");
        assert_eq!(answer, depends, "{slot} {namespace}");
    }
}

/// A shipped component with another digest, from an additional custom section.
fn rebuilt(name: &str) -> String {
    let shipped = registry().find(name).expect("a shipped component").info;
    let mut bytes = registry()
        .bytes(&shipped.digest)
        .expect("its bytes")
        .into_owned();
    bytes.extend_from_slice(b"\0\x05\x04more");
    registry()
        .add(&bytes)
        .expect("the same component")
        .info
        .digest
}

#[test]
fn what_is_held_is_found_by_its_digest_and_compiled_when_it_is_needed() {
    let digest = added(&transformer("actor", "1.0.0", 1));
    let bytes = registry().bytes(&digest).expect("its bytes").into_owned();
    let other = super::strict(Default::default());
    assert!(!other.has(&digest));
    other.hold(&digest, bytes.clone()).expect("its own digest");
    assert!(other.has(&digest) && other.hold(&digest, bytes).is_ok());
    assert_eq!(
        other.find(&digest).expect("a component").info.digest,
        digest
    );
    assert!(other.hold("sha256:00", b"other bytes".to_vec()).is_err());
}

/// Resident memory of this process in bytes.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = pages
        .split(' ')
        .nth(1)
        .expect("resident")
        .parse()
        .expect("a number");
    pages * 4096
}

#[test]
fn a_thousand_swaps_and_a_thousand_traps_leave_memory_flat() {
    let (chain, of_shop) = acting(&[OnError::Quarantine]);
    let builds = ["1.0.1", "1.0.2"].map(|version| added(&transformer("actor", version, 1)));
    let round = |count: usize| {
        for turn in 0..count {
            swap(&chain, &builds[turn % 2], SwapPolicy::SameAnswers).expect("a swap");
            outcomes(&of_shop, &[KEEP, REPLACE]).expect("outcomes");
        }
        for _ in 0..count {
            outcomes(&of_shop, &[UNREACHABLE]).expect("put aside");
        }
    };
    round(50);
    let before = resident_bytes();
    round(1_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 10 << 20, "{grown} bytes more");
    // Each trap is counted twice: in the batch, and alone.
    assert_eq!(chain.metrics()[0].traps, 2 * 1_050);
}
