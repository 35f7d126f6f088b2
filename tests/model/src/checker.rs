//! A breadth-first checker of finite state machines.
//!
//! Why not stateright (0.31.0 of July 2025; it builds on Rust 1.95): its `eventually` is, by its own
//! documentation, not right on cycles and where paths join, which is everywhere in a protocol that
//! tries again; it has no "the end can still be reached from here", the liveness that is checked here;
//! and it brings an HTTP server, a concurrent map and 35 crates for 200 lines.
//!
//! States are distinguished by 64-bit fingerprints: among a million of them, two are equal by accident
//! with a probability of 3 in 10^8.

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    fmt::{self, Debug, Display},
    hash::{Hash, Hasher},
};

/// A protocol with its surroundings.
pub trait Model {
    type State: Clone + Hash + Debug;
    type Action: Copy + Display;

    fn initial(&self) -> Self::State;

    /// Every step that is possible in a state, with the state after it.
    fn steps(&self, state: &Self::State, to: &mut Vec<(Self::Action, Self::State)>);

    /// The name of an invariant that does not hold in a state.
    fn violated(&self, state: &Self::State) -> Option<&'static str>;

    /// Whether every path must still be able to reach the state.
    fn is_end(&self, state: &Self::State) -> bool;
}

/// All states have been visited, and every property holds.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    pub states: usize,
    pub transitions: usize,
    pub ends: usize,
    /// Steps to the state that is farthest from the first.
    pub depth: u32,
}

/// A shortest path to a state in which a property does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample {
    pub property: &'static str,
    pub actions: Vec<String>,
    pub last: String,
}

/// The property that the end can be reached from every state.
pub const REACHABLE: &str = "the end can be reached from every state";

/// Visits all states that can be reached.
///
/// # Errors
/// A shortest counterexample.
pub fn check<M: Model>(model: &M) -> Result<Holds, Counterexample> {
    let mut graph = Graph::default();
    let mut queue = VecDeque::new();
    let first = model.initial();
    graph.insert(fingerprint(&first), NONE);
    queue.push_back(first);
    let (mut at, mut steps) = (0, Vec::new());
    while let Some(state) = queue.pop_front() {
        if let Some(property) = model.violated(&state) {
            return Err(graph.counterexample(model, property, at));
        }
        if model.is_end(&state) {
            graph.ends.push(at);
        }
        model.steps(&state, &mut steps);
        for (_, next) in steps.drain(..) {
            let (to, new) = graph.insert(fingerprint(&next), at);
            graph.edges.push((to, at));
            if new {
                queue.push_back(next);
            }
        }
        at += 1;
    }
    match graph.first_without_end() {
        Some(at) => Err(graph.counterexample(model, REACHABLE, at)),
        None => Ok(graph.holds()),
    }
}

const NONE: u32 = u32::MAX;

fn fingerprint<S: Hash>(state: &S) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// States are numbers, in the order in which they were found.
#[derive(Default)]
struct Graph {
    numbers: HashMap<u64, u32>,
    fingerprints: Vec<u64>,
    /// The state from which each was found first.
    parents: Vec<u32>,
    depths: Vec<u32>,
    /// Each step as (to, from).
    edges: Vec<(u32, u32)>,
    ends: Vec<u32>,
}

impl Graph {
    /// The number of a state, and whether it is new.
    fn insert(&mut self, fingerprint: u64, parent: u32) -> (u32, bool) {
        if let Some(number) = self.numbers.get(&fingerprint) {
            return (*number, false);
        }
        let number = u32::try_from(self.parents.len()).unwrap_or(NONE);
        let depth = self
            .depths
            .get(parent as usize)
            .map_or(0, |depth| depth + 1);
        self.numbers.insert(fingerprint, number);
        self.fingerprints.push(fingerprint);
        self.parents.push(parent);
        self.depths.push(depth);
        (number, true)
    }

    /// Walks backwards from the ends. The first state that is not met has no path to an end.
    fn first_without_end(&mut self) -> Option<u32> {
        self.edges.sort_unstable();
        let mut reaches = vec![false; self.parents.len()];
        let mut open = self.ends.clone();
        while let Some(at) = open.pop() {
            let known = &mut reaches[at as usize];
            if !*known {
                *known = true;
                let begin = self.edges.partition_point(|(to, _)| *to < at);
                let before = self.edges[begin..].iter().take_while(|(to, _)| *to == at);
                open.extend(before.map(|(_, from)| *from));
            }
        }
        let first = reaches.iter().position(|reaches| !reaches)?;
        u32::try_from(first).ok()
    }

    /// Goes the way to a state once more, by fingerprints.
    fn counterexample<M: Model>(
        &self,
        model: &M,
        property: &'static str,
        at: u32,
    ) -> Counterexample {
        let mut way = vec![at];
        while let Some(parent) = way.last().map(|at| self.parents[*at as usize])
            && parent != NONE
        {
            way.push(parent);
        }
        let (mut state, mut actions, mut steps) = (model.initial(), Vec::new(), Vec::new());
        for number in way.iter().rev().skip(1) {
            steps.clear();
            model.steps(&state, &mut steps);
            let wanted = self.fingerprints[*number as usize];
            if let Some((action, next)) = steps.drain(..).find(|(_, s)| fingerprint(s) == wanted) {
                actions.push(action.to_string());
                state = next;
            }
        }
        Counterexample {
            property,
            actions,
            last: format!("{state:#?}"),
        }
    }

    fn holds(&self) -> Holds {
        Holds {
            states: self.parents.len(),
            transitions: self.edges.len(),
            ends: self.ends.len(),
            depth: self.depths.last().copied().unwrap_or_default(),
        }
    }
}

impl Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            states,
            transitions,
            ends,
            depth,
        } = self;
        write!(
            f,
            "{states} states, {transitions} steps, {ends} ends, depth {depth}"
        )
    }
}

impl Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "does not hold: {}", self.property)?;
        for (number, action) in (1..).zip(&self.actions) {
            writeln!(f, "{number:3}. {action}")?;
        }
        write!(f, "last state: {}", self.last)
    }
}
