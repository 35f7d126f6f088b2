//! Voice: words that make a sentence a riddle stay rare in comments.

use std::path::PathBuf;

use anyhow::Result;

/// Words, and how often they may occur in 1,000 words of comments.
const LIMITS: [(&[&str], f64); 3] = [
    (&["what"], 3.0),
    (&["one", "ones"], 6.0),
    (
        &[
            "whoever",
            "nobody",
            "somebody",
            "whom",
            "anew",
            "behind",
            "thing",
            "things",
            "aside",
            "whereabouts",
        ],
        2.0,
    ),
];

/// The groups of words that occur too often in the comments of `files`.
pub(crate) fn excess(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for file in files {
        words.extend(comment_words(&std::fs::read_to_string(file)?));
    }
    let over = LIMITS.iter().filter_map(|(group, limit)| {
        let hits = words.iter().filter(|word| group.contains(&word.as_str()));
        let share = 1000.0 * per(hits.count(), words.len());
        (share > *limit).then(|| format!("{}: {share:.1} in 1,000 words", group.join(", ")))
    });
    Ok(over.collect())
}

fn per(hits: usize, all: usize) -> f64 {
    let number = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    number(hits) / number(all.max(1))
}

/// The words of line comments, those after code included; a line with a string before its slashes has none.
fn comment_words(text: &str) -> Vec<String> {
    let comments = text.lines().filter_map(|line| {
        let (code, comment) = line.split_once("//")?;
        (!code.contains('"')).then_some(comment)
    });
    comments
        .flat_map(|comment| comment.split(|c: char| !c.is_ascii_alphabetic() && c != '\''))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn comments_are_counted_and_strings_are_not() {
    let text = "let a = 1; // What one\n/// of it's\nlet b = \"http://what\";";
    assert_eq!(comment_words(text), ["what", "one", "of", "it's"]);
}
