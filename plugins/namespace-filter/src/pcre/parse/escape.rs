//! Everything that begins with a backslash.

use super::super::class;
use super::{Assertion, Node, Parser};

impl Parser {
    /// Behind the backslash, outside of brackets.
    pub(super) fn escape(&mut self) -> Result<Node, String> {
        let Some(c) = self.next() else {
            return self.fail("the pattern ends with a backslash");
        };
        if let Some(set) = class::of_escape(c, self.flags.ucp) {
            return Ok(Node::One(set));
        }
        Ok(match c {
            'A' | 'G' => Node::Assert(Assertion::Start),
            'z' => Node::Assert(Assertion::End),
            'Z' => Node::Assert(Assertion::EndOrFinalNewline),
            'b' => Node::Assert(Assertion::WordBoundary),
            'B' => Node::Assert(Assertion::NotWordBoundary),
            // It moves where the match begins, which nobody asks for here.
            'K' => Node::Empty,
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

    pub(super) fn unknown_escape<T>(&self, c: char) -> Result<T, String> {
        match c {
            'X' | 'C' | 'u' | 'U' | 'l' | 'L' => self.fail(&format!("`\\{c}` is not supported")),
            c => self.fail(&format!("`\\{c}` is not an escape")),
        }
    }

    /// The character that an escape stands for, in brackets or out of them.
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

    /// Up to `more` octal digits behind those of `value`.
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

    /// `\pL`, `\p{Lu}`, `\p{^Greek}`.
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
            match self.count()? {
                Some(number) => format!("{sign}{number}"),
                None => return self.fail("`\\g` needs a group"),
            }
        };
        match text.parse::<i32>() {
            Ok(number) => match self.absolute(number) {
                Some(group) => self.reference(group),
                None => self.fail(&format!("there is no group {number}")),
            },
            Err(_) => self.reference_by_name(&text),
        }
    }

    /// Negative numbers count back from here.
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

    /// `\1` to `\9` are groups always; longer numbers if there are as many, and
    /// octal if not.
    fn number_reference(&mut self, first: char) -> Result<Node, String> {
        let start = self.at;
        self.at -= 1;
        let number = self
            .count()?
            .map_or(0, |number| usize::try_from(number).unwrap_or(0));
        let known = self
            .all_groups
            .as_ref()
            .map_or(usize::MAX, |groups| groups.count);
        if number < 10 || number <= known {
            return self.reference(number);
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
            return Ok(Node::Empty);
        };
        match all.names.iter().find(|(known, _)| known == name) {
            Some((_, group)) => self.reference(*group),
            None => self.fail(&format!("there is no group `{name}`")),
        }
    }
}

/// `\R`: any line break, `\r\n` as one.
fn line_break() -> Node {
    let one = |c| Node::One(class::of_ranges(&[(c, c)]));
    Node::Atomic(Box::new(Node::Alternate(vec![
        Node::Concat(vec![one('\r'), one('\n')]),
        Node::One(class::vertical_space()),
    ])))
}
