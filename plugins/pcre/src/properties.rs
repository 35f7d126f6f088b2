//! Random patterns against the `fancy-regex` crate, restricted to syntax and texts that both treat alike:
//! ASCII, without newlines. `tests/tests/regex.rs` compares with a server.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::Regex;

/// Reasons for refusing a pattern that the crate accepts.
const REFUSALS: [&str; 3] = ["some servers", "million steps", "reference"];

/// Atoms, assertions and counts of random patterns.
const ATOMS: &[&str] = &[
    "a", "b", "A", "_", "1", "-", ".", "[ab]", "[^a]", "[a-c1]", r"\w", r"\W", r"\d", r"\D",
    "[^_-]", "",
];
const ASSERTIONS: &[&str] = &[
    "^",
    "$",
    r"\b",
    r"\B",
    "(?=a)",
    "(?!b)",
    "(?<=a)",
    "(?<!_)",
    "(?<=[ab]1)",
];
const COUNTS: &[&str] = &["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}"];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(46),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(ATOMS),
        1 => prop::sample::select(ASSERTIONS),
    ]
    .prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 16, 3, |inner| {
        let count = prop::sample::select(COUNTS);
        let greed = prop::sample::select(&["", "", "?", "+"][..]);
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            3 => (inner.clone(), count, greed).prop_map(|(inner, count, greed)| format!("(?:{inner}){count}{greed}")),
            1 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => inner.clone().prop_map(|inner| format!("(?>{inner})")),
            1 => inner.clone().prop_map(|inner| format!("(?={inner})")),
            1 => inner.clone().prop_map(|inner| format!("(?!{inner})")),
            1 => (inner.clone(), inner).prop_map(|(one, other)| format!("(?i:{one}){other}")),
        ]
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_patterns_have_the_answers_of_another_matcher(
        pattern in prop_oneof![3 => pattern(), 1 => pattern().prop_map(|inner| format!("([ab]{{1,2}}){inner}\\1"))],
        options in prop::sample::select(&["", "i", "s"][..]),
        texts in prop::collection::vec("[abcA_1 -]{0,9}", 12),
    ) {
        let Ok(theirs) = fancy_regex::Regex::new(&format!("(?{options}:{pattern})")) else {
            return Ok(());
        };
        let ours = match Regex::new(&pattern, options) {
            Ok(ours) => ours,
            Err(reason) => {
                prop_assert!(REFUSALS.iter().any(|known| reason.contains(known)), "/{}/: {}", pattern, reason);
                return Ok(());
            }
        };
        for text in &texts {
            let Ok(expected) = theirs.is_match(text) else { continue };
            prop_assert_eq!(ours.is_match(text), Ok(expected), "/{}/{} on {:?}", pattern, options, text);
        }
    }

    /// A name of any possible length gets an answer, and the same answer each time.
    #[test]
    fn every_accepted_pattern_has_an_answer_for_every_name(
        pattern in "[ab.|()*+?{}1,^$\\[\\]\\\\wdb-]{0,14}",
        name in "[ab1-]{0,255}",
    ) {
        if let Ok(regex) = Regex::new(&pattern, "") {
            let answer = regex.is_match(&name);
            prop_assert!(answer.is_ok());
            prop_assert_eq!(regex.is_match(&name), answer);
        }
    }
}
