//! The rules as a tree over the parts of their paths: one step a part.

use std::sync::Arc;

use tidegate_plugin_sdk::bson::Element;

use crate::rules::Rule;

/// Where a path has led.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// To its end.
    Rule(Arc<Rule>),
    /// Further down.
    Branch(Branch),
}

/// What comes next on the paths that have led here. In a document it is a name;
/// in an array, a number is a position, and all else goes into every element.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branch {
    fields: Vec<(Box<[u8]>, Node)>,
    /// One bit for each length of a name that there is.
    lengths: u64,
    positions: Vec<(usize, Node)>,
    /// For elements without a position of their own; none: this same branch.
    elements: Option<Box<Branch>>,
}

impl Branch {
    pub(crate) fn new(rules: Vec<Arc<Rule>>) -> Self {
        let mut root = Self::default();
        for rule in rules {
            let parts: Vec<String> = rule.path.parts().to_vec();
            root.add(&parts, rule);
        }
        root.compile();
        root
    }

    fn add(&mut self, parts: &[String], rule: Arc<Rule>) {
        let Some((first, rest)) = parts.split_first() else {
            return;
        };
        let found = self
            .fields
            .iter()
            .position(|(name, _)| name.as_ref() == first.as_bytes());
        let node = match found.and_then(|at| self.fields.get_mut(at)) {
            Some((_, Node::Branch(branch))) => return branch.add(rest, rule),
            // Refused before: two rules on one path.
            Some((_, Node::Rule(_))) => return,
            None if rest.is_empty() => Node::Rule(rule),
            None => {
                let mut branch = Self::default();
                branch.add(rest, rule);
                Node::Branch(branch)
            }
        };
        self.fields.push((first.as_bytes().into(), node));
    }

    /// Sets up what is derived from the fields, here and further down.
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
                ..Self::default()
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

    /// What is next for a field of a document.
    #[inline]
    pub(crate) fn field(&self, element: &Element<'_>) -> Option<&Node> {
        if self.lengths & length_bit(element.name) == 0 {
            return None;
        }
        let found = self
            .fields
            .iter()
            .find(|(known, _)| element.is_named(known));
        found.map(|(_, node)| node)
    }

    /// What is next for the element of an array at a position of its own.
    pub(crate) fn position(&self, position: usize) -> Option<&Node> {
        let found = self.positions.iter().find(|(known, _)| *known == position);
        found.map(|(_, node)| node)
    }

    /// What goes into any other element of an array.
    pub(crate) fn elements(&self) -> &Self {
        self.elements.as_deref().unwrap_or(self)
    }
}

impl Node {
    fn compile(&mut self) {
        if let Self::Branch(branch) = self {
            branch.compile();
        }
    }

    /// What a position says, and below it what goes into every element. Where
    /// both say something, the position has it: it is the more exact one.
    fn joined(self, everywhere: &Branch) -> Self {
        let Self::Branch(mut branch) = self else {
            return self;
        };
        for (name, node) in &everywhere.fields {
            let found = branch.fields.iter().position(|(known, _)| known == name);
            match (found.map(|at| branch.fields.swap_remove(at)), node) {
                (None, _) => branch.fields.push((name.clone(), node.clone())),
                (Some((name, own)), Self::Branch(general)) => {
                    branch.fields.push((name, own.joined(general)));
                }
                (Some(own), Self::Rule(_)) => branch.fields.push(own),
            }
        }
        Self::Branch(branch)
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// The position that a part of a path is, as arrays write theirs.
fn position(name: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(name).ok()?;
    let position = text.parse().ok()?;
    (usize::to_string(&position) == text).then_some(position)
}
