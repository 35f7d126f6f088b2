//! Character classes in brackets.

use super::super::class::{self, CharSet};
use super::{Node, Parser};

/// One member of a class.
enum Item {
    Char(char),
    Set(CharSet),
}

impl Parser {
    /// Behind the opening bracket.
    pub(super) fn bracket(&mut self) -> Result<Node, String> {
        let negate = self.eat("^");
        // Case is folded for what is written as characters, not for named sets.
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

    /// The next member; nothing at the closing bracket.
    fn bracket_item(&mut self, first: bool) -> Result<Option<Item>, String> {
        loop {
            if self.eat("\\E") {
                self.quoted = false;
            } else if !self.quoted && self.eat("\\Q") {
                self.quoted = true;
            } else {
                break;
            }
        }
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

    /// The end of a range that begins with `from`, or `from` itself where the
    /// hyphen is a literal.
    fn range_end(&mut self, from: char) -> Result<char, String> {
        if self.quoted || self.peek() != Some('-') {
            return Ok(from);
        }
        let hyphen = self.at;
        self.at += 1;
        if self.peek() == Some(']') {
            self.at = hyphen;
            return Ok(from);
        }
        match self.bracket_item(false)? {
            Some(Item::Char(to)) if to >= from => Ok(to),
            Some(Item::Char(_)) => self.fail("a range in brackets is out of order"),
            _ => {
                self.at = hyphen;
                Ok(from)
            }
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

    /// `[:name:]`, behind its opening bracket. Anything else is a literal bracket.
    fn posix(&mut self) -> Result<Option<CharSet>, String> {
        let start = self.at;
        let Some(mark @ (':' | '.' | '=')) = self.next() else {
            self.at = start;
            return Ok(None);
        };
        let negate = self.eat("^");
        let mut name = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_alphanumeric) {
            self.at += 1;
            name.push(c);
        }
        if !self.eat(&format!("{mark}]")) {
            self.at = start;
            return Ok(None);
        }
        match class::of_posix(&name, self.flags.ignore_case) {
            Some(set) if mark == ':' => Ok(Some(if negate { class::negated(set) } else { set })),
            _ => self.fail(&format!("`[{mark}{name}{mark}]` is not a known class")),
        }
    }
}
