//! The groups that references name: where their positions are kept, and where in the program
//! the outcome depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::parse::Node;
use super::program::Inst;
use super::states::{Key, Live};

/// One bit a slot.
type Slots = u64;

/// Where a capture starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the position in a slot.
    Slot(usize),
    /// So many characters before its end.
    Before(usize),
}

/// The groups that references name, each with where it starts and the slot of its end.
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

    /// What the outcome at each instruction depends on. Refuses a group in a look-around or an
    /// atomic group that is referred to from without: the outcome of those has to depend on what
    /// they are given alone.
    pub(super) fn keys(&self, code: &[Inst], loops: &[Rc<[usize]>]) -> Result<Vec<Key>, String> {
        if self.slots > Slots::BITS as usize {
            return Err("there are references to too many groups".to_owned());
        }
        let live = self.live(code);
        self.check_enclosed(code, &live)?;
        let key = |(loops, live): (&Rc<[usize]>, &Slots)| Key {
            loops: Rc::clone(loops),
            live: self.key(*live),
        };
        Ok(loops.iter().zip(&live).map(key).collect())
    }

    fn key(&self, live: Slots) -> Live {
        let span = self.groups.values().find_map(|(start, end)| match start {
            Start::Slot(start) if live == bit(*start) | bit(*end) => Some((*start, *end)),
            _ => None,
        });
        match span {
            Some((start, end)) => Live::Span { start, end },
            None => Live::Slots(
                (0..self.slots)
                    .filter(|slot| live & bit(*slot) != 0)
                    .collect(),
            ),
        }
    }

    /// For each instruction the slots that may be read from there on before they are written.
    fn live(&self, code: &[Inst]) -> Vec<Slots> {
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

    fn live_at(&self, inst: &Inst, pc: usize, live: &[Slots]) -> Slots {
        let at = |pc: usize| live.get(pc).copied().unwrap_or_default();
        match inst {
            Inst::Accept => 0,
            Inst::One(_) | Inst::Assert(_) => at(pc + 1),
            Inst::Split { first, second } => at(*first) | at(*second),
            Inst::Jump(target) => at(*target),
            Inst::LeaveIfIdle { out, .. } => at(pc + 1) | at(*out),
            Inst::Look { end, .. } | Inst::Atomic { end } => at(pc + 1) | at(*end),
            Inst::Save(slot) if *slot < self.slots => at(pc + 1) & !bit(*slot),
            Inst::Save(_) => at(pc + 1),
            Inst::Backreference { start, end, .. } => {
                let start = match start {
                    Start::Slot(start) => bit(*start),
                    Start::Before(_) => 0,
                };
                at(pc + 1) | start | bit(*end)
            }
        }
    }

    fn check_enclosed(&self, code: &[Inst], live: &[Slots]) -> Result<(), String> {
        for (pc, inst) in code.iter().enumerate() {
            let (back, end) = match inst {
                Inst::Look { back, end, .. } => (*back, end),
                Inst::Atomic { end } => (0, end),
                _ => continue,
            };
            let body = code.get(pc + 1..*end).unwrap_or_default();
            let saved = body.iter().fold(0, |saved, inst| match inst {
                Inst::Save(slot) if *slot < self.slots => saved | bit(*slot),
                _ => saved,
            });
            let at = |pc: usize| live.get(pc).copied().unwrap_or_default();
            // What is behind the position would be before it there, which `Live::Span` rules out.
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
