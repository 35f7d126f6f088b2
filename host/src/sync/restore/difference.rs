//! Differences between two clusters in a collection's options and indexes.

use std::collections::{BTreeMap, BTreeSet};

use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf, raw::CStr, rawdoc};

use super::relaxation::relaxed_index;
use crate::{
    mongo,
    sync::{Error, catalog::time_series},
};

/// The names of the options in which two collections differ.
pub(crate) fn options(a: &RawDocument, b: &RawDocument) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    for (one, other) in [(a, b), (b, a)] {
        for option in one {
            let (name, value) = option.map_err(mongo::Error::Bson)?;
            let same = other.get(name).map_err(mongo::Error::Bson)? == Some(value)
                || is_default(name.as_str(), value);
            if !same {
                names.insert(name.as_str().to_owned());
            }
        }
    }
    Ok(names)
}

/// Whether the value is a default that `collMod` stores and `create` leaves out.
fn is_default(option: &str, value: RawBsonRef<'_>) -> bool {
    matches!(
        (option, value.as_str()),
        ("validationLevel", Some("strict")) | ("validationAction", Some("error"))
    )
}

/// The options of a `collMod` that brings a collection from `found` to `wanted`; empty if none
/// differs that `collMod` can change.
pub(crate) fn changes(wanted: &RawDocument, found: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let mut changes = RawDocumentBuf::new();
    for option in options(wanted, found)? {
        let name = <&CStr>::try_from(option.as_str()).map_err(mongo::Error::Bson)?;
        let value = wanted.get(&option).map_err(mongo::Error::Bson)?;
        if let (Some(series), "timeseries") = (value, option.as_str()) {
            changes.append(name, time_series::modification(series)?);
            continue;
        }
        let Some(absent) = when_absent(&option) else {
            continue;
        };
        match value {
            Some(value) => changes.append(name, value),
            None => changes.append(name, absent),
        }
    }
    Ok(changes)
}

/// The `collMod` value that stands for a missing option; `None` for options that `collMod` cannot
/// change (MongoDB manual, "collMod").
fn when_absent(option: &str) -> Option<RawBson> {
    Some(match option {
        "validator" => rawdoc! {}.into(),
        "validationLevel" => "strict".into(),
        "validationAction" => "error".into(),
        "changeStreamPreAndPostImages" => rawdoc! { "enabled": false }.into(),
        "expireAfterSeconds" => "off".into(),
        _ => return None,
    })
}

/// Whether two index specifications differ only in relaxed settings and in the order of options.
pub(crate) fn is_same_but_relaxed(a: &RawDocument, b: &RawDocument) -> bool {
    let fields = |index| {
        let mut fields = fields(&relaxed_index(index).ok()?)?;
        fields.remove("expireAfterSeconds");
        Some(fields)
    };
    matches!((fields(a), fields(b)), (Some(a), Some(b)) if a == b)
}

/// Whether two index specifications are equivalent.
pub(crate) fn is_same_index(a: &RawDocument, b: &RawDocument) -> bool {
    matches!((fields(a), fields(b)), (Some(a), Some(b)) if a == b)
}

/// The meaningful fields of an index specification. A setting that is off may also be missing, and
/// the namespace of old servers (`ns`) has no meaning.
fn fields(index: &RawDocument) -> Option<BTreeMap<String, RawBson>> {
    let mut fields = BTreeMap::new();
    for field in index {
        let (name, value) = field.ok()?;
        let value = match value {
            RawBsonRef::Boolean(false) => continue,
            _ if name == "ns" => continue,
            // Seconds, as any type of number.
            RawBsonRef::Int32(n) if name == "expireAfterSeconds" => RawBson::Int64(n.into()),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the server counts whole seconds"
            )]
            RawBsonRef::Double(n) if name == "expireAfterSeconds" => RawBson::Int64(n as i64),
            value => value.into(),
        };
        fields.insert(name.as_str().to_owned(), value);
    }
    Some(fields)
}

/// The differences of a collection's indexes from the source's, by index name.
pub(crate) fn indexes(
    wanted: &[RawDocumentBuf],
    found: &[RawDocumentBuf],
) -> BTreeMap<String, &'static str> {
    let name = |index: &RawDocumentBuf| index.get_str("name").unwrap_or_default().to_owned();
    let found: BTreeMap<_, _> = found.iter().map(|index| (name(index), index)).collect();
    let mut differences: BTreeMap<_, _> = found
        .keys()
        .map(|name| (name.clone(), "is not on the source"))
        .collect();
    for index in wanted {
        let name = name(index);
        match found.get(&name) {
            None => differences.insert(name, "is missing"),
            Some(found) if is_same_index(index, found) => differences.remove(&name),
            Some(_) => differences.insert(name, "differs from the source's"),
        };
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_one_side_lacks_or_has_otherwise_differ() {
        let source = rawdoc! { "validator": { "a": 1 }, "capped": true, "size": 4096, "collation": { "locale": "fr" } };
        let found = rawdoc! { "validator": { "a": 2 }, "capped": true, "size": 8192, "validationLevel": "moderate" };
        let names: Vec<_> = options(&source, &found).unwrap().into_iter().collect();
        assert_eq!(names, ["collation", "size", "validationLevel", "validator"]);
        assert!(when_absent("validator").is_some() && when_absent("collation").is_none());
    }

    #[test]
    fn indexes_that_differ_in_relaxed_settings_are_the_same_while_the_sync_runs() {
        let source = rawdoc! { "v": 2, "unique": true, "key": { "a": 1 }, "name": "a", "expireAfterSeconds": 5 };
        let relaxed =
            rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a", "expireAfterSeconds": i32::MAX };
        assert!(is_same_but_relaxed(&source, &relaxed) && !is_same_index(&source, &relaxed));
        let other_order = rawdoc! { "v": 2, "key": { "b": 1, "a": 1 }, "name": "a" };
        assert!(!is_same_but_relaxed(
            &rawdoc! { "v": 2, "key": { "a": 1, "b": 1 }, "name": "a" },
            &other_order
        ));
    }

    #[test]
    fn indexes_are_compared_by_name_and_field() {
        let index = |name: &str, ttl: RawBson| rawdoc! { "key": { "a": 1 }, "name": name, "expireAfterSeconds": ttl };
        let off = rawdoc! { "name": "off", "unique": false };
        let wanted = [
            index("ttl", 5.into()),
            index("other", 5.into()),
            rawdoc! { "name": "gone" },
            off,
        ];
        let found = [
            index("other", 6.into()),
            index("ttl", 5.0.into()),
            rawdoc! { "name": "extra" },
            rawdoc! { "name": "off" },
        ];
        let differences: Vec<_> = indexes(&wanted, &found).into_iter().collect();
        assert_eq!(
            differences,
            [
                ("extra".to_owned(), "is not on the source"),
                ("gone".to_owned(), "is missing"),
                ("other".to_owned(), "differs from the source's"),
            ]
        );
    }
}
