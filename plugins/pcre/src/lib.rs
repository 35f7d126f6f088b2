//! Regular expressions with the semantics of the server's `$regex`: Perl compatible (PCRE), in UTF mode, with
//! ASCII-only `\d`, `\w`, `\s` and `\b`.
//!
//! The Rust crates differ in these points, and a name that only one side matches is lost data; hence this
//! matcher. It backtracks and remembers the outcome of each state, so that no state is visited twice. A pattern
//! that could need too many states for the longest name is refused when it is compiled, so an accepted pattern
//! has an answer for every name.
//!
//! PCRE constructs without an implementation here (recursion, conditions, callouts, control verbs) are refused
//! by name, and never read differently. The same holds for constructs that server versions read differently
//! (scripts, unknown escapes, `\8`).

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

/// The error for a text that is longer than any name, and too long for the pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct LengthError;

impl Regex {
    /// Compiles `pattern` with the options `i`, `m`, `s` and `x`.
    ///
    /// # Errors
    ///
    /// A clause that states the fault and its position: the syntax is invalid, a construct is not supported,
    /// servers differ, or the longest name could need too many states.
    pub fn new(pattern: &str, options: &str) -> Result<Self, String> {
        let flags = parse::Flags::from_options(options)?;
        let parsed = parse::parse(pattern, flags)?;
        divergent::check(&parsed.node)?;
        Ok(Self {
            program: Program::compile(&parsed)?,
        })
    }

    /// Whether the pattern matches anywhere in `text`.
    ///
    /// # Errors
    ///
    /// `text` is longer than any name, and too long for this pattern.
    pub fn is_match(&self, text: &str) -> Result<bool, LengthError> {
        let text: Vec<char> = text.chars().collect();
        Ok(exec::Matcher::new(&self.program, &text)?.find_any())
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
