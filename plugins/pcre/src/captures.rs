//! The groups that backreferences use: the slots of their positions, and the program points whose outcome
//! depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::parse::Node;
use super::program::Instruction;
use super::states::{LiveSlots, StateKey};

/// A set of slots, with a bit for each.
type Slots = u64;

/// The start of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The position in a slot.
    Slot(usize),
    /// This number of characters before the end of the capture.
    Before(usize),
}

/// The groups that backreferences use, each with its start and the slot of its end.
#[derive(Debug, Default)]
pub(super) struct Captures {
    groups: BTreeMap<usize, (Start, usize)>,
    slots: usize,
}

impl Captures {
    pub(super) fn referenced(node: &Node) -> Self {
        let (mut wanted, mut widths) = (BTreeSet::new(), BTreeMap::new());
        collect(node, &mut wanted, &mut widths);
        let mut captures = Self::default();
        for group in wanted {
            let start = match widths.get(&group).copied().flatten() {
                Some(width) => Start::Before(width),
                None => Start::Slot(captures.slot()),
            };
            let end = captures.slot();
            captures.groups.insert(group, (start, end));
        }
        captures
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn of(&self, group: usize) -> Option<(Start, usize)> {
        self.groups.get(&group).copied()
    }

    /// The dependencies of the outcome at each instruction.
    ///
    /// # Errors
    ///
    /// A backreference leads from outside into a look-around or an atomic group. The outcome of these must
    /// depend on their own input only.
    pub(super) fn keys(
        &self,
        code: &[Instruction],
        loops: &[Rc<[usize]>],
    ) -> Result<Vec<StateKey>, String> {
        if self.slots > Slots::BITS as usize {
            return Err("there are references to too many groups".to_owned());
        }
        let live = self.live(code);
        self.check_enclosed(code, &live)?;
        let key = |(loops, live): (&Rc<[usize]>, &Slots)| StateKey {
            loops: Rc::clone(loops),
            live: self.key(*live),
        };
        Ok(loops.iter().zip(&live).map(key).collect())
    }

    fn key(&self, live: Slots) -> LiveSlots {
        let span = self.groups.values().find_map(|(start, end)| match start {
            Start::Slot(start) if live == bit(*start) | bit(*end) => Some((*start, *end)),
            _ => None,
        });
        match span {
            Some((start, end)) => LiveSlots::Span { start, end },
            None => LiveSlots::Slots(
                (0..self.slots)
                    .filter(|slot| live & bit(*slot) != 0)
                    .collect(),
            ),
        }
    }

    /// For each instruction, the slots that may be read later before they are written.
    fn live(&self, code: &[Instruction]) -> Vec<Slots> {
        let mut live = vec![0; code.len()];
        if self.slots == 0 {
            return live;
        }
        loop {
            let mut changed = false;
            for (pc, inst) in code.iter().enumerate().rev() {
                let slots = self.live_at(inst, pc, &live);
                if let Some(known) = live.get_mut(pc) {
                    changed |= *known != slots;
                    *known = slots;
                }
            }
            if !changed {
                return live;
            }
        }
    }

    fn live_at(&self, inst: &Instruction, pc: usize, live: &[Slots]) -> Slots {
        let at = |pc: usize| live.get(pc).copied().unwrap_or_default();
        match inst {
            Instruction::Accept => 0,
            Instruction::One(_) | Instruction::Assert(_) => at(pc + 1),
            Instruction::Split { first, second } => at(*first) | at(*second),
            Instruction::Jump(target) => at(*target),
            Instruction::LeaveIfIdle { out, .. } => at(pc + 1) | at(*out),
            Instruction::Look { end, .. } | Instruction::Atomic { end } => at(pc + 1) | at(*end),
            Instruction::Save(slot) if *slot < self.slots => at(pc + 1) & !bit(*slot),
            Instruction::Save(_) => at(pc + 1),
            Instruction::Backreference { start, end, .. } => {
                let start = match start {
                    Start::Slot(start) => bit(*start),
                    Start::Before(_) => 0,
                };
                at(pc + 1) | start | bit(*end)
            }
        }
    }

    fn check_enclosed(&self, code: &[Instruction], live: &[Slots]) -> Result<(), String> {
        for (pc, inst) in code.iter().enumerate() {
            let (back, end) = match inst {
                Instruction::Look { back, end, .. } => (*back, end),
                Instruction::Atomic { end } => (0, end),
                _ => continue,
            };
            let body = code.get(pc + 1..*end).unwrap_or_default();
            let saved = body.iter().fold(0, |saved, inst| match inst {
                Instruction::Save(slot) if *slot < self.slots => saved | bit(*slot),
                _ => saved,
            });
            let at = |pc: usize| live.get(pc).copied().unwrap_or_default();
            // A look-behind moves before the end of the capture, which `LiveSlots::Span` rules out.
            if back > 0 && at(pc + 1) != 0 {
                return Err("a reference in a look-behind is not supported".to_owned());
            }
            if saved & (at(pc + 1) | at(*end)) != 0 {
                return Err(
                    "a reference from without to a group in a look-around, an atomic group or a \
                     possessive repeat is not supported"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

fn bit(slot: usize) -> Slots {
    1 << slot
}

fn collect(node: &Node, wanted: &mut BTreeSet<usize>, widths: &mut BTreeMap<usize, Option<usize>>) {
    match node {
        Node::Backreference { group, .. } => {
            wanted.insert(*group);
        }
        Node::Capture(group, inner) => {
            widths.insert(*group, inner.width());
            collect(inner, wanted, widths);
        }
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            for node in nodes {
                collect(node, wanted, widths);
            }
        }
        Node::Group(node)
        | Node::Atomic(node)
        | Node::Look { node, .. }
        | Node::Repeat { node, .. } => {
            collect(node, wanted, widths);
        }
        Node::Empty | Node::One(_) | Node::Assert(_) => {}
    }
}
