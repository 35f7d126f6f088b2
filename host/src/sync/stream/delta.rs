//! Update statements that give the same bytes as an update on the source.
//!
//! The stream carries the source's own oplog entry of an update (`showRawUpdateDescription`): the
//! difference of two documents. Unlike the public `updateDescription`, it tells fields that are new
//! or moved to the end from fields that changed in place, array elements from fields with numeric
//! names, and paths from names with a dot. The server applies it in `$_internalApplyOplogUpdate`,
//! as a secondary does, so nothing is interpreted here.
//!
//! The most frequent differences are fields that changed in place and fields that were removed,
//! also in embedded documents. They are written as `$set` and `$unset`, which are equivalent and
//! cost the destination a third less.

use crate::model::raw::{Element, Malformed, Writer, elements, find, kind};

/// The format of oplog updates since 5.0.
const OPLOG_VERSION: [u8; 4] = 2_i32.to_le_bytes();

/// An update that gives the same document as on the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delta<'a> {
    /// Top-level fields that changed in place, and removed fields.
    Operators {
        changed: Option<&'a [u8]>,
        removed: Option<&'a [u8]>,
    },
    /// Like `Operators`, with fields of embedded documents: the whole difference.
    Paths { difference: &'a [u8], paths: Paths },
    /// The oplog entry, for any other update.
    Oplog(&'a [u8]),
}

/// The operators that a difference needs when it is written with paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Paths {
    sets: bool,
    unsets: bool,
    /// Bytes of the operators.
    bytes: usize,
}

/// The most bytes of paths, relative to the bytes of the difference. More means that long names of
/// documents are repeated many times.
const PATHS_PER_DIFFERENCE: usize = 4;
/// The most bytes of paths. An oplog entry of 16 MiB still fits into a command, and not four times.
const MAX_PATHS: usize = 4 << 20;

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
        let difference = difference.ok_or(Malformed)?;
        let (mut changed, mut removed) = (None, None);
        for section in elements(difference)? {
            let section = section?;
            match section.name {
                b"u" if are_plain(section.value)? => changed = Some(section.value),
                b"d" if are_plain(section.value)? => removed = Some(section.value),
                _ => return Self::by_paths(description, difference).map(Some),
            }
        }
        Ok(Some(Self::Operators { changed, removed }))
    }

    fn by_paths(description: &'a [u8], difference: &'a [u8]) -> Result<Self, Malformed> {
        let mut paths = Paths::default();
        let is_whole = paths.add(difference, 0)?;
        let is_short = paths.bytes <= MAX_PATHS.min(PATHS_PER_DIFFERENCE * difference.len());
        if is_whole && is_short && (paths.sets || paths.unsets) {
            return Ok(Self::Paths { difference, paths });
        }
        Ok(Self::Oplog(description))
    }

    /// Whether the update changed nothing.
    pub(super) fn is_empty(&self) -> bool {
        matches!(
            self,
            Self::Operators {
                changed: None,
                removed: None
            }
        )
    }

    /// The approximate size of its statement in bytes.
    pub(super) fn bytes(&self) -> usize {
        const FRAME: usize = 96;
        let length = |part: &Option<&[u8]>| part.map_or(0, <[u8]>::len);
        FRAME
            + match self {
                Self::Operators { changed, removed } => length(changed) + length(removed),
                Self::Paths { paths, .. } => paths.bytes,
                Self::Oplog(description) => description.len(),
            }
    }

    /// Writes the field `u` of its update statement.
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
            Self::Paths { difference, paths } => {
                let update = writer.begin(kind::DOCUMENT, b"u");
                let operators = [
                    (paths.sets, b"$set".as_slice(), b"u"),
                    (paths.unsets, b"$unset", b"d"),
                ];
                for (_, operator, section) in operators.iter().filter(|(is_needed, ..)| *is_needed)
                {
                    let fields = writer.begin(kind::DOCUMENT, operator);
                    write_paths(writer, difference, *section, &mut Vec::new());
                    writer.end(fields);
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

impl Paths {
    /// Adds a difference of the document at a path of `prefix` bytes. Returns `false` if paths
    /// cannot express it: the difference of an array, or of a document with new fields, has other
    /// sections.
    fn add(&mut self, difference: &[u8], prefix: usize) -> Result<bool, Malformed> {
        for section in elements(difference)? {
            let section = section?;
            let is_said = match section.name {
                b"u" | b"d" => {
                    self.add_fields(&section, prefix)?;
                    are_plain(section.value)?
                }
                name => match embedded(name, &section) {
                    Some((name, document)) => self.add(document, prefix + name.len() + 1)?,
                    None => false,
                },
            };
            if !is_said {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add_fields(&mut self, section: &Element<'_>, prefix: usize) -> Result<(), Malformed> {
        let fields = elements(section.value)?.count();
        self.bytes += section.value.len() + fields * prefix;
        let of_operator = match section.name {
            b"u" => &mut self.sets,
            _ => &mut self.unsets,
        };
        *of_operator |= fields > 0;
        Ok(())
    }
}

/// The name and the difference of an embedded document, if this is its section. The names of such
/// sections begin with `s`.
fn embedded<'a>(name: &'a [u8], section: &Element<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let name = name.strip_prefix(b"s").filter(|name| is_plain(name))?;
    Some((name, section.as_document()?))
}

/// Writes the fields of a section (`u` or `d`) of a difference and of the differences inside it,
/// each by its path.
fn write_paths(writer: &mut Writer, difference: &[u8], section: &[u8], path: &mut Vec<u8>) {
    // The difference has been read without errors before.
    for part in elements(difference).into_iter().flatten().flatten() {
        let length = path.len();
        if part.name == section {
            for field in elements(part.value).into_iter().flatten().flatten() {
                path.extend_from_slice(field.name);
                writer.value(field.kind, path, field.value);
                path.truncate(length);
            }
        } else if let Some((name, document)) = embedded(part.name, &part) {
            path.extend_from_slice(name);
            path.push(b'.');
            write_paths(writer, document, section, path);
            path.truncate(length);
        }
    }
}

/// Whether an update operator takes each of these names literally, and not as a path.
fn are_plain(fields: &[u8]) -> Result<bool, Malformed> {
    for field in elements(fields)? {
        if !is_plain(field?.name) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_plain(name: &[u8]) -> bool {
    !(name.is_empty() || name.starts_with(b"$") || name.contains(&b'.'))
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
            rawdoc! { "sn": { "i": { "x": 1 } } },
            rawdoc! { "sn": { "u": { "x": 1 } }, "i": { "b": 1 } },
            rawdoc! { "sn": { "u": { "x.y": 1 } } },
            rawdoc! { "sn.m": { "u": { "x": 1 } } },
            rawdoc! { "sn": {} },
            rawdoc! { "sv": { "a": true, "l": 3 } },
            rawdoc! { "sv": { "a": true, "u0": 3 } },
            rawdoc! { "sn": { "sv": { "a": true, "s0": { "u": { "x": 1 } } } } },
            long_paths(),
        ] {
            let stage = doc! { "oplogUpdate": { "$v": 2, "diff": Document::try_from(&difference).unwrap() } };
            assert_eq!(
                statement(difference),
                doc! { "u": [{ "$_internalApplyOplogUpdate": stage }] }
            );
        }
    }

    /// A long document name, repeated for many short field names.
    fn long_paths() -> RawDocumentBuf {
        let fields: Document = (0..100).map(|n| (n.to_string(), n.into())).collect();
        let mut difference = Document::new();
        difference.insert(format!("s{}", "n".repeat(200)), doc! { "u": fields });
        RawDocumentBuf::try_from(&difference).unwrap()
    }

    #[test]
    fn fields_of_embedded_documents_are_operators_on_paths() {
        assert_eq!(
            statement(
                rawdoc! { "u": { "a": 1 }, "sn": { "u": { "x": 1, "0": 2 }, "sm": { "d": { "y": false } } } }
            ),
            doc! { "u": { "$set": { "a": 1, "n.x": 1, "n.0": 2 }, "$unset": { "n.m.y": false } } }
        );
        assert_eq!(
            statement(rawdoc! { "ss": { "ss": { "d": { "s": false } } } }),
            doc! { "u": { "$unset": { "s.s.s": false } } }
        );
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
