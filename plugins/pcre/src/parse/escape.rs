//! Constructs that start with a backslash.

use super::super::class;
use super::{Assertion, Node, Parser};

/// Larger numbers are an error, even in octal.
const MAX_REFERENCE: usize = 2_147_483_647;

impl Parser {
    /// Parses an escape after its backslash, outside of brackets.
    pub(super) fn escape(&mut self) -> Result<Node, String> {
        let Some(c) = self.next() else {
            return self.fail("the pattern ends with a backslash");
        };
        if c == 'N' && self.names_character()? {
            return self.fail("`\\N{…}` is not supported");
        }
        if let Some(set) = class::of_escape(c, self.flags.ucp) {
            return Ok(Node::One(set));
        }
        if let Some(node) = position(c) {
            return self.unrepeated(node);
        }
        Ok(match c {
            'R' => line_break(),
            'p' | 'P' => Node::One(self.property(c == 'P')?),
            'k' => return self.name_reference(),
            'g' => return self.group_reference(),
            '1'..='9' => return self.number_reference(c),
            c => match self.escaped_char(c)? {
                Some(literal) => self.literal(literal),
                None => return self.unknown_escape(c),
            },
        })
    }

    /// Whether a brace follows that is no quantifier.
    fn names_character(&mut self) -> Result<bool, String> {
        let start = self.at;
        let names = self.eat("{") && self.counts()?.is_none();
        self.at = start;
        Ok(names)
    }

    pub(super) fn unknown_escape<T>(&self, c: char) -> Result<T, String> {
        match c {
            'X' | 'C' | 'u' | 'U' | 'l' | 'L' => self.fail(&format!("`\\{c}` is not supported")),
            c => self.fail(&format!("`\\{c}` is not an escape")),
        }
    }

    /// The character that an escape represents, inside or outside of brackets.
    pub(super) fn escaped_char(&mut self, c: char) -> Result<Option<char>, String> {
        Ok(Some(match c {
            'a' => '\u{07}',
            'e' => '\u{1b}',
            'f' => '\u{0c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'c' => match self.next() {
                Some(c @ ' '..='~') => char::from(c.to_ascii_uppercase() as u8 ^ 0x40),
                _ => return self.fail("`\\c` needs a printable ASCII character"),
            },
            'x' => self.hexadecimal()?,
            'o' => self.braced_octal()?,
            '0' => self.octal(0, 2)?,
            c if c.is_ascii_alphanumeric() => return Ok(None),
            c => c,
        }))
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        if self.eat("{") {
            let digits = self.until('}', "`\\x{`")?;
            return self.code_point(u32::from_str_radix(&digits, 16).ok());
        }
        let mut value = 0;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                break;
            };
            self.at += 1;
            value = value * 16 + digit;
        }
        self.code_point(Some(value))
    }

    fn braced_octal(&mut self) -> Result<char, String> {
        if !self.eat("{") {
            return self.fail("`\\o` needs braces");
        }
        let digits = self.until('}', "`\\o{`")?;
        self.code_point(u32::from_str_radix(&digits, 8).ok())
    }

    /// Up to `more` octal digits after the digits of `value`.
    pub(super) fn octal(&mut self, mut value: u32, more: u32) -> Result<char, String> {
        for _ in 0..more {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.at += 1;
            value = value * 8 + digit;
        }
        self.code_point(Some(value))
    }

    fn code_point(&self, value: Option<u32>) -> Result<char, String> {
        match value.and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => self.fail("a number is not that of a character"),
        }
    }

    /// `\pL`, `\p{Lu}`, `\p{^Lu}`.
    pub(super) fn property(&mut self, negate: bool) -> Result<class::CharSet, String> {
        let name = match self.next() {
            Some('{') => self.until('}', "`\\p{`")?,
            Some(c) => c.to_string(),
            None => return self.fail("`\\p` needs a property"),
        };
        let (name, negate) = match name.strip_prefix('^') {
            Some(name) => (name, !negate),
            None => (name.as_str(), negate),
        };
        match class::of_property(name) {
            Some(set) if negate => Ok(class::negated(set)),
            Some(set) => Ok(set),
            None => self.fail(&format!("`{name}` is not a known character property")),
        }
    }

    /// `\k<name>`, `\k'name'`, `\k{name}`.
    fn name_reference(&mut self) -> Result<Node, String> {
        let end = match self.next() {
            Some('<') => '>',
            Some('\'') => '\'',
            Some('{') => '}',
            _ => return self.fail("`\\k` needs a group's name"),
        };
        let name = self.until(end, "a reference")?;
        self.reference_by_name(&name)
    }

    /// `\g2`, `\g{2}`, `\g{-1}`, `\g{name}`.
    fn group_reference(&mut self) -> Result<Node, String> {
        let text = if self.eat("{") {
            self.until('}', "a reference")?
        } else if matches!(self.peek(), Some('<' | '\'')) {
            return self.fail("recursion and subroutine calls are not supported");
        } else {
            let sign = if self.eat("-") { "-" } else { "" };
            match self.digits() {
                Some(number) => format!("{sign}{number}"),
                None => return self.fail("`\\g` needs a group"),
            }
        };
        match text.parse::<i32>() {
            Ok(number) if !text.starts_with('+') => match self.absolute(number) {
                Some(group) => self.reference(group),
                None => self.fail(&format!("there is no group {number}")),
            },
            _ => self.reference_by_name(&text),
        }
    }

    /// Negative numbers count back from the current group.
    fn absolute(&self, number: i32) -> Option<usize> {
        let distance = usize::try_from(number.unsigned_abs()).ok()?;
        match number {
            0 => None,
            1.. => Some(distance),
            _ => (self.groups.count + 1)
                .checked_sub(distance)
                .filter(|group| *group > 0),
        }
    }

    /// `\1` to `\7` are always backreferences; higher numbers are backreferences if there are enough groups so
    /// far, otherwise octal. Any other `\8` or `\9` is refused: some servers read a digit, others do not
    /// compile it.
    fn number_reference(&mut self, first: char) -> Result<Node, String> {
        let start = self.at;
        self.at -= 1;
        let number = self.digits().map_or(Ok(0), usize::try_from);
        let number = number.unwrap_or(usize::MAX);
        if number < 8 || number <= self.groups.count {
            return self.reference(number);
        }
        if number > MAX_REFERENCE {
            return self.fail(&format!("there is no group {number}"));
        }
        self.at = start;
        match first.to_digit(8) {
            Some(digit) => {
                let octal = self.octal(digit, 2)?;
                Ok(self.literal(octal))
            }
            None => self.fail(&format!("there is no group {number}")),
        }
    }

    fn reference(&self, group: usize) -> Result<Node, String> {
        if self.open.contains(&group) {
            return self.fail("a reference to the group that it stands in is not supported");
        }
        match &self.all_groups {
            Some(all) if group > all.count => self.fail(&format!("there is no group {group}")),
            _ => Ok(Node::Backreference {
                group,
                ignore_case: self.flags.ignore_case,
            }),
        }
    }

    pub(super) fn reference_by_name(&self, name: &str) -> Result<Node, String> {
        let Some(all) = &self.all_groups else {
            return self.reference(0);
        };
        match all.names.iter().find(|(known, _)| known == name) {
            Some((_, group)) => self.reference(*group),
            None => self.fail(&format!("there is no group `{name}`")),
        }
    }
}

/// The assertion that an escape makes about the position.
fn position(escape: char) -> Option<Node> {
    Some(Node::Assert(match escape {
        'A' | 'G' => Assertion::Start,
        'z' => Assertion::End,
        'Z' => Assertion::EndOrFinalNewline,
        'b' => Assertion::WordBoundary,
        'B' => Assertion::NotWordBoundary,
        // Moves the start of the match, which is not reported here.
        'K' => return Some(Node::Empty),
        _ => return None,
    }))
}

/// `\R`: any line break, with `\r\n` as a single break.
fn line_break() -> Node {
    let one = |c| Node::One(class::of_ranges(&[(c, c)]));
    Node::Atomic(Box::new(Node::Alternate(vec![
        Node::Concat(vec![one('\r'), one('\n')]),
        Node::One(class::vertical_space()),
    ])))
}
