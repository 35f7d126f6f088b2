//! The matcher: runs a program by backtracking, on a stack of its own, within a
//! limit of steps. Depth of recursion is that of nested look-arounds alone.

use super::TooManySteps;
use super::class;
use super::parse::Assertion;
use super::program::{Inst, Program};

/// Some 50 ms; an ordinary match of a name takes a few hundred.
const MAX_STEPS: u32 = 2_000_000;
const MAX_STACK: usize = 200_000;

/// What to go back to.
enum Undo {
    /// Go on here instead.
    Choice { pc: usize, at: usize },
    /// Put a slot back first.
    Slot { slot: usize, value: Option<usize> },
}

pub(super) struct Matcher<'a> {
    program: &'a Program,
    text: &'a [char],
    slots: Vec<Option<usize>>,
    stack: Vec<Undo>,
    steps: u32,
}

/// Where an instruction leads.
enum Next {
    Step(usize, usize),
    Fail,
    Accept,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(program: &'a Program, text: &'a [char]) -> Self {
        let slots = vec![None; program.slots];
        Self {
            program,
            text,
            slots,
            stack: Vec::new(),
            steps: 0,
        }
    }

    /// True when the program matches from any position.
    pub(super) fn find_any(mut self) -> Result<bool, TooManySteps> {
        for start in 0..=self.text.len() {
            self.slots.fill(None);
            self.stack.clear();
            if self.run(0, start)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs from `pc` to an `Accept`; where it ended. Alternatives that are left
    /// stay on the stack, above what was there before.
    fn run(&mut self, mut pc: usize, mut at: usize) -> Result<Option<usize>, TooManySteps> {
        let base = self.stack.len();
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS || self.stack.len() > MAX_STACK {
                return Err(TooManySteps);
            }
            (pc, at) = match self.step(pc, at)? {
                Next::Step(pc, at) => (pc, at),
                Next::Accept => return Ok(Some(at)),
                Next::Fail => match self.backtrack(base) {
                    Some(choice) => choice,
                    None => return Ok(None),
                },
            };
        }
    }

    fn step(&mut self, pc: usize, at: usize) -> Result<Next, TooManySteps> {
        let program = self.program;
        let Some(inst) = program.code.get(pc) else {
            return Ok(Next::Fail);
        };
        Ok(match inst {
            Inst::Accept => Next::Accept,
            Inst::One(set) => match self.text.get(at) {
                Some(c) if set.contains(*c) => Next::Step(pc + 1, at + 1),
                _ => Next::Fail,
            },
            Inst::Assert(assertion) if self.holds(*assertion, at) => Next::Step(pc + 1, at),
            Inst::Assert(_) => Next::Fail,
            Inst::Split { first, second } => {
                self.stack.push(Undo::Choice { pc: *second, at });
                Next::Step(*first, at)
            }
            Inst::Jump(target) => Next::Step(*target, at),
            Inst::Save(slot) => {
                self.save(*slot, at);
                Next::Step(pc + 1, at)
            }
            Inst::LeaveIfIdle { slot, out } => match self.slot(*slot) {
                Some(since) if since == at => Next::Step(*out, at),
                _ => Next::Step(pc + 1, at),
            },
            Inst::Look { back, negate, end } => {
                let found = match at.checked_sub(*back) {
                    Some(start) => self.run_enclosed(pc + 1, start, *negate)?.is_some(),
                    None => false,
                };
                if found == *negate {
                    Next::Fail
                } else {
                    Next::Step(*end, at)
                }
            }
            Inst::Atomic { end } => match self.run_enclosed(pc + 1, at, false)? {
                Some(at) => Next::Step(*end, at),
                None => Next::Fail,
            },
            Inst::Backreference { group, ignore_case } => {
                match self.repeats(*group, at, *ignore_case) {
                    Some(at) => Next::Step(pc + 1, at),
                    None => Next::Fail,
                }
            }
        })
    }

    /// Runs a part that is decided once and for all: what it tried and left is
    /// forgotten, what it captured is kept, unless `undo`.
    fn run_enclosed(
        &mut self,
        pc: usize,
        at: usize,
        undo: bool,
    ) -> Result<Option<usize>, TooManySteps> {
        let base = self.stack.len();
        let ended = self.run(pc, at)?;
        let left: Vec<Undo> = self.stack.drain(base..).collect();
        if undo {
            for entry in left.into_iter().rev() {
                self.restore(&entry);
            }
        } else {
            self.stack.extend(
                left.into_iter()
                    .filter(|entry| matches!(entry, Undo::Slot { .. })),
            );
        }
        Ok(ended)
    }

    /// The newest alternative above `base`, with the slots as they were then.
    fn backtrack(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.stack.len() > base {
            let entry = self.stack.pop()?;
            if let Undo::Choice { pc, at } = entry {
                return Some((pc, at));
            }
            self.restore(&entry);
        }
        None
    }

    fn restore(&mut self, entry: &Undo) {
        if let Undo::Slot { slot, value } = entry
            && let Some(place) = self.slots.get_mut(*slot)
        {
            *place = *value;
        }
    }

    fn save(&mut self, slot: usize, at: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            let value = place.replace(at);
            self.stack.push(Undo::Slot { slot, value });
        }
    }

    fn slot(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).copied().flatten()
    }

    /// Where the text goes on when it repeats at `at` what `group` has captured.
    fn repeats(&self, group: usize, at: usize, ignore_case: bool) -> Option<usize> {
        let captured = self
            .text
            .get(self.slot(2 * group)?..self.slot(2 * group + 1)?)?;
        let end = at + captured.len();
        let here = self.text.get(at..end)?;
        let same = |(a, b): (&char, &char)| a == b || (ignore_case && class::same_letter(*a, *b));
        captured.iter().zip(here).all(same).then_some(end)
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
            // Not behind a newline that ends the text: that line is not there.
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
