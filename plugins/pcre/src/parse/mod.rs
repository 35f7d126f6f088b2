//! Parses a pattern into a syntax tree. Unknown syntax is refused; constructs of PCRE that are not supported
//! are refused by name.

mod bracket;
mod escape;
mod group;
mod node;

pub(super) use node::{Assertion, Greed, Node};

use super::class::{self, CharSet};

/// Limits of PCRE.
const MAX_DEPTH: u32 = 250;
const MAX_COUNT: u32 = 65_535;

/// The flags of options, `(?imsx)` and `(*UCP)`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
    pub(super) extended: bool,
    pub(super) ucp: bool,
}

impl Flags {
    pub(super) fn from_options(options: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for option in options.chars() {
            if !flags.set(option, true) {
                return Err(format!(
                    "`{option}` is not an option; there are i, m, s and x"
                ));
            }
        }
        Ok(flags)
    }

    /// Returns false for a letter that is no flag.
    fn set(&mut self, letter: char, on: bool) -> bool {
        match letter {
            'i' => self.ignore_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_all = on,
            'x' => self.extended = on,
            _ => return false,
        }
        true
    }
}

/// A parsed pattern.
pub(super) struct ParsedPattern {
    pub(super) node: Node,
    /// The word characters, for `\b`.
    pub(super) word: CharSet,
}

/// The groups of a pattern. References may precede their group.
#[derive(Clone, Default)]
struct Groups {
    count: usize,
    names: Vec<(String, usize)>,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<ParsedPattern, String> {
    let (pattern, flags) = leading_verbs(pattern, flags);
    // The first pass collects the groups, the second resolves references.
    let mut first = Parser::new(pattern, flags, None);
    first.whole()?;
    let mut second = Parser::new(pattern, flags, Some(first.groups));
    let node = second.whole()?;
    let word = class::of_escape('w', flags.ucp).ok_or("the word class is missing")?;
    Ok(ParsedPattern { node, word })
}

fn leading_verbs(mut pattern: &str, mut flags: Flags) -> (&str, Flags) {
    loop {
        if let Some(rest) = pattern.strip_prefix("(*UCP)") {
            flags.ucp = true;
            pattern = rest;
        } else if let Some(rest) = pattern
            .strip_prefix("(*UTF8)")
            .or_else(|| pattern.strip_prefix("(*UTF)"))
        {
            pattern = rest;
        } else {
            return (pattern, flags);
        }
    }
}

struct Parser {
    pattern: Vec<char>,
    at: usize,
    flags: Flags,
    depth: u32,
    /// Whether the position is between `\Q` and `\E`.
    quoted: bool,
    /// The groups opened so far.
    groups: Groups,
    /// The groups that are not closed yet.
    open: Vec<usize>,
    /// All groups, in the second pass.
    all_groups: Option<Groups>,
}

impl Parser {
    fn new(pattern: &str, flags: Flags, all_groups: Option<Groups>) -> Self {
        Self {
            pattern: pattern.chars().collect(),
            at: 0,
            flags,
            depth: 0,
            quoted: false,
            groups: Groups::default(),
            open: Vec::new(),
            all_groups,
        }
    }

    fn whole(&mut self) -> Result<Node, String> {
        let node = one_of(self.alternatives()?);
        match self.peek() {
            // Servers before 6.1 do not compile it.
            None if self.quoted => self.fail("`\\Q` is not closed by `\\E`"),
            None => Ok(node),
            Some(_) => self.fail("a closing parenthesis without an opening one"),
        }
    }

    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Consumes `text` if it is next.
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.pattern.get(self.at..).unwrap_or_default();
        let found = text
            .chars()
            .enumerate()
            .all(|(i, c)| rest.get(i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Consumes text up to and including `end`, and returns it without `end`.
    fn until(&mut self, end: char, what: &str) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.fail(&format!("{what} is not closed by `{end}`")),
                Some(c) if c == end => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what}, at character {}", self.at))
    }

    fn alternatives(&mut self) -> Result<Vec<Node>, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("parentheses are nested too deeply");
        }
        let mut nodes = vec![self.sequence()?];
        while self.eat("|") {
            nodes.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(nodes)
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        loop {
            self.skip_ignored()?;
            match self.peek() {
                None => break,
                Some(')' | '|') if !self.quoted => break,
                Some(_) => {}
            }
            let mut node = self.atom()?;
            if let Some((min, max)) = self.quantifier()? {
                let greed = self.greed()?;
                node = Node::Repeat {
                    node: Box::new(node),
                    min,
                    max,
                    greed,
                };
            }
            nodes.push(node);
        }
        Ok(if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::Concat(nodes)
        })
    }

    /// Skips `\Q`, `\E`, comments, and characters ignored by the `x` flag.
    fn skip_ignored(&mut self) -> Result<(), String> {
        loop {
            self.skip_extended()?;
            if self.eat("\\E") {
                self.quoted = false;
            } else if self.quoted {
                return Ok(());
            } else if self.eat("\\Q") {
                self.quoted = true;
            } else if self.eat("(?#") {
                self.until(')', "a comment")?;
            } else {
                return Ok(());
            }
        }
    }

    /// Skips the white space and comments of the `x` flag.
    fn skip_extended(&mut self) -> Result<(), String> {
        while self.flags.extended && !self.quoted {
            match self.peek() {
                Some('\t'..='\r' | ' ') => self.at += 1,
                // Servers before 6.1 do not compile a comment without its newline.
                Some('#') => {
                    self.until('\n', "a comment")?;
                }
                Some(c) if is_later_pattern_space(c) => {
                    return self.fail("white space that `x` leaves out on some servers only");
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn atom(&mut self) -> Result<Node, String> {
        let quoted = self.quoted;
        let start = self.at;
        let Some(c) = self.next() else {
            return Ok(Node::Empty);
        };
        if quoted {
            return Ok(self.literal(c));
        }
        match c {
            '.' if self.flags.dot_all => Ok(Node::One(class::of_ranges(&[('\0', char::MAX)]))),
            '.' => Ok(Node::One(class::negated(class::of_ranges(&[('\n', '\n')])))),
            '^' if self.flags.multi_line => self.unrepeated(Node::Assert(Assertion::LineStart)),
            '^' => self.unrepeated(Node::Assert(Assertion::Start)),
            '$' if self.flags.multi_line => self.unrepeated(Node::Assert(Assertion::LineEnd)),
            '$' => self.unrepeated(Node::Assert(Assertion::EndOrFinalNewline)),
            '[' => self.bracket(),
            '(' => self.group(),
            '\\' => self.escape(),
            '*' | '+' | '?' => self.fail("there is nothing to repeat"),
            '{' => {
                self.at = start;
                if self.quantifier()?.is_some() {
                    return self.fail("there is nothing to repeat");
                }
                self.at = start + 1;
                Ok(self.literal(c))
            }
            c => Ok(self.literal(c)),
        }
    }

    /// Refuses a quantifier after a node that cannot be repeated.
    fn unrepeated(&mut self, node: Node) -> Result<Node, String> {
        match self.quantifier()? {
            Some(_) => self.fail("there is nothing to repeat"),
            None => Ok(node),
        }
    }

    fn literal(&self, c: char) -> Node {
        let set = class::of_ranges(&[(c, c)]);
        Node::One(if self.flags.ignore_case {
            class::case_folded(set)
        } else {
            set
        })
    }

    /// Parses a quantifier. A brace without counts is a literal.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        self.skip_ignored()?;
        if self.quoted {
            return Ok(None);
        }
        let start = self.at;
        let counts = match self.next() {
            Some('*') => Some((0, None)),
            Some('+') => Some((1, None)),
            Some('?') => Some((0, Some(1))),
            Some('{') => self.counts()?,
            _ => None,
        };
        if counts.is_none() {
            self.at = start;
        }
        Ok(counts)
    }

    /// `n}`, `n,}` or `n,m}`.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let Some(min) = self.digits() else {
            return Ok(None);
        };
        let max = if self.eat(",") {
            self.digits()
        } else {
            Some(min)
        };
        if !self.eat("}") {
            return Ok(None);
        }
        if min.max(max.unwrap_or(0)) > MAX_COUNT {
            return self.fail("a count in braces is over 65535");
        }
        if max.is_some_and(|max| max < min) {
            return self.fail("the counts in braces are out of order");
        }
        Ok(Some((min, max)))
    }

    /// A decimal number, saturating.
    fn digits(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            let before = number.unwrap_or(0_u32);
            number = Some(before.saturating_mul(10).saturating_add(digit));
        }
        number
    }

    fn greed(&mut self) -> Result<Greed, String> {
        self.skip_extended()?;
        Ok(if self.eat("?") {
            Greed::Lazy
        } else if self.eat("+") {
            Greed::Possessive
        } else {
            Greed::Greedy
        })
    }
}

/// Any of these alternatives.
fn one_of(mut nodes: Vec<Node>) -> Node {
    if nodes.len() == 1 {
        nodes.remove(0)
    } else {
        Node::Alternate(nodes)
    }
}

/// Characters that the `x` flag skips on servers from 6.1 on, and that earlier servers take literally.
fn is_later_pattern_space(c: char) -> bool {
    matches!(
        c,
        '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
    )
}
