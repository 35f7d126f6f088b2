//! Paths as a tree over their parts, so that any number of paths takes a single pass.

use raw_bson::Element;

/// The continuation of a path after its first parts.
#[derive(Clone, Debug)]
pub(super) enum Node<T> {
    /// The path ends.
    End(T),
    /// The path continues.
    Branch(Paths<T>),
}

/// Dotted paths, each with a value, compiled for [`Walk::follow`](super::Walk::follow).
///
/// In a document a part is a name. In an array a number is a position, and any other part applies to every
/// element. If two paths lead to the same element, the path with the position applies.
#[derive(Clone, Debug)]
pub struct Paths<T> {
    fields: Vec<(Box<[u8]>, Node<T>)>,
    /// A bit for each length of the names in `fields`.
    lengths: u64,
    positions: Vec<(usize, Node<T>)>,
    /// The paths for elements whose position no path names; `None` if no path names any position, so that these
    /// same paths apply.
    elements: Option<Box<Paths<T>>>,
}

impl<T: Clone> Paths<T> {
    /// Compiles paths, given by their parts. If a path is a prefix of another, only the first of the two
    /// counts.
    pub fn new<'p>(paths: impl IntoIterator<Item = (&'p [String], T)>) -> Self {
        let mut root = Self::empty();
        for (parts, value) in paths {
            root.add(parts, value);
        }
        root.compile();
        root
    }

    fn empty() -> Self {
        Self {
            fields: Vec::new(),
            lengths: 0,
            positions: Vec::new(),
            elements: None,
        }
    }

    fn add(&mut self, parts: &[String], value: T) {
        let Some((first, rest)) = parts.split_first() else {
            return;
        };
        let found = self
            .fields
            .iter()
            .position(|(name, _)| name.as_ref() == first.as_bytes());
        let node = match found.and_then(|at| self.fields.get_mut(at)) {
            Some((_, Node::Branch(paths))) => return paths.add(rest, value),
            Some((_, Node::End(_))) => return,
            None if rest.is_empty() => Node::End(value),
            None => {
                let mut paths = Self::empty();
                paths.add(rest, value);
                Node::Branch(paths)
            }
        };
        self.fields.push((first.as_bytes().into(), node));
    }

    /// Computes the derived fields, recursively.
    fn compile(&mut self) {
        self.lengths = self
            .fields
            .iter()
            .fold(0, |bits, (name, _)| bits | length_bit(name));
        let (numbered, named): (Vec<_>, Vec<_>) = self
            .fields
            .iter()
            .cloned()
            .partition(|(name, _)| position(name).is_some());
        if !numbered.is_empty() {
            let mut everywhere = Self {
                fields: named,
                ..Self::empty()
            };
            self.positions = numbered
                .into_iter()
                .filter_map(|(name, node)| Some((position(&name)?, node.joined(&everywhere))))
                .collect();
            self.positions
                .iter_mut()
                .for_each(|(_, node)| node.compile());
            everywhere.compile();
            self.elements = Some(Box::new(everywhere));
        }
        self.fields.iter_mut().for_each(|(_, node)| node.compile());
    }
}

impl<T> Paths<T> {
    /// Whether all paths end before here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The continuation for a field of a document.
    #[inline]
    pub(super) fn field(&self, element: &Element<'_>) -> Option<&Node<T>> {
        if self.lengths & length_bit(element.name) == 0 {
            return None;
        }
        let found = self.fields.iter().find(|(name, _)| element.is_named(name));
        found.map(|(_, node)| node)
    }

    /// The continuation for the array element at a position, if a path names the position.
    #[inline]
    pub(super) fn position(&self, position: usize) -> Option<&Node<T>> {
        let found = self.positions.iter().find(|(known, _)| *known == position);
        found.map(|(_, node)| node)
    }

    /// The paths for all other elements of an array.
    #[inline]
    pub(super) fn elements(&self) -> &Self {
        self.elements.as_deref().unwrap_or(self)
    }
}

impl<T: Clone> Node<T> {
    fn compile(&mut self) {
        if let Self::Branch(paths) = self {
            paths.compile();
        }
    }

    /// The continuation for a position, extended by the paths for every element. The position takes precedence,
    /// as the more specific of the two.
    fn joined(self, everywhere: &Paths<T>) -> Self {
        let Self::Branch(mut paths) = self else {
            return self;
        };
        for (name, node) in &everywhere.fields {
            let found = paths.fields.iter().position(|(known, _)| known == name);
            match (found.map(|at| paths.fields.swap_remove(at)), node) {
                (None, _) => paths.fields.push((name.clone(), node.clone())),
                (Some((name, own)), Self::Branch(general)) => {
                    paths.fields.push((name, own.joined(general)));
                }
                (Some(own), Self::End(_)) => paths.fields.push(own),
            }
        }
        Self::Branch(paths)
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// The position that a part of a path denotes: a number without leading zeros, as in the names of array
/// elements.
pub fn position(name: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(name).ok()?;
    let position = text.parse().ok()?;
    (usize::to_string(&position) == text).then_some(position)
}
