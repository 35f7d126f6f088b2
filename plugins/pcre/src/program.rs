//! Compiles the syntax tree into a flat program for the matcher.

use std::collections::HashMap;
use std::rc::Rc;

use super::captures::{Captures, Start};
use super::class::CharSet;
use super::parse::{Assertion, Greed, Node, ParsedPattern};
use super::states::StateKey;

/// Exceeded by nested counts such as `((a{999}){999}){999}`.
const MAX_INSTRUCTIONS: usize = 50_000;

#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    /// The dependencies of the outcome at each instruction, apart from the position.
    pub(super) keys: Vec<StateKey>,
    pub(super) sets: Vec<Set>,
    /// The number of remembered positions: those of captures, followed by one for each loop.
    pub(super) slots: usize,
    /// Whether any backreference ignores case.
    pub(super) folds: bool,
    /// The word characters, for `\b`.
    pub(super) word: Set,
}

/// A set of characters as sorted ranges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
        let index = self.0.partition_point(|(_, to)| *to < c);
        self.0.get(index).is_some_and(|(from, _)| *from <= c)
    }
}

#[derive(Debug)]
pub(super) enum Instruction {
    /// Matches a character of a set, given by its index in `sets`.
    One(usize),
    Assert(Assertion),
    /// Continues at `first`, and on failure at `second`.
    Split {
        first: usize,
        second: usize,
    },
    Jump(usize),
    /// Saves the position in a slot.
    Save(usize),
    /// Continues at `out` if nothing was consumed since the slot was saved. Ends loops whose body can be empty.
    LeaveIfIdle {
        slot: usize,
        out: usize,
    },
    /// Runs the following instructions as a pattern of their own, from `back` characters before, and continues
    /// at `end` from the original position.
    Look {
        back: usize,
        negate: bool,
        end: usize,
    },
    /// Runs the following instructions and discards their alternatives.
    Atomic {
        end: usize,
    },
    /// Matches the text of a capture, which ends at the position in slot `end`.
    Backreference {
        start: Start,
        end: usize,
        ignore_case: bool,
    },
    Accept,
}

impl Program {
    pub(super) fn compile(parsed: &ParsedPattern) -> Result<Self, String> {
        let captures = Captures::referenced(&parsed.node);
        let mut compiler = Compiler {
            slots: captures.slots(),
            captures,
            ..Compiler::default()
        };
        compiler.emit(&parsed.node)?;
        compiler.push(Instruction::Accept)?;
        let keys = compiler.captures.keys(&compiler.code, &compiler.loops)?;
        let folds = |inst: &Instruction| matches!(inst, Instruction::Backreference { ignore_case, .. } if *ignore_case);
        let program = Self {
            folds: compiler.code.iter().any(folds),
            code: compiler.code,
            keys,
            sets: compiler.sets,
            slots: compiler.slots,
            word: Set::new(&parsed.word),
        };
        super::states::check(&program)?;
        Ok(program)
    }
}

#[derive(Default)]
struct Compiler {
    code: Vec<Instruction>,
    /// For each instruction, the slots of the surrounding loops, the outermost first, that still need to detect
    /// an empty iteration.
    loops: Vec<Rc<[usize]>>,
    /// The loops around the next instruction.
    around: Rc<[usize]>,
    sets: Vec<Set>,
    set_numbers: HashMap<Set, usize>,
    captures: Captures,
    slots: usize,
}

impl Compiler {
    fn push(&mut self, inst: Instruction) -> Result<usize, String> {
        if self.code.len() >= MAX_INSTRUCTIONS {
            return Err("the pattern is too large once its counts are written out".to_owned());
        }
        self.code.push(inst);
        self.loops.push(Rc::clone(&self.around));
        Ok(self.code.len() - 1)
    }

    /// Replaces a placeholder once its target is known.
    fn patch(&mut self, at: usize, inst: Instruction) {
        if let Some(slot) = self.code.get_mut(at) {
            *slot = inst;
        }
    }

    fn set(&mut self, set: &CharSet) -> usize {
        let set = Set::new(set);
        if let Some(number) = self.set_numbers.get(&set) {
            return *number;
        }
        self.sets.push(set.clone());
        self.set_numbers.insert(set, self.sets.len() - 1);
        self.sets.len() - 1
    }

    fn emit(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Empty => Ok(()),
            Node::One(set) => {
                let set = self.set(set);
                self.push(Instruction::One(set)).map(drop)
            }
            Node::Assert(assertion) => self.push(Instruction::Assert(*assertion)).map(drop),
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.emit(node)),
            Node::Alternate(nodes) => self.emit_alternatives(nodes),
            Node::Group(node) => self.emit(node),
            Node::Capture(group, node) => self.emit_capture(*group, node),
            Node::Atomic(node) => {
                self.emit_enclosed(|inner| inner.emit(node), |end| Instruction::Atomic { end })
            }
            Node::Look { back, negate, node } => {
                let (back, negate) = (*back, *negate);
                let head = |end| Instruction::Look { back, negate, end };
                self.emit_enclosed(|inner| inner.emit(node), head)
            }
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => self.emit_repeat(node, *min, *max, *greed),
            Node::Backreference { group, ignore_case } => {
                let Some((start, end)) = self.captures.of(*group) else {
                    return Err(format!("there is no group {group}"));
                };
                let ignore_case = *ignore_case;
                self.push(Instruction::Backreference {
                    start,
                    end,
                    ignore_case,
                })
                .map(drop)
            }
        }
    }

    /// Saves positions only for groups with a backreference.
    fn emit_capture(&mut self, group: usize, node: &Node) -> Result<(), String> {
        let Some((start, end)) = self.captures.of(group) else {
            return self.emit(node);
        };
        if let Start::Slot(start) = start {
            self.push(Instruction::Save(start))?;
        }
        self.emit(node)?;
        self.push(Instruction::Save(end)).map(drop)
    }

    fn emit_alternatives(&mut self, nodes: &[Node]) -> Result<(), String> {
        let Some((last, before)) = nodes.split_last() else {
            return Ok(());
        };
        let mut jumps = Vec::new();
        for node in before {
            let split = self.push(Instruction::Accept)?;
            self.emit(node)?;
            jumps.push(self.push(Instruction::Accept)?);
            self.patch(split, branch(split + 1, self.code.len(), Greed::Greedy));
        }
        self.emit(last)?;
        for jump in jumps {
            self.patch(jump, Instruction::Jump(self.code.len()));
        }
        Ok(())
    }

    /// Emits a body of its own, in which surrounding loops do not matter.
    fn emit_enclosed(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), String>,
        head: impl FnOnce(usize) -> Instruction,
    ) -> Result<(), String> {
        let at = self.push(Instruction::Accept)?;
        let around = std::mem::take(&mut self.around);
        body(self)?;
        self.push(Instruction::Accept)?;
        self.around = around;
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
            let body = |inner: &mut Self| inner.emit_repeat(node, min, max, Greed::Greedy);
            return self.emit_enclosed(body, |end| Instruction::Atomic { end });
        }
        match max {
            None if min == 0 => self.emit_star(node, greed),
            None => {
                self.emit_copies(node, min - 1)?;
                self.emit_plus(node, greed)
            }
            Some(max) => {
                self.emit_copies(node, min)?;
                self.emit_optional(node, max.saturating_sub(min), greed)
            }
        }
    }

    fn emit_copies(&mut self, node: &Node, count: u32) -> Result<(), String> {
        for _ in 0..count {
            let before = self.code.len();
            self.emit(node)?;
            // A node without instructions needs no copies, up to 65,535 of them.
            if self.code.len() == before {
                break;
            }
        }
        Ok(())
    }

    fn emit_star(&mut self, node: &Node, greed: Greed) -> Result<(), String> {
        let split = self.push(Instruction::Accept)?;
        let idle = self.emit_loop_body(node)?;
        let out = self.push(Instruction::Jump(split))? + 1;
        self.leave_if_idle(idle, out);
        self.patch(split, branch(split + 1, out, greed));
        Ok(())
    }

    /// Not a copy and a star: an empty body must not run once more.
    fn emit_plus(&mut self, node: &Node, greed: Greed) -> Result<(), String> {
        let begin = self.code.len();
        let idle = self.emit_loop_body(node)?;
        let split = self.push(Instruction::Accept)?;
        self.leave_if_idle(idle, split + 1);
        self.patch(split, branch(begin, split + 1, greed));
        Ok(())
    }

    /// Emits the body, followed by the exit of an empty iteration, returned with its slot. A body that always
    /// consumes needs no exit.
    fn emit_loop_body(&mut self, node: &Node) -> Result<Option<(usize, usize)>, String> {
        if !node.can_be_empty() {
            self.emit(node)?;
            return Ok(None);
        }
        let slot = self.slots;
        self.slots += 1;
        self.push(Instruction::Save(slot))?;
        let inside = self.around.iter().copied().chain([slot]).collect();
        let around = std::mem::replace(&mut self.around, inside);
        self.emit(node)?;
        let leave = self.push(Instruction::Accept)?;
        self.around = around;
        Ok(Some((slot, leave)))
    }

    fn leave_if_idle(&mut self, idle: Option<(usize, usize)>, out: usize) {
        if let Some((slot, leave)) = idle {
            self.patch(leave, Instruction::LeaveIfIdle { slot, out });
        }
    }

    fn emit_optional(&mut self, node: &Node, count: u32, greed: Greed) -> Result<(), String> {
        let mut splits = Vec::new();
        for _ in 0..count {
            splits.push(self.push(Instruction::Accept)?);
            self.emit(node)?;
        }
        for split in splits {
            self.patch(split, branch(split + 1, self.code.len(), greed));
        }
        Ok(())
    }
}

fn branch(body: usize, out: usize, greed: Greed) -> Instruction {
    match greed {
        Greed::Lazy => Instruction::Split {
            first: out,
            second: body,
        },
        Greed::Greedy | Greed::Possessive => Instruction::Split {
            first: body,
            second: out,
        },
    }
}
