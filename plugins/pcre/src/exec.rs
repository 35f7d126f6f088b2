//! The matcher: runs a program by backtracking on an explicit stack, and visits no state twice. Recursion is as
//! deep as look-arounds and atomic groups nest.

use super::LengthError;
use super::captures::Start;
use super::class;
use super::parse::Assertion;
use super::program::{Instruction, Program};
use super::states::States;

/// The outcome of an unvisited state.
const UNKNOWN: u16 = 0;
/// The outcome of a state that fails, or that is being visited.
const FAILS: u16 = 1;
/// Added to the end position of a state that succeeds.
const ENDS: u16 = 2;

/// An entry of the backtracking stack.
enum Backtrack {
    /// Continue at this point.
    Choice { pc: usize, at: usize, path: usize },
    /// Restore a slot, then go on backtracking.
    Slot { slot: usize, value: Option<usize> },
}

pub(super) struct Matcher<'a> {
    program: &'a Program,
    text: &'a [char],
    /// The text with each character replaced by its case representative; empty if no backreference ignores
    /// case.
    folded: Vec<char>,
    states: States,
    outcomes: Vec<u16>,
    slots: Vec<Option<usize>>,
    stack: Vec<Backtrack>,
    /// The states visited on the current path.
    path: Vec<usize>,
}

/// The result of an instruction.
enum Transition {
    Step(usize, usize),
    Fail,
    Accept(usize),
}

fn step_if(holds: bool, pc: usize, at: usize) -> Transition {
    if holds {
        Transition::Step(pc, at)
    } else {
        Transition::Fail
    }
}

impl<'a> Matcher<'a> {
    pub(super) fn new(program: &'a Program, text: &'a [char]) -> Result<Self, LengthError> {
        let states = States::of(program, text.len()).ok_or(LengthError)?;
        let folded = if program.folds {
            text.iter().map(|c| class::folded(*c)).collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            program,
            text,
            folded,
            outcomes: vec![UNKNOWN; states.total()],
            states,
            slots: vec![None; program.slots],
            stack: Vec::new(),
            path: Vec::new(),
        })
    }

    /// Whether the program matches from any position.
    pub(super) fn find_any(mut self) -> bool {
        (0..=self.text.len()).any(|start| self.run(0, start).is_some())
    }

    /// Runs from `pc` to an `Accept` and returns the end position. Leaves the slots unchanged.
    fn run(&mut self, mut pc: usize, mut at: usize) -> Option<usize> {
        let (stack, path) = (self.stack.len(), self.path.len());
        let ended = loop {
            (pc, at) = match self.visit(pc, at) {
                Transition::Step(pc, at) => (pc, at),
                Transition::Accept(end) => break Some(end),
                Transition::Fail => match self.backtrack(stack) {
                    Some(choice) => choice,
                    None => break None,
                },
            };
        };
        // Every state on a successful path leads to the same end, always.
        let outcome = ended
            .and_then(|end| u16::try_from(end).ok())
            .map(|end| end + ENDS);
        for state in self.path.drain(path..) {
            if let (Some(known), Some(outcome)) = (self.outcomes.get_mut(state), outcome) {
                *known = outcome;
            }
        }
        while self.stack.len() > stack {
            if let Some(entry) = self.stack.pop() {
                self.restore(&entry);
            }
        }
        ended
    }

    fn visit(&mut self, pc: usize, at: usize) -> Transition {
        let program = self.program;
        let (Some(inst), Some(key)) = (program.code.get(pc), program.keys.get(pc)) else {
            return Transition::Fail;
        };
        let Some(state) = self.states.index(key, pc, at, &self.slots) else {
            return Transition::Fail;
        };
        let Some(outcome) = self.outcomes.get_mut(state) else {
            return Transition::Fail;
        };
        match *outcome {
            UNKNOWN => {
                *outcome = FAILS;
                self.path.push(state);
                self.step(inst, pc, at)
            }
            FAILS => Transition::Fail,
            end => Transition::Accept(usize::from(end - ENDS)),
        }
    }

    fn step(&mut self, inst: &Instruction, pc: usize, at: usize) -> Transition {
        match inst {
            Instruction::Accept => Transition::Accept(at),
            Instruction::One(set) => match (self.program.sets.get(*set), self.text.get(at)) {
                (Some(set), Some(c)) if set.contains(*c) => Transition::Step(pc + 1, at + 1),
                _ => Transition::Fail,
            },
            Instruction::Assert(assertion) => step_if(self.holds(*assertion, at), pc + 1, at),
            Instruction::Split { first, second } => {
                let path = self.path.len();
                let pc = *second;
                self.stack.push(Backtrack::Choice { pc, at, path });
                Transition::Step(*first, at)
            }
            Instruction::Jump(target) => Transition::Step(*target, at),
            Instruction::Save(slot) => {
                self.save(*slot, at);
                Transition::Step(pc + 1, at)
            }
            Instruction::LeaveIfIdle { slot, out } if self.slot(*slot) == Some(at) => {
                Transition::Step(*out, at)
            }
            Instruction::LeaveIfIdle { .. } => Transition::Step(pc + 1, at),
            Instruction::Look { back, negate, end } => {
                let start = at.checked_sub(*back);
                let found = start.and_then(|start| self.run(pc + 1, start)).is_some();
                step_if(found != *negate, *end, at)
            }
            Instruction::Atomic { end } => match self.run(pc + 1, at) {
                Some(at) => Transition::Step(*end, at),
                None => Transition::Fail,
            },
            Instruction::Backreference {
                start,
                end,
                ignore_case,
            } => match self.repeats(*start, *end, at, *ignore_case) {
                Some(at) => Transition::Step(pc + 1, at),
                None => Transition::Fail,
            },
        }
    }

    /// The newest choice above `base`, with the slots restored to its time.
    fn backtrack(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.stack.len() > base {
            let entry = self.stack.pop()?;
            if let Backtrack::Choice { pc, at, path } = entry {
                self.path.truncate(path);
                return Some((pc, at));
            }
            self.restore(&entry);
        }
        None
    }

    fn restore(&mut self, entry: &Backtrack) {
        if let Backtrack::Slot { slot, value } = entry
            && let Some(place) = self.slots.get_mut(*slot)
        {
            *place = *value;
        }
    }

    fn save(&mut self, slot: usize, at: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            let value = place.replace(at);
            self.stack.push(Backtrack::Slot { slot, value });
        }
    }

    fn slot(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).copied().flatten()
    }

    /// The position after a repetition, at `at`, of the text of a group.
    fn repeats(&self, start: Start, end: usize, at: usize, ignore_case: bool) -> Option<usize> {
        let end = self.slot(end)?;
        let start = match start {
            Start::Slot(slot) => self.slot(slot)?,
            Start::Before(width) => end.checked_sub(width)?,
        };
        let text = if ignore_case { &self.folded } else { self.text };
        let captured = text.get(start..end)?;
        let after = at + captured.len();
        (text.get(at..after)? == captured).then_some(after)
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let before = at
            .checked_sub(1)
            .and_then(|before| self.text.get(before))
            .copied();
        let after = self.text.get(at).copied();
        let is_word = |c: Option<char>| c.is_some_and(|c| self.program.word.contains(c));
        match assertion {
            Assertion::Start => before.is_none(),
            // There is no line after a newline that ends the text.
            Assertion::LineStart => before.is_none() || (before == Some('\n') && after.is_some()),
            Assertion::End => after.is_none(),
            Assertion::LineEnd => after.is_none() || after == Some('\n'),
            Assertion::EndOrFinalNewline => {
                after.is_none() || (after == Some('\n') && at + 1 == self.text.len())
            }
            Assertion::WordBoundary => is_word(before) != is_word(after),
            Assertion::NotWordBoundary => is_word(before) == is_word(after),
        }
    }
}
