//! Numbers the states of a match: an instruction, a position, and everything else that the outcome depends on.
//!
//! Invariant: equal states have equal outcomes. So each state is visited once, and their number bounds the
//! work.
//!
//! A loop whose body can be empty asks whether the current iteration has consumed anything. If an outer loop
//! has not, neither has any loop inside it. So the number of outermost loops that have consumed describes all
//! of them.

use std::rc::Rc;

use super::program::Program;

/// The maximum length of `database.collection` in bytes.
const LONGEST_NAME: usize = 255;

/// Takes 24 MiB for outcomes, and about a second.
const MAX_STATES: usize = 12_000_000;

/// The dependencies of the outcome at an instruction, apart from the position.
#[derive(Debug)]
pub(super) struct StateKey {
    /// The slots of the surrounding loops whose iteration may be empty, the outermost first.
    pub(super) loops: Rc<[usize]>,
    pub(super) live: LiveSlots,
}

/// The slots of captures that may still be read.
#[derive(Debug)]
pub(super) enum LiveSlots {
    /// Both ends of a capture. Invariant: start ≤ end ≤ current position.
    Span {
        start: usize,
        end: usize,
    },
    Slots(Vec<usize>),
}

impl StateKey {
    /// The number of states at an instruction, for all positions before `at`.
    fn before(&self, at: usize, sums: &StateCounts) -> u64 {
        let states = match &self.live {
            LiveSlots::Span { .. } => {
                let at = at as u64;
                at + at * (at + 1) * (at + 2) / 6
            }
            LiveSlots::Slots(slots) => sums.before(slots.len(), at),
        };
        states.saturating_mul(self.loops.len() as u64 + 1)
    }

    /// The index of a state among those of its instruction and position.
    fn place(&self, at: usize, slots: &[Option<usize>]) -> usize {
        let slot = |slot: &usize| slots.get(*slot).copied().flatten();
        let place = match &self.live {
            LiveSlots::Span { start, end } => match (slot(start), slot(end)) {
                (Some(start), Some(end)) => 1 + end * (end + 1) / 2 + start,
                _ => 0,
            },
            LiveSlots::Slots(live) => live.iter().fold(0, |place, live| {
                place * (at + 2) + slot(live).unwrap_or(at + 1)
            }),
        };
        let busy = |loop_slot: &&usize| slot(loop_slot) != Some(at);
        let consumed = self.loops.iter().take_while(busy).count();
        place * (self.loops.len() + 1) + consumed
    }
}

/// For a number of slots and a position, the number of states at all positions before it. Each slot is empty or
/// holds a position up to the current position.
#[derive(Debug)]
struct StateCounts(Vec<Vec<u64>>);

impl StateCounts {
    fn new(most: usize, length: usize) -> Self {
        let of = |slots: usize| {
            let exponent = u32::try_from(slots).unwrap_or(u32::MAX);
            let mut sum = 0_u64;
            let mut sums = vec![0];
            for at in 0..=length as u64 {
                sum = sum.saturating_add((at + 2).saturating_pow(exponent));
                sums.push(sum);
            }
            sums
        };
        Self((0..=most).map(of).collect())
    }

    fn before(&self, slots: usize, at: usize) -> u64 {
        let sums = self.0.get(slots);
        sums.and_then(|sums| sums.get(at))
            .copied()
            .unwrap_or(u64::MAX)
    }
}

/// The first state of each instruction, for texts of a given length.
#[derive(Debug)]
pub(super) struct States {
    offsets: Vec<usize>,
    sums: StateCounts,
    total: usize,
}

impl States {
    /// `None` for a text that is too long.
    pub(super) fn of(program: &Program, length: usize) -> Option<Self> {
        if length >= usize::from(u16::MAX) - 2 {
            return None;
        }
        let slots = program.keys.iter().map(|key| match &key.live {
            LiveSlots::Span { .. } => 0,
            LiveSlots::Slots(slots) => slots.len(),
        });
        let sums = StateCounts::new(slots.max().unwrap_or_default(), length);
        let mut total = 0_u64;
        let mut offsets = Vec::with_capacity(program.keys.len());
        for key in &program.keys {
            offsets.push(usize::try_from(total).ok()?);
            total = total.saturating_add(key.before(length + 1, &sums));
        }
        let total = usize::try_from(total)
            .ok()
            .filter(|total| *total <= MAX_STATES)?;
        Some(Self {
            offsets,
            sums,
            total,
        })
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn index(
        &self,
        key: &StateKey,
        pc: usize,
        at: usize,
        slots: &[Option<usize>],
    ) -> Option<usize> {
        let before = usize::try_from(key.before(at, &self.sums)).ok()?;
        Some(self.offsets.get(pc)? + before + key.place(at, slots))
    }
}

/// Refuses a program that cannot be run on every possible name.
pub(super) fn check(program: &Program) -> Result<(), String> {
    match States::of(program, LONGEST_NAME) {
        Some(_) => Ok(()),
        None => Err(
            "a name of 255 characters could take it more than 12 million steps; use fewer \
             references, or references to groups of a fixed length, or lower counts"
                .to_owned(),
        ),
    }
}
