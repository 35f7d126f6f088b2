//! No pattern makes the parser or the matcher panic, and one that is accepted has an answer for every name that a server can
//! have, the same one in a group of its own.

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
    // Verbs stand at the beginning of a pattern alone. A pattern of another shape may be refused.
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
