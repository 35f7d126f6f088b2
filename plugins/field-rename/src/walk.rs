//! Following a path through a document that is changed on the way.

use tidegate_plugin_sdk::bson::path::Path;
use tidegate_plugin_sdk::bson::{Element, MAX_DEPTH, elements, kind, range_in};
use tidegate_plugin_sdk::edit::Edit;

use crate::failure::Failure;

/// One part of a path: a name in a document, and where it is a number, a
/// position in an array.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: Box<[u8]>,
    pub(crate) position: Option<usize>,
}

/// The parts of a path.
pub(crate) fn parts(path: &Path) -> Vec<Part> {
    let part = |name: &String| Part {
        name: name.as_bytes().into(),
        position: name
            .parse()
            .ok()
            .filter(|at: &usize| at.to_string() == *name),
    };
    path.parts().iter().map(part).collect()
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Document,
    Array,
}

/// A value that a path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) element: Element<'a>,
    pub(crate) holder: Holder,
    pub(crate) depth: usize,
}

type Visit<'a, 'v> = dyn FnMut(&mut Walk<'a>, Place<'a>) -> Result<(), Failure> + 'v;

/// A document that is walked and changed at once.
pub(crate) struct Walk<'a> {
    document: &'a [u8],
    pub(crate) edit: Edit<'a>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(document: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            document,
            edit: Edit::new(document, out),
        }
    }

    pub(crate) fn document(&self) -> &'a [u8] {
        self.document
    }

    /// Visits each value at the end of `parts`, from a document on: through an
    /// array into every element, or by a number to the one at its position.
    pub(crate) fn fields(
        &mut self,
        document: &'a [u8],
        parts: &[Part],
        depth: usize,
        visit: &mut Visit<'a, '_>,
    ) -> Result<(), Failure> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        self.within(document, |walk, _position, element| {
            if !element.is_named(&part.name) {
                return Ok(());
            }
            let holder = Holder::Document;
            walk.follow(
                Place {
                    element,
                    holder,
                    depth,
                },
                rest,
                visit,
            )
        })
    }

    fn follow(
        &mut self,
        place: Place<'a>,
        rest: &[Part],
        visit: &mut Visit<'a, '_>,
    ) -> Result<(), Failure> {
        if rest.is_empty() {
            visit(self, place)
        } else {
            self.into(&place.element, rest, place.depth + 1, visit)
        }
    }

    fn into(
        &mut self,
        element: &Element<'a>,
        parts: &[Part],
        depth: usize,
        visit: &mut Visit<'a, '_>,
    ) -> Result<(), Failure> {
        check_depth(depth)?;
        match (element.kind, parts.split_first()) {
            (kind::DOCUMENT, _) => self.fields(element.value, parts, depth, visit),
            (kind::ARRAY, Some((part, rest))) => {
                self.within(element.value, |walk, position, inner| match part.position {
                    Some(wanted) if wanted == position => {
                        let holder = Holder::Array;
                        walk.follow(
                            Place {
                                element: inner,
                                holder,
                                depth,
                            },
                            rest,
                            visit,
                        )
                    }
                    Some(_) => Ok(()),
                    None => walk.into(&inner, parts, depth + 1, visit),
                })
            }
            _ => Ok(()),
        }
    }

    /// Goes into a document or an array, and visits its elements.
    pub(crate) fn within(
        &mut self,
        document: &'a [u8],
        mut visit: impl FnMut(&mut Self, usize, Element<'a>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let range = range_in(self.document, document);
        let entered = self.edit.enter(range.start);
        for (position, element) in elements(document)?.enumerate() {
            visit(self, position, element?)?;
        }
        self.edit.leave(&entered, range.end);
        Ok(())
    }

    /// Takes a field out. An element of an array becomes null instead, as by the
    /// server's `$unset`, so that the others keep their positions.
    pub(crate) fn drop_value(&mut self, element: &Element<'a>, holder: Holder) {
        match holder {
            Holder::Document => self.edit.remove(range_in(self.document, element.raw)),
            Holder::Array => {
                self.replace(element, |out| {
                    write_head(kind::NULL, element.name, out);
                    true
                });
            }
        }
    }

    /// Puts what `write` appends in place of a whole element, unless it answers
    /// false.
    pub(crate) fn replace(
        &mut self,
        element: &Element<'a>,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let range = range_in(self.document, element.raw);
        self.edit.replace(range, write)
    }
}

/// What stands before an element's value.
pub(crate) fn write_head(kind: u8, name: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(name);
    out.push(0);
}

pub(crate) fn check_depth(depth: usize) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        Err(Failure::TooDeep)
    } else {
        Ok(())
    }
}
