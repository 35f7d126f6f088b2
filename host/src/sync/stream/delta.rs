//! Turns an update event into an update statement that gives the same bytes.
//!
//! The stream carries the source's own oplog entry of an update
//! (`showRawUpdateDescription`): the difference of two documents. Unlike the
//! public `updateDescription` it tells fields that are new, or moved to the end,
//! from those that changed in place, array elements from fields with numeric
//! names, and paths from names that hold a dot. The server applies it to a
//! document in `$_internalApplyOplogUpdate`, as a secondary does, so nothing is
//! interpreted here.
//!
//! The most frequent differences, fields that changed in place and fields that
//! were removed, are written as `$set` and `$unset`, which say the same and cost
//! the destination a quarter less.

use crate::model::raw::{Malformed, Writer, elements, find, kind};

/// The format of oplog updates from 5.0 on.
const OPLOG_VERSION: [u8; 4] = 2_i32.to_le_bytes();

/// An update that gives the same document as on the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delta<'a> {
    /// Top-level fields that changed in place, and those that were removed.
    Operators {
        changed: Option<&'a [u8]>,
        removed: Option<&'a [u8]>,
    },
    /// Anything else: the oplog entry.
    Oplog(&'a [u8]),
}

impl<'a> Delta<'a> {
    /// Reads a raw update description, `{$v: 2, diff: {…}}`; `None` if only a look-up gives the
    /// same document.
    pub(super) fn of(description: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let version = find(description, "$v")?;
        if version
            .is_none_or(|version| version.kind != kind::INT32 || version.value != OPLOG_VERSION)
        {
            return Ok(None);
        }
        let difference = find(description, "diff")?.and_then(|difference| difference.as_document());
        let (mut changed, mut removed) = (None, None);
        for section in elements(difference.ok_or(Malformed)?)? {
            let section = section?;
            match section.name {
                b"u" if are_plain(section.value)? => changed = Some(section.value),
                b"d" if are_plain(section.value)? => removed = Some(section.value),
                _ => return Ok(Some(Self::Oplog(description))),
            }
        }
        Ok(Some(Self::Operators { changed, removed }))
    }

    /// True if the update changed nothing.
    pub(super) fn is_empty(&self) -> bool {
        matches!(
            self,
            Self::Operators {
                changed: None,
                removed: None
            }
        )
    }

    /// About what its statement takes in a command.
    pub(super) fn bytes(&self) -> usize {
        const FRAME: usize = 96;
        let length = |part: &Option<&[u8]>| part.map_or(0, <[u8]>::len);
        FRAME
            + match self {
                Self::Operators { changed, removed } => length(changed) + length(removed),
                Self::Oplog(description) => description.len(),
            }
    }

    /// Writes the update, `u`, of its statement.
    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Operators { changed, removed } => {
                let update = writer.begin(kind::DOCUMENT, b"u");
                for (operator, fields) in [(b"$set".as_slice(), changed), (b"$unset", removed)] {
                    if let Some(fields) = fields {
                        writer.value(kind::DOCUMENT, operator, fields);
                    }
                }
                writer.end(update);
            }
            Self::Oplog(description) => {
                let pipeline = writer.begin(kind::ARRAY, b"u");
                let element = writer.begin(kind::DOCUMENT, b"0");
                let stage = writer.begin(kind::DOCUMENT, b"$_internalApplyOplogUpdate");
                writer.value(kind::DOCUMENT, b"oplogUpdate", description);
                writer.end(stage);
                writer.end(element);
                writer.end(pipeline);
            }
        }
    }
}

/// True if an update operator takes each of these names for itself, not for a path.
fn are_plain(fields: &[u8]) -> Result<bool, Malformed> {
    for field in elements(fields)? {
        let name = field?.name;
        if name.is_empty() || name.starts_with(b"$") || name.contains(&b'.') {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bson::{Document, RawDocumentBuf, doc, rawdoc};

    use super::*;

    fn statement(difference: RawDocumentBuf) -> Document {
        let description = rawdoc! { "$v": 2, "diff": difference };
        let delta = Delta::of(description.as_bytes()).unwrap().unwrap();
        let mut writer = Writer::continuing(RawDocumentBuf::new().into_bytes());
        delta.write(&mut writer);
        bson::deserialize_from_slice(&writer.finish()).unwrap()
    }

    #[test]
    fn fields_changed_in_place_and_removed_are_operators() {
        assert_eq!(
            statement(rawdoc! { "u": { "z": 1, "a": [1], "0": 2 } }),
            doc! { "u": { "$set": { "z": 1, "a": [1], "0": 2 } } }
        );
        assert_eq!(
            statement(rawdoc! { "d": { "c": false }, "u": { "a": 1 } }),
            doc! { "u": { "$set": { "a": 1 }, "$unset": { "c": false } } }
        );
    }

    #[test]
    fn everything_else_is_the_oplog_entry() {
        for difference in [
            rawdoc! { "i": { "a": 1 } },
            rawdoc! { "u": { "a": 1 }, "i": { "b": 1 } },
            rawdoc! { "u": { "a.b": 1 } },
            rawdoc! { "u": { "": 1 } },
            rawdoc! { "d": { "$x": false } },
            rawdoc! { "sn": { "u": { "x": 1 } } },
            rawdoc! { "sv": { "a": true, "l": 3 } },
        ] {
            let stage = doc! { "oplogUpdate": { "$v": 2, "diff": Document::try_from(&difference).unwrap() } };
            assert_eq!(
                statement(difference),
                doc! { "u": [{ "$_internalApplyOplogUpdate": stage }] }
            );
        }
    }

    #[test]
    fn a_difference_of_nothing_is_empty_and_other_versions_are_looked_up() {
        let delta = |description: &RawDocumentBuf| {
            Delta::of(description.as_bytes())
                .unwrap()
                .map(|delta| delta.is_empty())
        };
        assert_eq!(delta(&rawdoc! { "$v": 2, "diff": {} }), Some(true));
        assert_eq!(
            delta(&rawdoc! { "$v": 2, "diff": { "u": { "a": 1 } } }),
            Some(false)
        );
        assert_eq!(
            delta(&rawdoc! { "$v": 3, "diff": { "u": { "a": 1 } } }),
            None
        );
        assert_eq!(delta(&rawdoc! { "$set": { "a": 1 } }), None);
    }
}
