//! A new name for a field, in its place: the order of fields stays.

use tidegate_plugin_sdk::bson::{elements, find, kind, range_in};

use crate::config::IfExists;
use crate::failure::Failure;
use crate::walk::{Part, Walk, check_depth};

#[derive(Debug)]
pub(crate) struct Rename {
    /// Where the field is: its parents, and its name.
    pub(crate) parents: Vec<Part>,
    pub(crate) from: Part,
    pub(crate) to: String,
    /// The paths before and after, for failures.
    pub(crate) from_path: String,
    pub(crate) to_path: String,
    pub(crate) if_exists: IfExists,
}

impl Rename {
    pub(crate) fn apply(&self, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut walk = Walk::new(document, out);
        if self.parents.is_empty() {
            self.in_document(&mut walk, document)?;
        } else {
            walk.fields(document, &self.parents, 1, &mut |walk, place| {
                self.in_value(
                    walk,
                    place.element.kind,
                    place.element.value,
                    place.depth + 1,
                )
            })?;
        }
        Ok(walk.edit.finish())
    }

    fn in_value<'a>(
        &self,
        walk: &mut Walk<'a>,
        of: u8,
        value: &'a [u8],
        depth: usize,
    ) -> Result<(), Failure> {
        check_depth(depth)?;
        match (of, self.from.position) {
            (kind::DOCUMENT, _) => self.in_document(walk, value),
            (kind::ARRAY, Some(position)) if elements(value)?.nth(position).is_some() => {
                Err(Failure::NoName {
                    path: self.from_path.clone(),
                })
            }
            (kind::ARRAY, None) => walk.within(value, |walk, _position, inner| {
                self.in_value(walk, inner.kind, inner.value, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    fn in_document<'a>(&self, walk: &mut Walk<'a>, document: &'a [u8]) -> Result<(), Failure> {
        let from = std::str::from_utf8(&self.from.name).unwrap_or_default();
        if find(document, from)?.is_none() {
            return Ok(());
        }
        match self.if_exists {
            IfExists::Replace => {}
            _ if find(document, &self.to)?.is_none() => {}
            IfExists::Keep => return Ok(()),
            IfExists::Fail => {
                return Err(Failure::Exists {
                    path: self.to_path.clone(),
                });
            }
        }
        walk.within(document, |walk, _position, element| {
            if element.is_named(&self.from.name) {
                let name = range_in(walk.document(), element.name);
                walk.edit.replace(name, |out| {
                    out.extend_from_slice(self.to.as_bytes());
                    true
                });
            } else if element.is_named(self.to.as_bytes()) {
                walk.edit.remove(range_in(walk.document(), element.raw));
            }
            Ok(())
        })
    }
}
