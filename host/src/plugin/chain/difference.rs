//! The paths at which two documents differ.

use std::collections::{BTreeSet, HashMap};

use crate::model::raw::{self, Element, Malformed};

/// Most paths of a pair of documents.
const PATHS: usize = 20;
/// Most bytes of a path.
const PATH_BYTES: usize = 200;
/// The deepest level that is named. Deeper differences have the path of this level.
const LEVELS: usize = 20;
/// The path of documents whose fields differ in order or in number alone.
const ORDER: &str = "(order of fields)";

/// A document or array inside a document.
struct Place {
    path: String,
    is_array: bool,
    /// The levels below it that are named.
    levels: usize,
}

/// The paths at which the documents differ, such as `items[].price`. Empty for equal documents.
pub(super) fn paths(one: &[u8], other: &[u8]) -> Vec<String> {
    if one == other {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    // Both were validated: they are the source's, or a plugin's that the chain has accepted.
    let compared = compare(one, other, &Place::ROOT, &mut found);
    if compared.is_err() || found.is_empty() {
        found.insert(ORDER.to_owned());
    }
    found.into_iter().take(PATHS).collect()
}

fn compare(
    one: &[u8],
    other: &[u8],
    place: &Place,
    found: &mut BTreeSet<String>,
) -> Result<(), Malformed> {
    let (one, other) = (fields(one)?, fields(other)?);
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in names {
        if found.len() >= PATHS {
            return Ok(());
        }
        let path = place.path_of(name);
        match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) if one.kind == other.kind && one.value == other.value => {}
            (Some(one), Some(other)) => descend(one, other, path, place.levels, found)?,
            _ => {
                found.insert(path);
            }
        }
    }
    Ok(())
}

/// Adds the paths of two values that differ.
fn descend(
    one: &Element<'_>,
    other: &Element<'_>,
    path: String,
    levels: usize,
    found: &mut BTreeSet<String>,
) -> Result<(), Malformed> {
    let (one, other) = (one.as_value(), other.as_value());
    let documents = one.as_document().zip(other.as_document());
    let inner = documents.or_else(|| one.as_array().zip(other.as_array()));
    let before = found.len();
    if let Some((one, other)) = inner.filter(|_| levels > 0) {
        let place = match documents {
            Some(_) => Place {
                path,
                is_array: false,
                levels: levels - 1,
            },
            None => Place {
                path: format!("{path}[]"),
                is_array: true,
                levels: levels - 1,
            },
        };
        compare(one, other, &place, found)?;
        if found.len() == before {
            found.insert(place.path);
        }
    } else {
        found.insert(path);
    }
    Ok(())
}

fn fields(document: &[u8]) -> Result<HashMap<&[u8], Element<'_>>, Malformed> {
    raw::elements(document)?
        .map(|element| element.map(|element| (element.name, element)))
        .collect()
}

impl Place {
    const ROOT: Self = Self {
        path: String::new(),
        is_array: false,
        levels: LEVELS,
    };

    /// The path of a field. Elements of an array have the path of the array: their positions would make a path of each.
    fn path_of(&self, name: &[u8]) -> String {
        if self.is_array {
            return self.path.clone();
        }
        let name = String::from_utf8_lossy(name);
        let mut path = match self.path.as_str() {
            "" => name.into_owned(),
            above => format!("{above}.{name}"),
        };
        if path.len() > PATH_BYTES {
            path.truncate(path.floor_char_boundary(PATH_BYTES));
            path.push('…');
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn each_difference_has_its_path() {
        let one =
            rawdoc! { "_id": 1, "a": 1, "b": { "c": [1, { "d": 2 }], "e": f64::NAN }, "f": "x" };
        for (other, wanted) in [
            (one.clone(), &[][..]),
            (
                rawdoc! { "_id": 1, "a": 1_i64, "b": { "c": [1, { "d": 2 }], "e": f64::NAN }, "f": "x" },
                &["a"],
            ),
            (
                rawdoc! { "_id": 1, "a": 1, "b": { "c": [1, { "d": 3 }], "e": f64::NAN }, "f": "x" },
                &["b.c[].d"],
            ),
            (
                rawdoc! { "_id": 1, "a": 1, "b": { "c": [1], "e": 0.0 }, "g": "x" },
                &["b.c[]", "b.e", "f", "g"],
            ),
            (
                rawdoc! { "a": 1, "_id": 1, "b": { "c": [1, { "d": 2 }], "e": f64::NAN }, "f": "x" },
                &[ORDER],
            ),
            (
                rawdoc! { "_id": 1, "a": 1, "b": { "e": f64::NAN, "c": [1, { "d": 2 }] }, "f": "x" },
                &["b"],
            ),
        ] {
            assert_eq!(paths(one.as_bytes(), other.as_bytes()), wanted);
        }
    }

    #[test]
    fn paths_are_bounded() {
        let many: bson::Document = (0..100)
            .map(|n| (format!("{n:0>300}"), bson::Bson::Null))
            .collect();
        let many = bson::RawDocumentBuf::try_from(&many).expect("BSON");
        let found = paths(many.as_bytes(), rawdoc! {}.as_bytes());
        assert!(!found.is_empty() && found.len() <= PATHS);
        assert!(found.iter().all(|path| path.len() <= PATH_BYTES + 3));
        let mut deep = [rawdoc! { "x": 1 }, rawdoc! { "x": 2 }];
        for _ in 0..60 {
            deep = deep.map(|inner| rawdoc! { "x": inner });
        }
        let [one, other] = &deep;
        assert_eq!(paths(one.as_bytes(), other.as_bytes()).len(), 1);
    }
}
