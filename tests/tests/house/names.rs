//! Names: types are nouns, and the words that `docs/glossary.md` forbids do not occur.

use anyhow::{Context, Result};

use crate::source::Source;

/// Nouns that end like a participle.
const NOUNS: &[&str] = &["Embed", "Feed", "Listing", "Mapping", "Setting", "String"];

/// The lines of the glossary that list forbidden words in backticks.
const FORBIDDEN: &str = "Not used as identifiers:";

/// Types whose last word is a participle.
pub(crate) fn participles(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for module in source.modules.values() {
        for name in &module.types {
            let words = words(name);
            let last = words.last().map(String::as_str).unwrap_or_default();
            let is_noun = NOUNS.iter().any(|noun| noun.eq_ignore_ascii_case(last));
            if (last.ends_with("ed") || last.ends_with("ing")) && !is_noun {
                wrong.push(format!("{}: {name}", module.file.display()));
            }
        }
    }
    wrong
}

/// Identifiers that hold a forbidden word.
pub(crate) fn forbidden(source: &Source, glossary: &str) -> Result<Vec<String>> {
    let listed: Vec<Vec<String>> = glossary
        .lines()
        .filter_map(|line| line.split_once(FORBIDDEN))
        .flat_map(|(_, list)| list.split('`').skip(1).step_by(2))
        .map(words)
        .collect();
    (!listed.is_empty())
        .then_some(())
        .context("the glossary forbids no word")?;
    let mut wrong = Vec::new();
    for module in source.modules.values() {
        for name in module.identifiers.iter().chain(&module.defined) {
            let own = words(name);
            let holds =
                |word: &Vec<String>| !word.is_empty() && own.windows(word.len()).any(|w| w == word);
            if listed.iter().any(holds) {
                wrong.push(format!("{}: {name}", module.file.display()));
            }
        }
    }
    Ok(wrong)
}

/// `LeaseGrant`, `lease_grant` and `LEASE_GRANT` are `["lease", "grant"]`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && lower) {
            words.push(String::new());
        }
        lower = character.is_lowercase() || character.is_numeric();
        if character != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn names_are_words() {
    for name in ["LeaseGrant", "lease_grant", "LEASE_GRANT"] {
        assert_eq!(words(name), ["lease", "grant"]);
    }
}
