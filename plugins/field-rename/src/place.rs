//! Moves and copies a field to another place, between documents only: an array on a path would lead to many
//! places, or to none.

use tidegate_plugin_sdk::bson::{Element, find, kind, range_in};
use tidegate_plugin_sdk::walk::{Walk, write_head};

use crate::config::ConflictPolicy;
use crate::failure::Failure;

/// A path whose parts are names.
#[derive(Debug)]
pub(crate) struct FieldPath {
    pub(crate) path: String,
    pub(crate) parts: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct PlaceRule {
    pub(crate) from: FieldPath,
    pub(crate) to: FieldPath,
    /// Whether the source field is removed.
    pub(crate) moves: bool,
    pub(crate) if_exists: ConflictPolicy,
}

impl PlaceRule {
    pub(crate) fn apply(&self, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        let Some(source) = self.source(document)? else {
            return Ok(false);
        };
        if !self.moves {
            return self.put(document, source, out);
        }
        let mut rest = Vec::with_capacity(document.len());
        let mut walk = Walk::new(document, &mut rest);
        remove(&mut walk, document, &self.from.parts)?;
        walk.finish();
        if !self.put(&rest, source, out)? {
            // Nothing was put, because the existing field stays or has the same value.
            if self.if_exists == ConflictPolicy::Keep {
                return Ok(false);
            }
            out.extend_from_slice(&rest);
        }
        Ok(true)
    }

    /// The field to move or copy, if it exists.
    fn source<'a>(&self, document: &'a [u8]) -> Result<Option<Element<'a>>, Failure> {
        let mut document = document;
        let mut parts = self.from.parts.iter();
        while let Some(name) = parts.next() {
            let Some(element) = find(document, name)? else {
                return Ok(None);
            };
            match element.kind {
                _ if parts.len() == 0 => return Ok(Some(element)),
                kind::DOCUMENT => document = element.value,
                kind::ARRAY => return Err(array_on_the_way(&self.from)),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn put(
        &self,
        document: &[u8],
        source: Element<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        let mut walk = Walk::new(document, out);
        self.put_in(&mut walk, document, &self.to.parts, source)?;
        Ok(walk.finish())
    }

    fn put_in<'a>(
        &self,
        walk: &mut Walk<'a>,
        document: &'a [u8],
        parts: &[String],
        source: Element<'_>,
    ) -> Result<(), Failure> {
        let Some((name, rest)) = parts.split_first() else {
            return Ok(());
        };
        let range = range_in(walk.document(), document);
        let entered = walk.edit().enter(range.start);
        match find(document, name)? {
            Some(element) if rest.is_empty() => self.put_over(walk, &element, source)?,
            Some(element) => match element.kind {
                kind::DOCUMENT => self.put_in(walk, element.value, rest, source)?,
                kind::ARRAY => return Err(array_on_the_way(&self.to)),
                kind => {
                    let path = self.to.path.clone();
                    return Err(Failure::NoDocument { path, kind });
                }
            },
            None => {
                let end = range.end.saturating_sub(1);
                walk.edit().replace(end..end, |out| {
                    append(name, rest, source, out);
                    true
                });
            }
        }
        walk.edit().leave(&entered, range.end);
        Ok(())
    }

    fn put_over<'a>(
        &self,
        walk: &mut Walk<'a>,
        existing: &Element<'a>,
        source: Element<'_>,
    ) -> Result<(), Failure> {
        match self.if_exists {
            ConflictPolicy::Keep => {}
            ConflictPolicy::Replace => {
                walk.replace(existing, |out| {
                    write_head(source.kind, existing.name, out);
                    out.extend_from_slice(source.value);
                    true
                });
            }
            ConflictPolicy::Fail => {
                return Err(Failure::Exists {
                    path: self.to.path.clone(),
                });
            }
        }
        Ok(())
    }
}

fn remove<'a>(walk: &mut Walk<'a>, document: &'a [u8], parts: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = parts.split_first() else {
        return Ok(());
    };
    let range = range_in(walk.document(), document);
    let entered = walk.edit().enter(range.start);
    match find(document, name)? {
        Some(element) if rest.is_empty() => {
            let range = range_in(walk.document(), element.raw);
            walk.edit().remove(range);
        }
        Some(element) => remove(walk, element.value, rest)?,
        None => {}
    }
    walk.edit().leave(&entered, range.end);
    Ok(())
}

/// Appends a field, inside new documents for all names but the last.
fn append(name: &str, rest: &[String], source: Element<'_>, out: &mut Vec<u8>) {
    let Some((next, tail)) = rest.split_first() else {
        write_head(source.kind, name.as_bytes(), out);
        out.extend_from_slice(source.value);
        return;
    };
    write_head(kind::DOCUMENT, name.as_bytes(), out);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    append(next, tail, source, out);
    out.push(0);
    let length = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_le_bytes());
    }
}

fn array_on_the_way(names: &FieldPath) -> Failure {
    Failure::ArrayOnTheWay {
        path: names.path.clone(),
    }
}
