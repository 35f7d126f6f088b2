//! The comparison of a collection's form on two clusters: its kind, its options and its indexes.

use bson::{RawDocument, RawDocumentBuf};

use crate::{
    metadata::NamespaceKind,
    model::{
        Namespace,
        mismatch::{Mismatch, MismatchKind, MismatchSubject},
    },
    sync::{
        Error,
        restore::{difference, relaxation},
    },
};

/// Options that a sync relaxes until commit.
const RELAXED_OPTIONS: [&str; 3] = ["size", "max", "expireAfterSeconds"];

/// The settings that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strictness {
    /// Whether commit has restored views, options and indexes. Before, a sync leaves out views and indexes that wait
    /// for commit, and relaxes the others.
    pub(crate) is_committed: bool,
    /// Whether the destination has the source's indexes.
    pub(crate) has_indexes: bool,
}

/// A collection or view without its documents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CollectionForm<'a> {
    /// Collection or view.
    pub(crate) kind: NamespaceKind,
    /// The options that are data; for a view, as on the destination.
    pub(crate) options: &'a RawDocument,
    /// Without the `_id` index.
    pub(crate) indexes: &'a [RawDocumentBuf],
}

/// The mismatches between the forms of a namespace with these names on source and destination.
///
/// # Errors
/// Bytes of a server that are no document.
pub(crate) fn compare_forms(
    (source, destination): (&Namespace, &Namespace),
    wanted: Option<CollectionForm<'_>>,
    found: Option<CollectionForm<'_>>,
    strictness: Strictness,
) -> Result<Vec<Mismatch>, Error> {
    let mismatch = |subject, kind| Mismatch {
        source: source.shown(),
        destination: destination.shown(),
        subject,
        kind,
        path: None,
    };
    let whole = |kind| match kind {
        NamespaceKind::Collection => MismatchSubject::Collection,
        NamespaceKind::View => MismatchSubject::View,
    };
    let (wanted, found) = match (wanted, found) {
        (None, None) => return Ok(Vec::new()),
        (Some(wanted), None) if wanted.kind == NamespaceKind::View && !strictness.is_committed => {
            return Ok(Vec::new());
        }
        (Some(wanted), None) => {
            return Ok(vec![mismatch(whole(wanted.kind), MismatchKind::Missing)]);
        }
        (None, Some(found)) => return Ok(vec![mismatch(whole(found.kind), MismatchKind::Extra)]),
        (Some(wanted), Some(found)) => (wanted, found),
    };
    if wanted.kind != found.kind {
        return Ok(vec![mismatch(whole(wanted.kind), MismatchKind::Differs)]);
    }
    let mut mismatches = Vec::new();
    for option in difference::options(wanted.options, found.options)? {
        if strictness.is_committed || !RELAXED_OPTIONS.contains(&option.as_str()) {
            mismatches.push(mismatch(
                MismatchSubject::Option(option),
                MismatchKind::Differs,
            ));
        }
    }
    if strictness.has_indexes {
        let indexes = index_mismatches(wanted.indexes, found.indexes, strictness);
        mismatches.extend(
            indexes
                .into_iter()
                .map(|(name, kind)| mismatch(MismatchSubject::Index(name), kind)),
        );
    }
    Ok(mismatches)
}

/// The mismatches of two lists of indexes, by name.
fn index_mismatches(
    wanted: &[RawDocumentBuf],
    found: &[RawDocumentBuf],
    strictness: Strictness,
) -> Vec<(String, MismatchKind)> {
    let named = |indexes: &[RawDocumentBuf], name: &str| {
        let index = indexes
            .iter()
            .find(|index| index.get_str("name").ok() == Some(name));
        index.cloned()
    };
    let mut mismatches = Vec::new();
    for index in wanted {
        let name = index.get_str("name").unwrap_or_default();
        let kind = match named(found, name) {
            None if !strictness.is_committed
                && relaxation::waits_for_commit(index, &[], wanted) =>
            {
                continue;
            }
            None => MismatchKind::Missing,
            Some(found) if difference::is_same_index(index, &found) => continue,
            Some(found)
                if !strictness.is_committed && difference::is_same_but_relaxed(index, &found) =>
            {
                continue;
            }
            Some(_) => MismatchKind::Differs,
        };
        mismatches.push((name.to_owned(), kind));
    }
    for index in found {
        let name = index.get_str("name").unwrap_or_default();
        if named(wanted, name).is_none() {
            mismatches.push((name.to_owned(), MismatchKind::Extra));
        }
    }
    mismatches
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    const COMMITTED: Strictness = Strictness {
        is_committed: true,
        has_indexes: true,
    };
    const RUNNING: Strictness = Strictness {
        is_committed: false,
        has_indexes: true,
    };

    fn named(
        wanted: Option<CollectionForm<'_>>,
        found: Option<CollectionForm<'_>>,
        strictness: Strictness,
    ) -> Vec<String> {
        let name = Namespace::new("db", "c");
        let mismatches = compare_forms((&name, &name), wanted, found, strictness).unwrap();
        mismatches.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn options_and_indexes_are_compared_and_relaxed_settings_wait_for_commit() {
        let options = rawdoc! { "capped": true, "size": 4096, "validator": { "a": 1 } };
        let indexes = [
            rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a_1", "unique": true },
            rawdoc! { "v": 2, "key": { "b": 1 }, "name": "b_1" },
        ];
        let wanted = CollectionForm {
            kind: NamespaceKind::Collection,
            options: &options,
            indexes: &indexes,
        };
        let found_options = rawdoc! { "capped": true, "size": 8192, "validator": { "a": 2 } };
        let found_indexes = [
            rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a_1" },
            rawdoc! { "v": 2, "key": { "c": 1 }, "name": "c_1" },
        ];
        let found = CollectionForm {
            options: &found_options,
            indexes: &found_indexes,
            ..wanted
        };
        assert_eq!(
            named(Some(wanted), Some(found), COMMITTED),
            [
                "option of db.c (size) differs",
                "option of db.c (validator) differs",
                "index of db.c (a_1) differs",
                "index of db.c (b_1) missing",
                "index of db.c (c_1) extra",
            ]
        );
        assert_eq!(
            named(Some(wanted), Some(found), RUNNING),
            [
                "option of db.c (validator) differs",
                "index of db.c (b_1) missing",
                "index of db.c (c_1) extra",
            ]
        );
        let without = Strictness {
            has_indexes: false,
            ..RUNNING
        };
        assert_eq!(
            named(Some(wanted), Some(found), without),
            ["option of db.c (validator) differs"]
        );
    }

    #[test]
    fn whole_namespaces_are_missing_extra_or_of_another_kind() {
        let options = rawdoc! {};
        let form = |kind| {
            Some(CollectionForm {
                kind,
                options: &options,
                indexes: &[],
            })
        };
        let (collection, view) = (form(NamespaceKind::Collection), form(NamespaceKind::View));
        assert_eq!(
            named(collection, None, RUNNING),
            ["collection of db.c missing"]
        );
        assert_eq!(named(None, view, RUNNING), ["view of db.c extra"]);
        assert_eq!(named(view, collection, RUNNING), ["view of db.c differs"]);
        assert_eq!(named(view, None, COMMITTED), ["view of db.c missing"]);
        assert!(named(view, None, RUNNING).is_empty() && named(None, None, COMMITTED).is_empty());
    }
}
