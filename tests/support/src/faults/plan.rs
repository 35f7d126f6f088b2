//! Which runs there are: the commands of a recorded sync, each with each fault that fits.

use std::collections::{HashMap, HashSet};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{
    kind::{Kind, Side},
    name::{Name, Place},
};
use crate::proxy::Command;

/// Of commands that repeat, so many of each label, host and phase.
const OF_EACH: u64 = 2;
/// Of the others.
const OF_OTHERS: u64 = 4;

/// The runs of an enumeration, in their order.
#[derive(Clone, Debug)]
pub struct Plan(pub Vec<Name>);

impl Plan {
    /// All runs for the recorded commands.
    pub fn of(recorded: &[(Side, Command)]) -> Self {
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for (side, command) in recorded {
            let most = if repeats(command) { OF_EACH } else { OF_OTHERS };
            let place = Place::of(*side, command);
            if command.holder().is_none() || command.nth > most || !seen.insert(place.clone()) {
                continue;
            }
            let kinds = Kind::of(*side, command).into_iter();
            names.extend(kinds.map(|kind| Name {
                place: place.clone(),
                kind,
            }));
        }
        Self(names)
    }

    /// The runs that are played together, at most one of each phase. Runs that need three members are grouped
    /// separately.
    pub fn together(names: Vec<Name>) -> Vec<Vec<Name>> {
        let (three, one): (Vec<Name>, Vec<Name>) =
            names.into_iter().partition(|name| name.kind.needs_three());
        [one, three].into_iter().flat_map(by_phase).collect()
    }

    /// So many of them, drawn by a seed: of each kind as many as of the others.
    pub fn sample(mut self, number: usize, seed: u64) -> Self {
        self.0.shuffle(&mut StdRng::seed_from_u64(seed));
        let mut rounds: HashMap<String, usize> = HashMap::new();
        let mut ranked: Vec<(usize, Name)> = Vec::new();
        for name in self.0 {
            let round = rounds.entry(name.kind.name()).or_default();
            *round += 1;
            ranked.push((*round, name));
        }
        ranked.sort_by_key(|(round, _)| *round);
        ranked.truncate(number);
        Self(ranked.into_iter().map(|(_, name)| name).collect())
    }
}

fn by_phase(names: Vec<Name>) -> Vec<Vec<Name>> {
    let mut phases: Vec<(String, Vec<Name>)> = Vec::new();
    for name in names {
        match phases
            .iter_mut()
            .find(|(phase, _)| *phase == name.place.phase)
        {
            Some((_, names)) => names.push(name),
            None => phases.push((name.place.phase.clone(), vec![name])),
        }
    }
    let longest = phases.iter().map(|(_, names)| names.len()).max();
    let mut groups = vec![Vec::new(); longest.unwrap_or_default()];
    for (_, names) in phases {
        // Spread out, so that a sync has about as many faults as the others.
        let (count, all) = (names.len(), groups.len());
        for (at, name) in names.into_iter().enumerate() {
            if let Some(group) = groups.get_mut(at * all / count) {
                group.push(name);
            }
        }
    }
    groups
}

/// Whether a host sends the command all the time, independent of the script.
fn repeats(command: &Command) -> bool {
    const OFTEN: [&str; 6] = [
        "getMore",
        "ping",
        "hello",
        "find metadata",
        "lease lease",
        "position",
    ];
    OFTEN.iter().any(|part| command.label.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_of_each_kind_and_its_seed_draws_it_again() {
        let mut names = Vec::new();
        for kind in Kind::all() {
            for nth in 1..20 {
                let name = format!(
                    "destination, DDL, host a, drop app.c #{nth}, {}",
                    kind.name()
                );
                names.push(name.parse().expect("a name"));
            }
        }
        let plan = Plan(names);
        let kinds = Kind::all().len();
        let drawn = |seed| {
            let names = plan.clone().sample(kinds * 3, seed).0.into_iter();
            names.map(|name| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        for kind in Kind::all() {
            let end = format!(", {}", kind.name());
            assert_eq!(
                drawn(1).iter().filter(|name| name.ends_with(&end)).count(),
                3
            );
        }
    }
}
