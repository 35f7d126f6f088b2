//! Regular expressions as the server's `$regex` has them: Perl compatible
//! (PCRE), in UTF mode, where `\d`, `\w`, `\s` and `\b` know ASCII alone.
//!
//! A matcher of our own, because the Rust ones differ in just those points, and
//! a name that one side takes and the other leaves is lost data. Names are at
//! most 255 bytes, so a plain backtracking matcher is all that is needed; its
//! step limit is what PCRE's match limit is to the server. What PCRE can do and
//! this cannot (recursion, conditions, callouts, control verbs) is refused by
//! name when the pattern is compiled, never read in another way; so is what one
//! version of the server reads unlike another (scripts, unknown escapes, `\8`).

mod class;
mod exec;
mod parse;
mod program;

use program::Program;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Regex {
    program: Program,
}

/// A match that took more steps than any sane pattern needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManySteps;

impl Regex {
    /// Compiles `pattern` with the options `i`, `m`, `s` and `x`. The error is a
    /// clause that says what is wrong, and where.
    pub(crate) fn new(pattern: &str, options: &str) -> Result<Self, String> {
        let flags = parse::Flags::from_options(options)?;
        let parsed = parse::parse(pattern, flags)?;
        Ok(Self {
            program: Program::compile(&parsed)?,
        })
    }

    /// True when the pattern matches anywhere in `text`.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, TooManySteps> {
        let text: Vec<char> = text.chars().collect();
        exec::Matcher::new(&self.program, &text).find_any()
    }
}

#[cfg(test)]
mod tests;
