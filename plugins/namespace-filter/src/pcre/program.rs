//! The syntax tree as a flat program for the matcher.

use super::class::CharSet;
use super::parse::{Assertion, Greed, Node, Parsed};

/// Longer programs come from nested counts such as `((a{999}){999}){999}`.
const MAX_INSTRUCTIONS: usize = 50_000;

#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Inst>,
    /// Positions to remember: two for each group, one for each loop.
    pub(super) slots: usize,
    /// What `\w` means to `\b`.
    pub(super) word: Set,
}

/// A set of characters as sorted ranges.
#[derive(Debug)]
pub(super) struct Set(Box<[(char, char)]>);

impl Set {
    fn new(set: &CharSet) -> Self {
        Self(
            set.iter()
                .map(|range| (range.start(), range.end()))
                .collect(),
        )
    }

    pub(super) fn contains(&self, c: char) -> bool {
        let behind = self.0.partition_point(|(_, to)| *to < c);
        self.0.get(behind).is_some_and(|(from, _)| *from <= c)
    }
}

#[derive(Debug)]
pub(super) enum Inst {
    /// One character of a set.
    One(Set),
    Assert(Assertion),
    /// Goes on at `first`; on failure, at `second`.
    Split {
        first: usize,
        second: usize,
    },
    Jump(usize),
    /// Remembers the position.
    Save(usize),
    /// Goes on at `out` when nothing was consumed since the slot was saved: a
    /// loop whose body can match nothing must end.
    LeaveIfIdle {
        slot: usize,
        out: usize,
    },
    /// Runs the instructions behind it as a pattern of its own, `back` characters
    /// before, and goes on at `end`, where it stood.
    Look {
        back: usize,
        negate: bool,
        end: usize,
    },
    /// Runs the instructions behind it, and forgets their alternatives.
    Atomic {
        end: usize,
    },
    Backreference {
        group: usize,
        ignore_case: bool,
    },
    Accept,
}

impl Program {
    pub(super) fn compile(parsed: &Parsed) -> Result<Self, String> {
        let mut program = Self {
            code: Vec::new(),
            slots: 2 * (parsed.groups + 1),
            word: Set::new(&parsed.word),
        };
        program.emit(&parsed.node)?;
        program.push(Inst::Accept)?;
        Ok(program)
    }

    fn push(&mut self, inst: Inst) -> Result<usize, String> {
        if self.code.len() >= MAX_INSTRUCTIONS {
            return Err("the pattern is too large once its counts are written out".to_owned());
        }
        self.code.push(inst);
        Ok(self.code.len() - 1)
    }

    /// Fills in an instruction that was pushed before its target was known.
    fn patch(&mut self, at: usize, inst: Inst) {
        if let Some(slot) = self.code.get_mut(at) {
            *slot = inst;
        }
    }

    fn emit(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Empty => {}
            Node::One(set) => {
                self.push(Inst::One(Set::new(set)))?;
            }
            Node::Assert(assertion) => {
                self.push(Inst::Assert(*assertion))?;
            }
            Node::Concat(nodes) => {
                for node in nodes {
                    self.emit(node)?;
                }
            }
            Node::Alternate(nodes) => self.emit_alternatives(nodes)?,
            Node::Capture(group, node) => {
                self.push(Inst::Save(2 * group))?;
                self.emit(node)?;
                self.push(Inst::Save(2 * group + 1))?;
            }
            Node::Atomic(node) => self.emit_enclosed(node, |end| Inst::Atomic { end })?,
            Node::Look { back, negate, node } => {
                let (back, negate) = (*back, *negate);
                self.emit_enclosed(node, |end| Inst::Look { back, negate, end })?;
            }
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => {
                self.emit_repeat(node, *min, *max, *greed)?;
            }
            Node::Backreference { group, ignore_case } => {
                self.push(Inst::Backreference {
                    group: *group,
                    ignore_case: *ignore_case,
                })?;
            }
        }
        Ok(())
    }

    fn emit_alternatives(&mut self, nodes: &[Node]) -> Result<(), String> {
        let Some((last, before)) = nodes.split_last() else {
            return Ok(());
        };
        let mut jumps = Vec::new();
        for node in before {
            let split = self.push(Inst::Accept)?;
            self.emit(node)?;
            jumps.push(self.push(Inst::Accept)?);
            self.patch(
                split,
                Inst::Split {
                    first: split + 1,
                    second: self.code.len(),
                },
            );
        }
        self.emit(last)?;
        for jump in jumps {
            self.patch(jump, Inst::Jump(self.code.len()));
        }
        Ok(())
    }

    fn emit_enclosed(
        &mut self,
        node: &Node,
        head: impl FnOnce(usize) -> Inst,
    ) -> Result<(), String> {
        let at = self.push(Inst::Accept)?;
        self.emit(node)?;
        self.push(Inst::Accept)?;
        self.patch(at, head(self.code.len()));
        Ok(())
    }

    fn emit_repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    ) -> Result<(), String> {
        if greed == Greed::Possessive {
            return self.emit_enclosed_repeat(node, min, max);
        }
        for _ in 0..min {
            self.emit(node)?;
        }
        match max {
            None => self.emit_loop(node, greed),
            Some(max) => self.emit_optional(node, max.saturating_sub(min), greed),
        }
    }

    fn emit_enclosed_repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
    ) -> Result<(), String> {
        let at = self.push(Inst::Accept)?;
        self.emit_repeat(node, min, max, Greed::Greedy)?;
        self.push(Inst::Accept)?;
        self.patch(
            at,
            Inst::Atomic {
                end: self.code.len(),
            },
        );
        Ok(())
    }

    fn emit_loop(&mut self, node: &Node, greed: Greed) -> Result<(), String> {
        let slot = self.slots;
        self.slots += 1;
        let split = self.push(Inst::Accept)?;
        self.push(Inst::Save(slot))?;
        self.emit(node)?;
        let leave = self.push(Inst::Accept)?;
        let out = self.push(Inst::Jump(split))? + 1;
        self.patch(leave, Inst::LeaveIfIdle { slot, out });
        self.patch(split, branch(split + 1, out, greed));
        Ok(())
    }

    fn emit_optional(&mut self, node: &Node, count: u32, greed: Greed) -> Result<(), String> {
        let mut splits = Vec::new();
        for _ in 0..count {
            splits.push(self.push(Inst::Accept)?);
            self.emit(node)?;
        }
        for split in splits {
            self.patch(split, branch(split + 1, self.code.len(), greed));
        }
        Ok(())
    }
}

fn branch(body: usize, out: usize, greed: Greed) -> Inst {
    match greed {
        Greed::Lazy => Inst::Split {
            first: out,
            second: body,
        },
        Greed::Greedy | Greed::Possessive => Inst::Split {
            first: body,
            second: out,
        },
    }
}
