//! Regular expressions as the server's `$regex` has them: Perl compatible
//! (PCRE), in UTF mode, where `\d`, `\w`, `\s` and `\b` know ASCII alone.
//!
//! A matcher of our own, because the Rust ones differ in just those points, and
//! a name that one side takes and the other leaves is lost data. It backtracks, and
//! remembers the outcome of each state, so that none is tried twice; a pattern
//! that could take too many states on the longest name is refused when it is
//! compiled. An accepted pattern has an answer for every name. What PCRE can do and
//! this cannot (recursion, conditions, callouts, control verbs) is refused by
//! name when the pattern is compiled, never read in another way; so is what one
//! version of the server reads unlike another (scripts, unknown escapes, `\8`).

mod captures;
mod class;
mod divergent;
mod exec;
mod parse;
mod program;
mod states;

use program::Program;

/// A compiled pattern.
#[derive(Debug)]
pub struct Regex {
    program: Program,
}

/// A text that is longer than a name can be, and too long for the pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct LengthError;

impl Regex {
    /// Compiles `pattern` with the options `i`, `m`, `s` and `x`. The error is a
    /// clause that says what is wrong, and where.
    pub fn new(pattern: &str, options: &str) -> Result<Self, String> {
        let flags = parse::Flags::from_options(options)?;
        let parsed = parse::parse(pattern, flags)?;
        divergent::check(&parsed.node)?;
        Ok(Self {
            program: Program::compile(&parsed)?,
        })
    }

    /// True when the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> Result<bool, LengthError> {
        let text: Vec<char> = text.chars().collect();
        Ok(exec::Matcher::new(&self.program, &text)?.find_any())
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
