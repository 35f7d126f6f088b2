//! Character classes in brackets.

use super::super::class::{self, CharSet};
use super::{Assertion, Node, Parser};

/// A member of a class.
enum Item {
    Char(char),
    Set(CharSet),
}

impl Parser {
    /// Parses a class after its opening bracket.
    pub(super) fn bracket(&mut self) -> Result<Node, String> {
        if let Some(ahead) = self.word_edge() {
            return self.unrepeated(word_edge(ahead, self.flags.ucp));
        }
        if self.posix_end().is_some() {
            return self.fail("a class such as `[:alpha:]` needs brackets of its own around it");
        }
        let negate = self.negation();
        // Case is folded for literal characters, not for named sets.
        let mut chars = CharSet::empty();
        let mut sets = CharSet::empty();
        let mut first = true;
        while let Some(item) = self.bracket_item(first)? {
            first = false;
            match item {
                Item::Set(set) => sets.union(&set),
                Item::Char(from) => {
                    let to = self.range_end(from)?;
                    chars.union(&class::of_ranges(&[(from, to)]));
                }
            }
        }
        if self.flags.ignore_case {
            chars = class::case_folded(chars);
        }
        chars.union(&sets);
        Ok(Node::One(if negate {
            class::negated(chars)
        } else {
            chars
        }))
    }

    /// `[[:<:]]` (true) and `[[:>:]]` (false), which must be alone in their class.
    fn word_edge(&mut self) -> Option<bool> {
        if self.eat("[:<:]]") {
            Some(true)
        } else if self.eat("[:>:]]") {
            Some(false)
        } else {
            None
        }
    }

    /// Takes a leading `^`, also after empty quotes.
    fn negation(&mut self) -> bool {
        let mut negate = false;
        loop {
            if !negate && self.eat("^") {
                negate = true;
            } else if !self.eat("\\E") && !self.eat("\\Q\\E") {
                return negate;
            }
        }
    }

    /// The next member; `None` at the closing bracket.
    fn bracket_item(&mut self, first: bool) -> Result<Option<Item>, String> {
        self.skip_quotes();
        let Some(c) = self.next() else {
            return self.fail("a character class is not closed by `]`");
        };
        Ok(Some(match c {
            c if self.quoted => Item::Char(c),
            ']' if !first => return Ok(None),
            '[' => match self.posix()? {
                Some(set) => Item::Set(set),
                None => Item::Char('['),
            },
            '\\' => self.bracket_escape()?,
            c => Item::Char(c),
        }))
    }

    fn skip_quotes(&mut self) {
        loop {
            if self.eat("\\E") {
                self.quoted = false;
            } else if !self.quoted && self.eat("\\Q") {
                self.quoted = true;
            } else {
                return;
            }
        }
    }

    /// The end of a range that starts with `from`, or `from` itself if the hyphen is a literal.
    fn range_end(&mut self, from: char) -> Result<char, String> {
        while self.eat("\\E") {
            self.quoted = false;
        }
        if self.quoted || self.peek() != Some('-') {
            return Ok(from);
        }
        let hyphen = self.at;
        self.at += 1;
        self.skip_quotes();
        if !self.quoted && self.peek() == Some(']') {
            self.at = hyphen;
            return Ok(from);
        }
        match self.bracket_item(false)? {
            Some(Item::Char(to)) if to >= from => Ok(to),
            Some(Item::Char(_)) => self.fail("a range in brackets is out of order"),
            _ => self.fail("a range in brackets does not end with a character"),
        }
    }

    fn bracket_escape(&mut self) -> Result<Item, String> {
        let Some(c) = self.next() else {
            return self.fail("the pattern ends with a backslash");
        };
        if c != 'N'
            && let Some(set) = class::of_escape(c, self.flags.ucp)
        {
            return Ok(Item::Set(set));
        }
        match c {
            'b' => Ok(Item::Char('\u{08}')),
            'p' | 'P' => Ok(Item::Set(self.property(c == 'P')?)),
            '1'..='7' => Ok(Item::Char(self.octal(c.to_digit(8).unwrap_or(0), 2)?)),
            c => match self.escaped_char(c)? {
                Some(c) => Ok(Item::Char(c)),
                None => self.unknown_escape(c),
            },
        }
    }

    /// `[:name:]`, after its opening bracket. Any other bracket is a literal.
    fn posix(&mut self) -> Result<Option<CharSet>, String> {
        let Some(end) = self.posix_end() else {
            return Ok(None);
        };
        if self.flags.ucp {
            return self.fail("classes such as `[:alpha:]` are not supported under `(*UCP)`");
        }
        let known = self.eat(":");
        let negate = self.eat("^");
        let name: String = self
            .pattern
            .get(self.at..end)
            .unwrap_or_default()
            .iter()
            .collect();
        self.at = end + 2;
        match class::of_posix(&name, self.flags.ignore_case) {
            Some(set) if known => Ok(Some(if negate { class::negated(set) } else { set })),
            _ => self.fail(&format!("`{name}` is not a known class")),
        }
    }

    /// The position of the closing mark of `[:name:]`, `[.name.]` or `[=name=]`.
    fn posix_end(&self) -> Option<usize> {
        let mark = self.peek().filter(|c| matches!(c, ':' | '.' | '='))?;
        let mut at = self.at + 1;
        loop {
            match (*self.pattern.get(at)?, self.pattern.get(at + 1).copied()) {
                ('\\', Some('\\' | ']')) => at += 1,
                (']', _) => return None,
                ('[', Some(next)) if next == mark => return None,
                (c, Some(']')) if c == mark => return Some(at),
                _ => {}
            }
            at += 1;
        }
    }
}

/// The start of a word (`ahead`) or its end.
fn word_edge(ahead: bool, ucp: bool) -> Node {
    let word = class::of_escape('w', ucp).unwrap_or_else(CharSet::empty);
    Node::Concat(vec![
        Node::Assert(Assertion::WordBoundary),
        Node::Look {
            back: usize::from(!ahead),
            negate: false,
            node: Box::new(Node::One(word)),
        },
    ])
}
