//! Relaxed collections and indexes.
//!
//! Documents are applied late and out of order, so nothing on the destination may refuse, expire or
//! evict them before commit. Unique indexes are not unique, TTL indexes expire in 68 years,
//! clustered collections never expire, hidden indexes are visible so that they can be made unique,
//! and capped collections are large. [`super::super::commit`] restores all of it.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use crate::{
    mongo::{self, write::CollectionRef},
    sync::{
        Error,
        catalog::{
            options::{is_capped, is_collated, is_on},
            time_series,
        },
    },
};

/// The largest size that the server accepts for a capped collection: 2^50 bytes.
pub(crate) const LARGE_CAPPED_BYTES: i64 = 1 << 50;

/// The relaxed `create` command for a collection or view.
///
/// `autoIndexId: true` has no effect, and the source shows it. The server refuses it together with an index of `_id`
/// (72).
pub(crate) fn create_command(name: &str, options: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let capped = is_capped(options);
    let has_id_index = matches!(options.get("idIndex"), Ok(Some(_)));
    let mut command = rawdoc! { "create": name };
    for option in options {
        let (key, value) = option.map_err(mongo::Error::Bson)?;
        match key.as_str() {
            "size" if capped => command.append(key, LARGE_CAPPED_BYTES),
            "max" if capped => {}
            "autoIndexId" if has_id_index => {}
            "uuid" | "temp" | "expireAfterSeconds" => {}
            _ => command.append(key, value),
        }
    }
    Ok(command)
}

/// The relaxed specification of an index, without its collation.
pub(crate) fn relaxed_index(index: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let mut spec = RawDocumentBuf::new();
    for option in index {
        let (key, value) = option.map_err(mongo::Error::Bson)?;
        match key.as_str() {
            "expireAfterSeconds" => spec.append(key, i32::MAX),
            "unique" | "prepareUnique" | "hidden" | "ns" => {}
            _ => spec.append(key, value),
        }
    }
    Ok(spec)
}

/// `index` with its explicit collation. `listIndexes` leaves out the simple collation, and a build
/// without a collation takes the collection's.
pub(crate) fn with_collation(options: &RawDocument, mut index: RawDocumentBuf) -> RawDocumentBuf {
    if is_collated(options) && matches!(index.get("collation"), Ok(None)) {
        index.append(bson::cstr!("collation"), rawdoc! { "locale": "simple" });
    }
    index
}

/// Whether the server accepts only one of two indexes while neither is unique. It tells indexes on
/// one key apart by collation, partial filter, `sparse` and `unique`.
fn exclude_each_other(a: &RawDocument, b: &RawDocument) -> bool {
    a.get_str("name").ok() != b.get_str("name").ok()
        && ["key", "collation", "partialFilterExpression"]
            .iter()
            .all(|field| a.get(field).ok() == b.get(field).ok())
        && is_on(a, "sparse") == is_on(b, "sparse")
}

/// Whether an index has to wait for commit: an index in `known` excludes it, or it is unique and an
/// index in `together` excludes it.
pub(crate) fn waits_for_commit(
    index: &RawDocument,
    known: &[RawDocumentBuf],
    together: &[RawDocumentBuf],
) -> bool {
    known.iter().any(|other| exclude_each_other(index, other))
        || is_on(index, "unique")
            && together
                .iter()
                .any(|other| exclude_each_other(index, other))
}

/// The relaxed specifications of `indexes` on a collection that already has `known`, without those
/// that have to wait for commit.
pub(crate) fn buildable_indexes(
    options: &RawDocument,
    indexes: &[RawDocumentBuf],
    known: &[RawDocumentBuf],
) -> Result<Vec<RawDocumentBuf>, Error> {
    let built = indexes
        .iter()
        .filter(|index| !waits_for_commit(index, known, indexes));
    built
        .map(|index| Ok(with_collation(options, relaxed_index(index)?)))
        .collect()
}

/// The command that builds indexes. An existing index is left alone, and a running build is joined.
///
/// The commit quorum is a majority, as for every other write. The default waits for all voting
/// members, so a member that is down would stop the build.
pub(crate) fn build_command(
    collection: &CollectionRef,
    specs: &[RawDocumentBuf],
) -> RawDocumentBuf {
    let mut indexes = bson::RawArrayBuf::new();
    for spec in specs {
        indexes.push(spec.clone());
    }
    let name = collection.namespace.collection.as_str();
    let mut command =
        rawdoc! { "createIndexes": name, "indexes": indexes, "commitQuorum": "majority" };
    collection.append_uuid(&mut command);
    command
}

/// Appends the changed options in a modify event's description to a `collMod` command, and returns
/// them. Index settings, capped sizes and expiry wait for commit.
pub(crate) fn append_modified(
    command: &mut RawDocumentBuf,
    description: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let mut changed = RawDocumentBuf::new();
    for option in description {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        if !["index", "cappedSize", "cappedMax", "expireAfterSeconds"].contains(&name.as_str()) {
            command.append(name, value);
            changed.append(name, value);
        }
    }
    Ok(changed)
}

/// The options of a collection after `collMod` has set those in `changed`.
pub(crate) fn merged_options(
    options: &RawDocument,
    changed: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let mut merged = RawDocumentBuf::new();
    for option in options {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        if matches!(changed.get(name.as_str()), Ok(None)) {
            merged.append(name, value);
        }
    }
    for option in changed {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        // `listCollections` leaves out an option that is turned off.
        let is_off = match value {
            RawBsonRef::Document(document) => {
                document.is_empty() || document.get_bool("enabled").is_ok_and(|enabled| !enabled)
            }
            _ => false,
        };
        match value {
            _ if is_off => {}
            RawBsonRef::Document(changed) if name == "timeseries" => {
                merged.append(name, time_series::merged(options, changed)?);
            }
            value => merged.append(name, value),
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relaxed_indexes_neither_refuse_nor_expire_nor_hide() {
        let index = rawdoc! {
            "v": 2, "key": { "b": 1, "a": -1 }, "name": "x", "unique": true, "hidden": true,
            "expireAfterSeconds": 10, "partialFilterExpression": { "z": 1, "a": 1 },
        };
        let expected = rawdoc! {
            "v": 2, "key": { "b": 1, "a": -1 }, "name": "x", "expireAfterSeconds": i32::MAX,
            "partialFilterExpression": { "z": 1, "a": 1 },
        };
        assert_eq!(relaxed_index(&index).unwrap(), expected);
    }

    #[test]
    fn of_two_indexes_on_one_key_the_unique_one_waits() {
        let index = |name: &str, unique: bool| rawdoc! { "key": { "a": 1 }, "name": name, "unique": unique };
        let options = rawdoc! {};
        let names = |indexes: &[RawDocumentBuf], known: &[RawDocumentBuf]| {
            let built = buildable_indexes(&options, indexes, known).unwrap();
            let names = built
                .iter()
                .map(|index| index.get_str("name").unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let (plain, unique) = (index("p", false), index("u", true));
        let sparse = rawdoc! { "key": { "a": 1 }, "name": "s", "sparse": true };
        let all = [unique.clone(), plain.clone(), sparse];
        assert_eq!(names(&all, &[]), ["p", "s"]);
        assert!(names(std::slice::from_ref(&plain), std::slice::from_ref(&unique)).is_empty());
        let unique = std::slice::from_ref(&unique);
        assert_eq!(names(unique, unique), ["u"]);
    }

    #[test]
    fn an_option_of_older_servers_arrives_where_the_server_takes_it() {
        let options = rawdoc! { "autoIndexId": true, "temp": true };
        let expected = rawdoc! { "create": "c", "autoIndexId": true };
        assert_eq!(create_command("c", &options).unwrap(), expected);
        let id_index = rawdoc! { "v": 1, "key": { "_id": 1 }, "name": "_id_" };
        let options = rawdoc! { "autoIndexId": true, "idIndex": id_index.clone() };
        let expected = rawdoc! { "create": "c", "idIndex": id_index };
        assert_eq!(create_command("c", &options).unwrap(), expected);
    }

    #[test]
    fn an_index_keeps_the_simple_collation_in_a_collection_that_has_another() {
        let french = rawdoc! { "collation": { "locale": "fr" } };
        let index = rawdoc! { "key": { "a": 1 }, "name": "a" };
        let built = with_collation(&french, index.clone());
        let simple = rawdoc! { "locale": "simple" };
        assert_eq!(built.get_document("collation").unwrap(), &*simple);
        assert_eq!(with_collation(&rawdoc! {}, index.clone()), index);
        let own = rawdoc! { "key": { "a": 1 }, "name": "a", "collation": { "locale": "de" } };
        assert_eq!(with_collation(&french, own.clone()), own);
    }

    #[test]
    fn capped_collections_are_created_large() {
        let options = rawdoc! { "capped": true, "size": 4096, "max": 10, "validator": { "a": 1 } };
        let command = create_command("c", &options).unwrap();
        assert_eq!(command.get_i64("size").unwrap(), LARGE_CAPPED_BYTES);
        assert!(command.get("max").unwrap().is_none() && command.get_document("validator").is_ok());
    }
}
