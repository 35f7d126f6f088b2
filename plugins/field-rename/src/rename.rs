//! Renames a field in place: the order of fields stays.

use tidegate_plugin_sdk::bson::{elements, find, kind, range_in};
use tidegate_plugin_sdk::walk::{Paths, Walk, check_depth};

use crate::config::ConflictPolicy;
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct RenameRule {
    /// The path to the documents with the field; `None` for the top level.
    pub(crate) parents: Option<Paths<()>>,
    pub(crate) from: String,
    /// The position that the name denotes in an array.
    pub(crate) position: Option<usize>,
    pub(crate) to: String,
    /// The paths before and after, for failures.
    pub(crate) from_path: String,
    pub(crate) to_path: String,
    pub(crate) if_exists: ConflictPolicy,
}

impl RenameRule {
    pub(crate) fn apply(&self, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut walk = Walk::new(document, out);
        match &self.parents {
            None => self.in_document(&mut walk, document)?,
            Some(parents) => walk.follow(parents, &mut |walk, place, ()| {
                let element = place.element;
                self.in_value(walk, element.kind, element.value, place.depth + 1)
            })?,
        }
        Ok(walk.finish())
    }

    fn in_value<'a>(
        &self,
        walk: &mut Walk<'a>,
        of: u8,
        value: &'a [u8],
        depth: usize,
    ) -> Result<(), Failure> {
        check_depth(depth)?;
        match (of, self.position) {
            (kind::DOCUMENT, _) => self.in_document(walk, value),
            (kind::ARRAY, Some(position)) if elements(value)?.nth(position).is_some() => {
                Err(Failure::NoName {
                    path: self.from_path.clone(),
                })
            }
            (kind::ARRAY, None) => walk.each(value, |walk, _position, inner| {
                self.in_value(walk, inner.kind, inner.value, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    fn in_document<'a>(&self, walk: &mut Walk<'a>, document: &'a [u8]) -> Result<(), Failure> {
        if find(document, &self.from)?.is_none() {
            return Ok(());
        }
        match self.if_exists {
            ConflictPolicy::Replace => {}
            _ if find(document, &self.to)?.is_none() => {}
            ConflictPolicy::Keep => return Ok(()),
            ConflictPolicy::Fail => {
                return Err(Failure::Exists {
                    path: self.to_path.clone(),
                });
            }
        }
        walk.each(document, |walk, _position, element| {
            if element.is_named(self.from.as_bytes()) {
                let name = range_in(walk.document(), element.name);
                walk.edit().replace(name, |out| {
                    out.extend_from_slice(self.to.as_bytes());
                    true
                });
            } else if element.is_named(self.to.as_bytes()) {
                let range = range_in(walk.document(), element.raw);
                walk.edit().remove(range);
            }
            Ok(())
        })
    }
}
