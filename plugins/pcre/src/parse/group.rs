//! Constructs that start with a parenthesis.

use super::{Node, Parser, one_of};

/// The maximum length of a group's name.
const MAX_NAME: usize = 32;

impl Parser {
    /// Parses a group after its opening parenthesis.
    pub(super) fn group(&mut self) -> Result<Node, String> {
        if self.peek() == Some('*') {
            return self.fail("control verbs such as `(*SKIP)` are not supported");
        }
        if !self.eat("?") {
            return self.capture(None);
        }
        match self.next() {
            Some(':') => Ok(Node::Group(Box::new(self.enclosed()?))),
            Some('>') => Ok(Node::Atomic(Box::new(self.enclosed()?))),
            Some('=') => self.look_ahead(false),
            Some('!') => self.look_ahead(true),
            Some('<') if self.eat("=") => self.look_behind(false),
            Some('<') if self.eat("!") => self.look_behind(true),
            Some('<') => self.named_capture('>'),
            Some('\'') => self.named_capture('\''),
            Some('P') => self.python_group(),
            Some('|') => self.fail("branch reset groups `(?|` are not supported"),
            Some('(') => self.fail("conditional groups `(?(` are not supported"),
            Some('C') => self.fail("callouts `(?C` are not supported"),
            Some('R' | '&' | '+' | '0'..='9') => {
                self.fail("recursion and subroutine calls are not supported")
            }
            Some('-') if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.fail("recursion and subroutine calls are not supported")
            }
            Some(_) => {
                self.at -= 1;
                self.flags_group()
            }
            None => self.fail("a group is not closed by `)`"),
        }
    }

    /// `(?P<name>…)` and `(?P=name)`.
    fn python_group(&mut self) -> Result<Node, String> {
        match self.next() {
            Some('<') => self.named_capture('>'),
            Some('=') => {
                let name = self.until(')', "a reference")?;
                self.reference_by_name(&name)
            }
            Some('>') => self.fail("recursion and subroutine calls are not supported"),
            _ => self.fail("unknown group `(?P`"),
        }
    }

    /// Parses up to the closing parenthesis. Flags switched inside are reset there.
    fn enclosed(&mut self) -> Result<Node, String> {
        Ok(one_of(self.enclosed_alternatives()?))
    }

    fn enclosed_alternatives(&mut self) -> Result<Vec<Node>, String> {
        let flags = self.flags;
        let nodes = self.alternatives()?;
        if !self.eat(")") {
            return self.fail("a group is not closed by `)`");
        }
        self.flags = flags;
        Ok(nodes)
    }

    fn look_ahead(&mut self, negate: bool) -> Result<Node, String> {
        Ok(Node::Look {
            back: 0,
            negate,
            node: Box::new(self.enclosed()?),
        })
    }

    /// Splits the alternatives, which may have different widths: `(?<!a|bc)` is `(?<!a)(?<!bc)`, and
    /// `(?<=a|bc)` is `(?>(?<=a)|(?<=bc))`.
    fn look_behind(&mut self, negate: bool) -> Result<Node, String> {
        let mut looks = Vec::new();
        for node in self.enclosed_alternatives()? {
            let Some(back) = node.width() else {
                return self.fail("a look-behind needs a fixed length in each alternative");
            };
            looks.push(Node::Look {
                back,
                negate,
                node: Box::new(node),
            });
        }
        Ok(if negate {
            Node::Concat(looks)
        } else {
            Node::Atomic(Box::new(one_of(looks)))
        })
    }

    fn named_capture(&mut self, end: char) -> Result<Node, String> {
        let name = self.until(end, "a group's name")?;
        let mut letters = name.chars();
        let starts = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let goes_on = letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !starts || !goes_on || name.len() > MAX_NAME {
            return self.fail(&format!("`{name}` is not a group's name"));
        }
        if self.groups.names.iter().any(|(known, _)| *known == name) {
            return self.fail(&format!("there are two groups `{name}`"));
        }
        self.capture(Some(name))
    }

    fn capture(&mut self, name: Option<String>) -> Result<Node, String> {
        self.groups.count += 1;
        let group = self.groups.count;
        if let Some(name) = name {
            self.groups.names.push((name, group));
        }
        self.open.push(group);
        let node = self.enclosed()?;
        self.open.pop();
        Ok(Node::Capture(group, Box::new(node)))
    }

    /// `(?i)`, `(?i-s)`, and both with `:…`.
    fn flags_group(&mut self) -> Result<Node, String> {
        let before = self.flags;
        let mut flags = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some(')') => {
                    self.flags = flags;
                    return self.unrepeated(Node::Empty);
                }
                Some(':') => {
                    self.flags = flags;
                    let node = self.enclosed();
                    self.flags = before;
                    return Ok(Node::Group(Box::new(node?)));
                }
                Some(letter) if flags.set(letter, on) => {}
                Some(c) => return self.fail(&format!("`{c}` is not known behind `(?`")),
                None => return self.fail("a group is not closed by `)`"),
            }
        }
    }
}
