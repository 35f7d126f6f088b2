//! Turns an update event into update statements that give the same bytes.
//!
//! The event does not say which of its fields are new. The server appends new
//! fields in the order of their names, and an update on the source may have
//! appended them in another. So the fields are set in runs of ascending names,
//! in the order of the event: within a run both orders agree, and a field that
//! existed stays where it is.
//!
//! Everything that could be read in two ways is left to a look-up of the
//! document: dotted paths unless the server says that none is ambiguous
//! (`disambiguatedPaths`, from 6.1 on), numeric names, names that an update
//! operator would not take, truncated arrays, and a field both removed and set.

use std::collections::HashSet;

use crate::model::raw::{Element, Malformed, Writer, elements, kind};

/// An update as statements, or `None` if only a look-up gives the same document.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    removed: Vec<&'a [u8]>,
    /// Each run becomes one statement.
    runs: Vec<Vec<Element<'a>>>,
}

impl<'a> Delta<'a> {
    /// Reads an update description (MongoDB manual, "update Event").
    pub(super) fn of(description: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let (mut updated, mut removed, mut truncated, mut ambiguous) = (None, None, None, None);
        for element in elements(description)? {
            let element = element?;
            match element.name {
                b"updatedFields" => updated = Some(element.value),
                b"removedFields" => removed = Some(element.value),
                b"truncatedArrays" => truncated = Some(element.value),
                b"disambiguatedPaths" => ambiguous = Some(element.value),
                _ => return Ok(None),
            }
        }
        let is_empty =
            |document: Option<&[u8]>| document.is_none_or(|document| document.len() <= 5);
        if !is_empty(truncated) || !is_empty(ambiguous) {
            return Ok(None);
        }
        let (Some(updated), Some(removed)) = (updated, removed) else {
            return Ok(None);
        };
        Self::read(updated, removed, ambiguous.is_some())
    }

    fn read(
        updated: &'a [u8],
        removed: &'a [u8],
        dots_are_paths: bool,
    ) -> Result<Option<Self>, Malformed> {
        let mut delta = Self::default();
        let mut names = HashSet::new();
        for element in elements(updated)? {
            let element = element?;
            if !is_plain(element.name, dots_are_paths) {
                return Ok(None);
            }
            names.insert(element.name);
            match delta.runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| last.name < element.name) => {
                    run.push(element)
                }
                _ => delta.runs.push(vec![element]),
            }
        }
        for element in elements(removed)? {
            let name = element?.as_str().ok_or(Malformed)?.as_bytes();
            if !is_plain(name, dots_are_paths)
                || names.contains(name)
                || dots_are_paths && name.contains(&b'.')
            {
                return Ok(None);
            }
            delta.removed.push(name);
        }
        Ok(Some(delta))
    }

    /// About what its statements take in a command.
    pub(super) fn bytes(&self) -> usize {
        let set: usize = self
            .runs
            .iter()
            .flatten()
            .map(|element| element.name.len() + element.value.len() + 2)
            .sum();
        let unset: usize = self.removed.iter().map(|name| name.len() + 3).sum();
        set + unset + 64 * self.statements()
    }

    /// The number of statements; 0 if the update changed nothing.
    pub(super) fn statements(&self) -> usize {
        self.runs.len().max(usize::from(!self.removed.is_empty()))
    }

    /// Writes the update document of statement `number`: removals go with the first.
    pub(super) fn write(&self, number: usize, writer: &mut Writer) {
        let update = writer.begin(kind::DOCUMENT, b"u");
        if number == 0 && !self.removed.is_empty() {
            let unset = writer.begin(kind::DOCUMENT, b"$unset");
            for name in &self.removed {
                writer.value(kind::BOOLEAN, name, &[1]);
            }
            writer.end(unset);
        }
        if let Some(run) = self.runs.get(number) {
            let set = writer.begin(kind::DOCUMENT, b"$set");
            for element in run {
                writer.value(element.kind, element.name, element.value);
            }
            writer.end(set);
        }
        writer.end(update);
    }
}

/// True if `$set` on this path can mean one thing only.
fn is_plain(path: &[u8], dots_are_paths: bool) -> bool {
    let plain_name = |name: &[u8]| {
        name.first()
            .is_some_and(|first| *first != b'$' && !first.is_ascii_digit())
    };
    match path.contains(&b'.') {
        false => plain_name(path),
        true => dots_are_paths && path.split(|byte| *byte == b'.').all(plain_name),
    }
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::*;

    fn statements(description: &RawDocumentBuf) -> Option<Vec<RawDocumentBuf>> {
        let delta = Delta::of(description.as_bytes()).unwrap()?;
        let written = (0..delta.statements()).map(|number| {
            let mut writer = Writer::continuing(RawDocumentBuf::new().into_bytes());
            delta.write(number, &mut writer);
            let statement = RawDocumentBuf::from_bytes(writer.finish()).unwrap();
            statement.get_document("u").unwrap().to_owned()
        });
        Some(written.collect())
    }

    #[test]
    fn ascending_names_are_one_statement() {
        let update = rawdoc! { "updatedFields": { "a": 1, "b": [1] }, "removedFields": ["c"], "truncatedArrays": [] };
        let expected = rawdoc! { "$unset": { "c": true }, "$set": { "a": 1, "b": [1] } };
        assert_eq!(statements(&update).unwrap(), [expected]);
    }

    #[test]
    fn other_orders_are_set_in_the_order_of_the_event() {
        let update =
            rawdoc! { "updatedFields": { "z": 1, "b": 2, "m": 3, "a": 4 }, "removedFields": [] };
        let expected = [
            rawdoc! { "$set": { "z": 1 } },
            rawdoc! { "$set": { "b": 2, "m": 3 } },
            rawdoc! { "$set": { "a": 4 } },
        ];
        assert_eq!(statements(&update).unwrap(), expected);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_looked_up() {
        for update in [
            rawdoc! { "updatedFields": { "a.b": 1 }, "removedFields": [] },
            rawdoc! { "updatedFields": { "0": 1 }, "removedFields": [] },
            rawdoc! { "updatedFields": { "$x": 1 }, "removedFields": [] },
            rawdoc! { "updatedFields": { "": 1 }, "removedFields": [] },
            rawdoc! { "updatedFields": { "a": 1 }, "removedFields": ["a"] },
            rawdoc! { "updatedFields": { "a.0": 1 }, "removedFields": [], "disambiguatedPaths": {} },
            rawdoc! { "updatedFields": { "a.b": 1 }, "removedFields": [], "disambiguatedPaths": { "a.b": ["a.b"] } },
            rawdoc! { "updatedFields": {}, "removedFields": [], "truncatedArrays": [{ "field": "a", "newSize": 1 }] },
            rawdoc! { "updatedFields": {}, "removedFields": [], "somethingNew": 1 },
        ] {
            assert_eq!(statements(&update), None, "{update:?}");
        }
    }

    #[test]
    fn dotted_paths_are_deltas_when_the_server_says_that_they_are_paths() {
        let update = rawdoc! { "updatedFields": { "a.b": 1, "a.c": 2 }, "removedFields": [], "disambiguatedPaths": {} };
        assert_eq!(
            statements(&update).unwrap(),
            [rawdoc! { "$set": { "a.b": 1, "a.c": 2 } }]
        );
    }
}
