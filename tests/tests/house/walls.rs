//! Walls inside a folder: its files and sub-folders import each other in one direction.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{ModulePath, Source};

/// Arrows among the children of a folder, with an example of each.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// The circles of every folder, each as its arrows. A folder's own `mod.rs` is no child: it wires the others.
pub(crate) fn circles(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, arrows) in &folders(source) {
        for circle in knots(arrows) {
            let ties: Vec<String> = circle
                .iter()
                .flat_map(|from| arrows.get(from).into_iter().flatten())
                .filter(|(to, _)| circle.contains(*to))
                .map(|(_, example)| format!("  {example}"))
                .collect();
            let place = ["crate"]
                .into_iter()
                .chain(folder.iter().map(String::as_str));
            let place: Vec<&str> = place.collect();
            let members: Vec<&str> = circle.iter().map(String::as_str).collect();
            found.push(format!(
                "{}: {} import each other in a circle\n{}",
                place.join("::"),
                members.join(", "),
                ties.join("\n")
            ));
        }
    }
    found
}

fn folders(source: &Source) -> BTreeMap<ModulePath, Arrows> {
    let mut folders: BTreeMap<ModulePath, Arrows> = BTreeMap::new();
    for (from, module) in &source.modules {
        for path in module.paths() {
            let Some(to) = source.resolve(from, path) else {
                continue;
            };
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                let example = format!("{} -> {}", from.join("::"), path.join("::"));
                let arrows = folders
                    .entry(from.iter().take(common).cloned().collect())
                    .or_default();
                let arrows = arrows.entry(a.clone()).or_default();
                arrows.entry(b.clone()).or_insert(example);
            }
        }
    }
    folders
}

/// The sets of two or more children that reach each other.
fn knots(arrows: &Arrows) -> BTreeSet<BTreeSet<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = arrows
        .keys()
        .map(|from| (from, reachable(arrows, from)))
        .collect();
    reach
        .iter()
        .map(|(from, reached)| {
            let back = |to: &&&String| reach.get(**to).is_some_and(|of| of.contains(from));
            reached
                .iter()
                .filter(back)
                .map(|to| (*to).clone())
                .collect()
        })
        .filter(|knot: &BTreeSet<String>| knot.len() > 1)
        .collect()
}

fn reachable<'a>(arrows: &'a Arrows, from: &'a String) -> BTreeSet<&'a String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for to in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to) {
                open.push(to);
            }
        }
    }
    reached
}

/// Files outside `mongo/` that name the driver.
pub(crate) fn driver_outside(source: &Source) -> Vec<String> {
    let outside = source
        .modules
        .iter()
        .filter(|(path, _)| path.first().is_none_or(|room| room != "mongo"));
    outside
        .flat_map(|(_, module)| {
            let named = |path: &&Vec<String>| path.first().is_some_and(|first| first == "mongodb");
            let named = module.paths().filter(named);
            named.map(|path| format!("{}: {}", module.file.display(), path.join("::")))
        })
        .collect()
}
