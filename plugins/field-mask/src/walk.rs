//! One pass over a document, along the tree of rules.

use std::ops::Range;

use tidegate_plugin_sdk::bson::path::Path;
use tidegate_plugin_sdk::bson::{
    Element, MAX_DEPTH, Malformed, Value, append, elements, kind, range_in,
};
use tidegate_plugin_sdk::edit::Edit;

use crate::action::{Action, Change};
use crate::rules::{Otherwise, Rule};
use crate::tree::{Branch, Node};

const NULL: Value<'_> = Value {
    kind: kind::NULL,
    bytes: &[],
};

/// Why a document cannot be masked. Says where and what type, never what.
#[derive(Debug)]
pub(crate) enum Failure {
    Malformed,
    TooDeep,
    WrongType {
        path: Path,
        kind: u8,
        action: &'static str,
    },
}

impl From<Malformed> for Failure {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("the document is not valid BSON"),
            Self::TooDeep => write!(f, "the document nests deeper than {MAX_DEPTH} levels"),
            Self::WrongType { path, kind, action } => write!(
                f,
                "`{path}` is a value of type {} that `{action}` is not for; say what happens to it with `otherwise` in the rule",
                kind::name_of(*kind)
            ),
        }
    }
}

/// Appends the masked document, unless nothing changes; says whether it does.
pub(crate) fn mask(rules: &Branch, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
    let mut walk = Walk {
        document,
        edit: Edit::new(document, out),
    };
    walk.fields(rules, document, 1)?;
    Ok(walk.edit.finish())
}

struct Walk<'a> {
    document: &'a [u8],
    edit: Edit<'a>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Holder {
    Document,
    Array,
}

impl<'a> Walk<'a> {
    #[inline]
    fn fields(&mut self, branch: &Branch, document: &'a [u8], depth: usize) -> Result<(), Failure> {
        let range = range_in(self.document, document);
        let entered = self.edit.enter(range.start);
        for element in elements(document)? {
            let element = element?;
            if let Some(node) = branch.field(&element) {
                self.node(node, &element, Holder::Document, depth)?;
            }
        }
        self.edit.leave(&entered, range.end);
        Ok(())
    }

    fn node(
        &mut self,
        node: &Node,
        element: &Element<'a>,
        holder: Holder,
        depth: usize,
    ) -> Result<(), Failure> {
        match node {
            Node::Rule(rule) => self.apply(rule, element, holder, depth),
            Node::Branch(branch) => self.into(branch, element, depth + 1),
        }
    }

    /// Goes on below a value, where there is something below.
    fn into(
        &mut self,
        branch: &Branch,
        element: &Element<'a>,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::TooDeep);
        }
        match element.kind {
            kind::DOCUMENT => self.fields(branch, element.value, depth),
            kind::ARRAY => self.each(element.value, |walk, position, inner| {
                match branch.position(position) {
                    Some(node) => walk.node(node, inner, Holder::Array, depth),
                    None => walk.into(branch.elements(), inner, depth + 1),
                }
            }),
            _ => Ok(()),
        }
    }

    fn each(
        &mut self,
        array: &'a [u8],
        mut visit: impl FnMut(&mut Self, usize, &Element<'a>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let range = range_in(self.document, array);
        let entered = self.edit.enter(range.start);
        for (position, element) in elements(array)?.enumerate() {
            visit(self, position, &element?)?;
        }
        self.edit.leave(&entered, range.end);
        Ok(())
    }

    fn apply(
        &mut self,
        rule: &Rule,
        element: &Element<'a>,
        holder: Holder,
        depth: usize,
    ) -> Result<(), Failure> {
        match &rule.action {
            Action::Drop => self.drop_value(element, holder),
            Action::Set(constant) => self.put(element, constant.value()),
            Action::Each(change) => return self.change(rule, change, element, holder, depth),
        }
        Ok(())
    }

    fn change(
        &mut self,
        rule: &Rule,
        change: &Change,
        element: &Element<'a>,
        holder: Holder,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::TooDeep);
        }
        match element.kind {
            kind::NULL => return Ok(()),
            kind::ARRAY => {
                return self.each(element.value, |walk, _position, inner| {
                    walk.change(rule, change, inner, Holder::Array, depth + 1)
                });
            }
            _ => {}
        }
        let value = range_in(self.document, element.value);
        if self
            .edit
            .replace(value, |out| change.write(element.as_value(), out))
        {
            return Ok(());
        }
        match rule.otherwise {
            Otherwise::Keep => {}
            Otherwise::Drop => self.drop_value(element, holder),
            Otherwise::Null => self.put(element, NULL),
            Otherwise::Fail => {
                return Err(Failure::WrongType {
                    path: rule.path.clone(),
                    kind: element.kind,
                    action: change.name(),
                });
            }
        }
        Ok(())
    }

    /// Takes a field out. An element of an array becomes null instead, as by the
    /// server's `$unset`, so that the others keep their positions.
    fn drop_value(&mut self, element: &Element<'a>, holder: Holder) {
        match holder {
            Holder::Document => self.edit.remove(self.range(element)),
            Holder::Array => self.put(element, NULL),
        }
    }

    /// Puts another value in place of an element's, under the same name.
    fn put(&mut self, element: &Element<'a>, value: Value<'_>) {
        self.edit.replace(self.range(element), |out| {
            out.push(value.kind);
            append(out, element.name);
            out.push(0);
            append(out, value.bytes);
            true
        });
    }

    fn range(&self, element: &Element<'a>) -> Range<usize> {
        range_in(self.document, element.raw)
    }
}
