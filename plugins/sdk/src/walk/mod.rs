//! A single pass over a document along dotted paths, with changes.
//!
//! A path leads through documents by name. In an array a number is a position, and any other part applies to
//! every element, including those of nested arrays. Each document and each array is a level, as on the server.
//!
//! ```
//! use tidegate_plugin_sdk::bson::path::Path;
//! use tidegate_plugin_sdk::walk::{Paths, Walk, WalkError};
//!
//! /// Appends `document` without the fields at `paths`, unless it has none of them.
//! fn without(document: &[u8], paths: &Paths<()>, out: &mut Vec<u8>) -> Result<bool, WalkError> {
//!     let mut walk = Walk::new(document, out);
//!     walk.follow(paths, &mut |walk, place, ()| {
//!         walk.remove(&place);
//!         Ok::<(), WalkError>(())
//!     })?;
//!     Ok(walk.finish())
//! }
//!
//! let path = Path::parse("a.b")?;
//! let paths = Paths::new([(path.parts(), ())]);
//! let document = b"\x10\0\0\0\x03a\0\x08\0\0\0\x0ab\0\0\0";
//! let mut out = Vec::new();
//! assert_eq!(without(document, &paths, &mut out), Ok(true));
//! assert_eq!(out, b"\x0d\0\0\0\x03a\0\x05\0\0\0\0\0");
//! # Ok::<(), String>(())
//! ```

mod paths;

use std::fmt;

use raw_bson::{Element, MAX_DEPTH, Malformed, Value, append, elements, kind, range_in};

use crate::edit::Edit;

use paths::Node;
pub use paths::{Paths, position};

const NULL: Value<'_> = Value {
    kind: kind::NULL,
    bytes: &[],
};

/// The reason why a document cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// The bytes are not BSON.
    Malformed,
    /// Documents and arrays nest deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl From<Malformed> for WalkError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the document is not valid BSON"),
            Self::TooDeep => write!(f, "the document nests deeper than {MAX_DEPTH} levels"),
        }
    }
}

impl std::error::Error for WalkError {}

/// The kind of value that an element belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// The element is a field with a name.
    Document,
    /// The element's name is its position.
    Array,
}

/// An element that a path leads to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The element.
    pub element: Element<'a>,
    /// The kind of value that holds the element.
    pub container: Container,
    /// The level of the element, starting with 1 at the top of the document.
    pub depth: usize,
}

impl<'a> Place<'a> {
    /// The place of an element of the array at this place.
    #[inline]
    pub fn within(&self, element: Element<'a>) -> Self {
        Self {
            element,
            container: Container::Array,
            depth: self.depth + 1,
        }
    }
}

/// A document that is walked and changed in the same pass. Changes must be in document order, as for [`Edit`].
#[derive(Debug)]
pub struct Walk<'a> {
    document: &'a [u8],
    edit: Edit<'a>,
}

impl<'a> Walk<'a> {
    /// Starts a walk that appends the changed document to `out`.
    #[inline]
    pub fn new(document: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            document,
            edit: Edit::new(document, out),
        }
    }

    /// The unchanged document.
    #[inline]
    pub fn document(&self) -> &'a [u8] {
        self.document
    }

    /// The underlying edit, for changes to a part of an element.
    #[inline]
    pub fn edit(&mut self) -> &mut Edit<'a> {
        &mut self.edit
    }

    /// Copies the rest of the document, unless nothing changed. Returns whether anything did.
    #[inline]
    pub fn finish(self) -> bool {
        self.edit.finish()
    }

    /// Calls `visit` with each element at the end of a path, and with the path's value, in document order.
    ///
    /// # Errors
    ///
    /// An error of `visit`, or a [`WalkError`] on the way.
    #[inline]
    pub fn follow<T, E: From<WalkError>>(
        &mut self,
        paths: &Paths<T>,
        visit: &mut impl FnMut(&mut Self, Place<'a>, &T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.fields(paths, self.document, 1, visit)
    }

    #[inline]
    fn fields<T, E: From<WalkError>>(
        &mut self,
        paths: &Paths<T>,
        document: &'a [u8],
        depth: usize,
        visit: &mut impl FnMut(&mut Self, Place<'a>, &T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(document, |walk, _position, element| {
            let Some(node) = paths.field(&element) else {
                return Ok(());
            };
            let container = Container::Document;
            let place = Place {
                element,
                container,
                depth,
            };
            walk.node(node, place, visit)
        })
    }

    fn node<T, E: From<WalkError>>(
        &mut self,
        node: &Node<T>,
        place: Place<'a>,
        visit: &mut impl FnMut(&mut Self, Place<'a>, &T) -> Result<(), E>,
    ) -> Result<(), E> {
        match node {
            Node::End(value) => visit(self, place, value),
            Node::Branch(paths) => self.enter(paths, &place.element, place.depth + 1, visit),
        }
    }

    /// Follows paths below an element.
    fn enter<T, E: From<WalkError>>(
        &mut self,
        paths: &Paths<T>,
        element: &Element<'a>,
        depth: usize,
        visit: &mut impl FnMut(&mut Self, Place<'a>, &T) -> Result<(), E>,
    ) -> Result<(), E> {
        if paths.is_empty() {
            return Ok(());
        }
        check_depth(depth)?;
        match element.kind {
            kind::DOCUMENT => self.fields(paths, element.value, depth, visit),
            kind::ARRAY => self.each(element.value, |walk, position, inner| {
                let Some(node) = paths.position(position) else {
                    return walk.enter(paths.elements(), &inner, depth + 1, visit);
                };
                let container = Container::Array;
                let place = Place {
                    element: inner,
                    container,
                    depth,
                };
                walk.node(node, place, visit)
            }),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with each element of `value`, a document or array inside the walked document, and with its
    /// position. The stored length of `value` is corrected afterwards.
    ///
    /// # Errors
    ///
    /// An error of `visit`, or a malformed element.
    #[inline]
    pub fn each<E: From<WalkError>>(
        &mut self,
        value: &'a [u8],
        mut visit: impl FnMut(&mut Self, usize, Element<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let range = range_in(self.document, value);
        let entered = self.edit.enter(range.start);
        for (position, element) in elements(value).map_err(WalkError::from)?.enumerate() {
            visit(self, position, element.map_err(WalkError::from)?)?;
        }
        self.edit.leave(&entered, range.end);
        Ok(())
    }

    /// Removes a field. An element of an array becomes null instead, like by the server's `$unset`, so that
    /// other elements keep their positions.
    pub fn remove(&mut self, place: &Place<'a>) {
        match place.container {
            Container::Document => {
                let range = range_in(self.document, place.element.raw);
                self.edit.remove(range);
            }
            Container::Array => self.put_null(&place.element),
        }
    }

    /// Replaces an element's value by null.
    pub fn put_null(&mut self, element: &Element<'a>) {
        self.put(element, NULL);
    }

    /// Replaces an element's value, under the same name.
    pub fn put(&mut self, element: &Element<'a>, value: Value<'_>) {
        self.replace(element, |out| {
            write_head(value.kind, element.name, out);
            append(out, value.bytes);
            true
        });
    }

    /// Replaces a whole element (type, name and value) by the bytes that `write` appends, unless `write`
    /// returns false. Returns the result of `write`.
    pub fn replace(
        &mut self,
        element: &Element<'a>,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let range = range_in(self.document, element.raw);
        self.edit.replace(range, write)
    }
}

/// Appends the type and name of an element, which precede its value.
#[inline]
pub fn write_head(kind: u8, name: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    append(out, name);
    out.push(0);
}

/// Checks a level against the server's limit.
///
/// # Errors
///
/// [`WalkError::TooDeep`].
#[inline]
pub fn check_depth(depth: usize) -> Result<(), WalkError> {
    if depth > MAX_DEPTH {
        Err(WalkError::TooDeep)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
