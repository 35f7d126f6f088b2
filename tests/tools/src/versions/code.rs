//! The code of a component, and whether two are the same but for names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tokens::{Item, Name, Role};

/// All items that a component is built from, wherever they stand.
#[derive(Default)]
pub(super) struct Code {
    /// By shape; items of one shape in the order in which they were read.
    items: BTreeMap<String, Vec<Vec<Name>>>,
    /// Names that have a definition.
    defined: BTreeSet<String>,
}

impl Code {
    pub(super) fn add(&mut self, items: Vec<Item>) {
        for Item { shape, names } in items {
            let defines = |name: &&Name| matches!(name.role, Role::Definition | Role::Field);
            let defined = names.iter().filter(defines);
            self.defined.extend(defined.map(|name| name.text.clone()));
            self.items.entry(shape).or_default().push(names);
        }
    }

    /// Adds a file that is embedded as it is.
    pub(super) fn add_file(&mut self, path: &Path, bytes: &[u8]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let shape = format!("{name}: {}", String::from_utf8_lossy(bytes));
        self.items.entry(shape).or_default().push(Vec::new());
    }
}

/// The first difference in code, in words; none where the two differ in names alone, which each defines itself, and which stand
/// for one another everywhere.
pub(super) fn first_difference(before: &Code, now: &Code) -> Option<String> {
    let shapes = |code: &Code| -> BTreeMap<String, usize> {
        let items = code.items.iter();
        items
            .map(|(shape, items)| (shape.clone(), items.len()))
            .collect()
    };
    let (old, new) = (shapes(before), shapes(now));
    if let Some((shape, _)) = new
        .iter()
        .find(|(shape, count)| old.get(*shape) != Some(count))
    {
        let names = now.items.get(shape).and_then(|items| items.last());
        return Some(format!("New or changed: {}", shown(shape, names)));
    }
    if let Some(shape) = old.keys().find(|shape| !new.contains_key(*shape)) {
        let names = before.items.get(shape).and_then(|items| items.last());
        return Some(format!("Gone: {}", shown(shape, names)));
    }
    let mut everywhere = Renames::default();
    // Every name of an item that is the same stands for itself before any other is compared.
    let unequal: Vec<_> = before
        .items
        .iter()
        .map(|(shape, old)| (shape, unequal(old, now.items.get(shape), &mut everywhere)))
        .collect();
    for (shape, (old, new)) in unequal {
        for (old, new) in old.iter().zip(&new) {
            let mut within = Renames::default();
            for (old, new) in old.iter().zip(new) {
                let is_local = matches!(old.role, Role::Local | Role::Field);
                let is_own = is_local
                    || before.defined.contains(&old.text) && now.defined.contains(&new.text);
                let fits = (old.text == new.text || is_own)
                    && within.fit(&old.text, &new.text)
                    && (is_local || everywhere.fit(&old.text, &new.text));
                if !fits {
                    return Some(format!(
                        "`{}` is `{}` in: {}",
                        old.text,
                        new.text,
                        shown(shape, None)
                    ));
                }
            }
        }
    }
    None
}

/// The items of one shape whose names differ, in their order. Those of the others stand for themselves everywhere.
fn unequal(
    old: &[Vec<Name>],
    new: Option<&Vec<Vec<Name>>>,
    everywhere: &mut Renames,
) -> (Vec<Vec<Name>>, Vec<Vec<Name>>) {
    let mut new = new.cloned().unwrap_or_default();
    let mut rest = Vec::new();
    for names in old {
        let Some(at) = new.iter().position(|other| other == names) else {
            rest.push(names.clone());
            continue;
        };
        new.remove(at);
        let shared = names
            .iter()
            .filter(|name| !matches!(name.role, Role::Local | Role::Field));
        for Name { text, .. } in shared {
            let _ = everywhere.fit(text, text);
        }
    }
    (rest, new)
}

/// Names of one code and those that stand for them in the other, one to one.
#[derive(Default)]
struct Renames {
    forward: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Renames {
    /// Whether `new` can stand for `old`, which it does from then on.
    fn fit(&mut self, old: &str, new: &str) -> bool {
        let forward = self
            .forward
            .entry(old.to_owned())
            .or_insert_with(|| new.to_owned());
        let back = self
            .back
            .entry(new.to_owned())
            .or_insert_with(|| old.to_owned());
        forward == new && back == old
    }
}

/// The beginning of an item.
fn shown(shape: &str, names: Option<&Vec<Name>>) -> String {
    const WORDS: usize = 24;
    let mut names = names.into_iter().flatten();
    let words = shape.split(' ').take(WORDS).map(|word| match word {
        "_" => names.next().map_or("_", |name| &name.text),
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
