//! Components swapped under a chain that is in use, and what swaps and traps cost.

use crate::model::ErrorName;
use crate::model::options::OnError;

use super::guest::act::{KEEP, REPLACE, UNREACHABLE};
use super::guest::{Guest, transformer};
use super::{acting, added, outcomes, registry};

#[test]
fn a_swap_reaches_every_namespace_and_keeps_the_counts() {
    let (chain, of_shop) = acting(&[OnError::Stop, OnError::Quarantine]);
    outcomes(&of_shop, &[KEEP, REPLACE]).expect("outcomes");
    let fixed = added(&transformer("actor", "1.0.1", 1));
    chain.swap("actor", registry(), &fixed).expect("a bug fix");
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
    let fixed = added(&transformer("actor", "1.0.1", 1));
    let broken = Guest {
        more: r#"(func (export "tidegate:plugin/transform@1.0.0#transform") (param i32 i32 i32 i32 i32 i32) (result i32) (unreachable))"#
            .to_owned(),
        ..transformer("actor", "1.0.2", 1)
    };
    let unconfigurable = Guest {
        schema: r#"{"type": "object", "required": ["key"]}"#,
        ..transformer("actor", "1.0.3", 1)
    };
    for (name, successor, error_name) in [
        (
            "actor",
            added(&transformer("actor", "2.0.0", 2)),
            ErrorName::IncompatiblePlugin,
        ),
        (
            "actor",
            added(&transformer("other", "1.0.1", 1)),
            ErrorName::IncompatiblePlugin,
        ),
        (
            "actor",
            added(&Guest {
                name: "actor",
                ..Guest::default()
            }),
            ErrorName::IncompatiblePlugin,
        ),
        ("actor", added(&broken), ErrorName::PluginTrapped),
        ("actor", added(&unconfigurable), ErrorName::MissingField),
        ("actor", "sha256:00".to_owned(), ErrorName::PluginNotFound),
        ("nobody", fixed, ErrorName::PluginNotFound),
    ] {
        let error = chain.swap(name, registry(), &successor).expect_err(name);
        assert_eq!(error.name, error_name, "{error}");
        assert_eq!(chain.metrics()[0].digest, before);
        assert_eq!(
            outcomes(&of_shop, &[REPLACE]).expect("the old one"),
            ["replaced"]
        );
    }
}

/// Pages of this process that are in memory, in bytes.
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
            chain
                .swap("actor", registry(), &builds[turn % 2])
                .expect("a swap");
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
    // Each document's trap is seen twice: in its batch, and alone.
    assert_eq!(chain.metrics()[0].traps, 2 * 1_050);
}
