//! The code of a component, and the comparison of two codes regardless of names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tokens::{Item, Name, Role};

/// All items of a component, from all of its files.
#[derive(Default)]
pub(super) struct Code {
    /// By shape; items of the same shape in reading order.
    items: BTreeMap<String, Vec<Vec<Name>>>,
    /// Names with a definition in this code.
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

    /// Adds an embedded file that is not Rust.
    pub(super) fn add_file(&mut self, path: &Path, bytes: &[u8]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let shape = format!("{name}: {}", String::from_utf8_lossy(bytes));
        self.items.entry(shape).or_default().push(Vec::new());
    }
}

/// Describes the first difference. `None` if the codes differ only in names that each defines itself, and that
/// correspond one to one everywhere.
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
    // Names of equal items correspond to themselves, before any other item is compared.
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

/// The items of a shape that have different names in the two codes, in order. Names of equal items are recorded
/// in `everywhere`.
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

/// A one-to-one correspondence of names.
#[derive(Default)]
struct Renames {
    forward: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Renames {
    /// Whether `old` corresponds to `new`. Records the pair if both are unknown.
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

/// The start of an item, for a message.
fn shown(shape: &str, names: Option<&Vec<Name>>) -> String {
    const WORDS: usize = 24;
    let mut names = names.into_iter().flatten();
    let words = shape.split(' ').take(WORDS).map(|word| match word {
        "_" => names.next().map_or("_", |name| &name.text),
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
