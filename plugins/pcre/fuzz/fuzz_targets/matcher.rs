//! Parser and matcher never panic, and an accepted pattern has an answer for every name that a server can have.
//! The answer is the same when the pattern is put into a group.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pcre::Regex;

/// The longest name of a collection with its database, in bytes.
const LONGEST_NAME: usize = 255;

fuzz_target!(|input: (&str, &str, u8)| {
    let (pattern, text, letters) = input;
    let options: String = ['i', 'm', 's', 'x']
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| letters >> bit & 1 == 1)
        .map(|(_, letter)| letter)
        .collect();
    let regex = match Regex::new(pattern, &options) {
        Ok(regex) => regex,
        Err(reason) => return assert!(!reason.is_empty()),
    };
    let answer = regex.is_match(text);
    assert!(answer.is_ok() || text.len() > LONGEST_NAME);
    // Verbs are allowed only at the start of a pattern. The grouped pattern may be refused for its different
    // shape.
    if !pattern.starts_with("(*")
        && let Ok(grouped) = Regex::new(&format!("(?:{pattern})"), &options)
    {
        assert_eq!(
            grouped.is_match(text),
            answer,
            "/{pattern}/{options} on {text:?}"
        );
    }
});
