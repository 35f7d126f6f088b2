//! Restores on the destination what was relaxed while the sync ran.
//!
//! The source's catalog is read again and the destination's is brought to it:
//! missing indexes are built, those that the source no longer has are dropped,
//! then unique, TTL and hidden settings, capped sizes and views are restored.
//! Nothing here stops at a failure: what cannot be restored is named. Every
//! step can be repeated, so a crash in between only means doing it again.

use std::collections::{BTreeSet, HashMap};

use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf, raw::CStr, rawdoc};
use futures::{StreamExt, stream};

use super::{
    Context, Error,
    catalog::{self, Entry},
    indexes,
};
use crate::{
    metadata::NamespaceKind,
    model::options::BuildIndexes,
    mongo::{self, DestinationDatabase, listing, write::CollectionRef},
    observe::failpoint,
};

/// Collections that are restored at the same time.
const PARALLEL: usize = 2;

/// What could not be restored, one sentence each, without a final stop.
type NotRestored = Vec<String>;

/// Restores everything and gives what could not be restored, by name.
pub(super) async fn restore(context: &Context) -> Result<NotRestored, Error> {
    let catalog = catalog::capture(&context.source, &context.scope).await?;
    let known = context.store.namespaces().await?;
    let known: HashMap<_, _> = known
        .iter()
        .map(|namespace| (namespace.id.as_str(), namespace))
        .collect();
    let (views, collections): (Vec<_>, Vec<_>) = catalog
        .entries
        .into_iter()
        .partition(|entry| entry.kind == NamespaceKind::View);
    let mut not_restored = stream::iter(collections)
        .map(|entry| {
            let synced = known
                .get(entry.document().id.as_str())
                .map(|namespace| indexes::on_destination(namespace));
            async move {
                match synced {
                    Some(collection) if collection.namespace == entry.destination => {
                        Collection::new(context, entry, collection).restore().await
                    }
                    _ => Ok(vec![format!(
                        "{} has changed on the source after commit",
                        entry.source
                    )]),
                }
            }
        })
        .buffer_unordered(PARALLEL)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<_>, Error>>()?
        .concat();
    for view in views {
        if let Err(error) = indexes::create_view(context, &view.document()).await {
            let error = indexes::unless_fenced(error)?;
            not_restored.push(format!("view {}: {error}", view.source));
        }
    }
    not_restored.sort();
    for what in &not_restored {
        tracing::warn!(what, "not restored");
    }
    Ok(not_restored)
}

struct Collection<'a> {
    context: &'a Context,
    entry: Entry,
    on_destination: CollectionRef,
    database: DestinationDatabase,
    not_restored: NotRestored,
}

impl<'a> Collection<'a> {
    fn new(context: &'a Context, entry: Entry, on_destination: CollectionRef) -> Self {
        let database = context.destination.database(&entry.destination.database);
        Self {
            context,
            entry,
            on_destination,
            database,
            not_restored: Vec::new(),
        }
    }

    async fn restore(mut self) -> Result<NotRestored, Error> {
        if let Err(error) = self.restore_options().await {
            let empty = RawDocumentBuf::new();
            self.fail("options", &empty, &error)?;
        }
        if self.context.options.build_indexes != BuildIndexes::Never {
            self.drop_others().await?;
            for index in std::mem::take(&mut self.entry.indexes) {
                if let Err(error) = self.restore_index(&index).await {
                    self.fail("index", &index, &error)?;
                }
            }
        }
        if let Err(error) = self.restore_capped().await {
            let empty = RawDocumentBuf::new();
            self.fail("capped size", &empty, &error)?;
        }
        Ok(self.not_restored)
    }

    /// Notes what a server refused; anything else stops the commit, to be resumed.
    fn fail(&mut self, what: &str, index: &RawDocument, error: &Error) -> Result<(), Error> {
        use crate::model::ErrorKind;
        let name = index.get_str("name").unwrap_or_default();
        match error {
            Error::Mongo(mongo::Error::Fenced) => Err(mongo::Error::Fenced.into()),
            Error::Mongo(error) if error.kind() == ErrorKind::Operator => {
                self.not_restored
                    .push(format!("{what} {name} of {}: {error}", self.entry.source));
                Ok(())
            }
            other => Err(mongo_stopped(other)),
        }
    }

    /// Compares the collection's options with the source's: those that `collMod` can change are set
    /// right, since a late one of earlier work may have changed them; others are named.
    async fn restore_options(&mut self) -> Result<(), Error> {
        let name = &self.entry.destination.collection;
        let found = listing::collection(self.database.reads(), name).await?;
        let found = found.ok_or(mongo::Error::Reply("the collection"))?;
        let found = listing::subdocument(&found, "options");
        let found = found.map(ToOwned::to_owned).unwrap_or_default();
        let mut command = rawdoc! { "collMod": name.as_str() };
        let mut changes = false;
        for option in differing(&self.entry.options, &found)? {
            let wanted = self
                .entry
                .options
                .get(&option)
                .map_err(mongo::Error::Bson)?;
            match (wanted, when_absent(&option)) {
                (Some(wanted), Some(_)) => command.append(key(&option)?, wanted),
                (None, Some(absent)) => command.append(key(&option)?, absent),
                (_, None) => {
                    self.not_restored
                        .push(format!("option {option} of {}", self.entry.source));
                    continue;
                }
            }
            changes = true;
        }
        if changes {
            self.run(command).await?;
        }
        Ok(())
    }

    /// Drops indexes that the source does not have (any more).
    async fn drop_others(&self) -> Result<(), Error> {
        for index in self.destination_indexes().await? {
            let name = index.get_str("name").unwrap_or_default();
            if !self
                .entry
                .indexes
                .iter()
                .any(|wanted| is_same_index(wanted, &index))
            {
                let command = rawdoc! { "dropIndexes": self.entry.destination.collection.as_str(), "index": name };
                self.run(command).await?;
            }
        }
        Ok(())
    }

    async fn destination_indexes(&self) -> Result<Vec<RawDocumentBuf>, Error> {
        let collection = &self.entry.destination.collection;
        Ok(catalog::secondary_indexes(self.database.reads(), collection).await?)
    }

    async fn index_named(&self, name: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let indexes = self.destination_indexes().await?;
        Ok(indexes
            .into_iter()
            .find(|index| index.get_str("name").ok() == Some(name)))
    }

    async fn restore_index(&self, wanted: &RawDocumentBuf) -> Result<(), Error> {
        let name = wanted
            .get_str("name")
            .map_err(|_absent| mongo::Error::Reply("name"))?;
        let mut current = self.index_named(name).await?;
        if current.is_none() {
            let wanted = std::slice::from_ref(wanted);
            indexes::build(&self.database, &self.on_destination, wanted).await?;
            current = self.index_named(name).await?;
        }
        let current = current.ok_or(mongo::Error::Reply("indexes"))?;
        let is_set = |index: &RawDocument, option| {
            matches!(index.get(option), Ok(Some(RawBsonRef::Boolean(true))))
        };
        let lacks = |option| is_set(wanted, option) && !is_set(&current, option);
        if lacks("unique") {
            self.make_unique(name).await?;
        } else if lacks("prepareUnique") {
            self.modify_index(rawdoc! { "name": name, "prepareUnique": true })
                .await?;
        }
        if let Ok(Some(expiry)) = wanted.get("expireAfterSeconds") {
            let mut change = rawdoc! { "name": name };
            change.append(bson::cstr!("expireAfterSeconds"), expiry);
            self.modify_index(change).await?;
        }
        if lacks("hidden") {
            self.modify_index(rawdoc! { "name": name, "hidden": true })
                .await?;
        }
        Ok(())
    }

    /// MongoDB manual, "Convert an Existing Index to a Unique Index". When
    /// documents violate it, the index goes back to taking writes as before.
    async fn make_unique(&self, name: &str) -> Result<(), Error> {
        self.modify_index(rawdoc! { "name": name, "prepareUnique": true })
            .await?;
        failpoint("commit_unique");
        let converted = self
            .modify_index(rawdoc! { "name": name, "unique": true })
            .await;
        if converted.is_err() {
            self.modify_index(rawdoc! { "name": name, "prepareUnique": false })
                .await?;
        }
        converted
    }

    async fn modify_index(&self, change: RawDocumentBuf) -> Result<(), Error> {
        let command = rawdoc! {
            "collMod": self.entry.destination.collection.as_str(),
            "index": change,
        };
        self.run(command).await
    }

    /// Runs a command on the collection, by its UUID.
    async fn run(&self, mut command: RawDocumentBuf) -> Result<(), Error> {
        self.on_destination.append_uuid(&mut command);
        command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
        indexes::run(&self.database, command).await
    }

    async fn restore_capped(&self) -> Result<(), Error> {
        let mut command = rawdoc! { "collMod": self.entry.destination.collection.as_str() };
        let Ok(Some(size)) = self.entry.options.get("size") else {
            return Ok(());
        };
        command.append(bson::cstr!("cappedSize"), size);
        if let Ok(Some(max)) = self.entry.options.get("max") {
            command.append(bson::cstr!("cappedMax"), max);
        }
        self.run(command).await
    }
}

/// The names of options that two collections do not have in common. Capped sizes are restored apart.
fn differing(a: &RawDocument, b: &RawDocument) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    for (one, other) in [(a, b), (b, a)] {
        for option in one {
            let (name, value) = option.map_err(mongo::Error::Bson)?;
            let same = other.get(name).map_err(mongo::Error::Bson)? == Some(value)
                || is_default(name.as_str(), value);
            if !same && !["size", "max"].contains(&name.as_str()) {
                names.insert(name.as_str().to_owned());
            }
        }
    }
    Ok(names)
}

/// True for a value that `collMod` writes down and that `create` leaves out: it says the same.
fn is_default(option: &str, value: RawBsonRef<'_>) -> bool {
    matches!(
        (option, value.as_str()),
        ("validationLevel", Some("strict")) | ("validationAction", Some("error"))
    )
}

/// What `collMod` takes for an option that a collection does not have; `None` for options that it
/// cannot change (MongoDB manual, "collMod").
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

fn key(name: &str) -> Result<&CStr, mongo::Error> {
    <&CStr>::try_from(name).map_err(mongo::Error::Bson)
}

fn mongo_stopped(error: &Error) -> Error {
    crate::model::OperatorError::new(
        crate::model::ErrorName::ConnectionFailed,
        format!("Commit could not go on: {error}. Bring the cluster back and resume: commit goes on where it stopped."),
    )
    .into()
}

/// True if two index specifications differ in nothing but what a sync relaxes, and order of options.
fn is_same_index(a: &RawDocument, b: &RawDocument) -> bool {
    match (indexes::relaxed(a), indexes::relaxed(b)) {
        (Ok(a), Ok(b)) => options_of(&a) == options_of(&b),
        _ => false,
    }
}

fn options_of(index: &RawDocumentBuf) -> Option<std::collections::BTreeMap<String, bson::RawBson>> {
    index
        .iter()
        .filter(|option| !matches!(option, Ok((name, _)) if name.as_str() == "expireAfterSeconds"))
        .map(|option| {
            option
                .ok()
                .map(|(name, value)| (name.as_str().to_owned(), value.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_one_side_lacks_or_has_otherwise_differ() {
        let source = rawdoc! { "validator": { "a": 1 }, "capped": true, "size": 4096, "collation": { "locale": "fr" } };
        let found = rawdoc! { "validator": { "a": 2 }, "capped": true, "size": 8192, "validationLevel": "moderate" };
        let names: Vec<_> = differing(&source, &found).unwrap().into_iter().collect();
        assert_eq!(names, ["collation", "validationLevel", "validator"]);
        assert!(when_absent("validator").is_some() && when_absent("collation").is_none());
    }

    #[test]
    fn indexes_that_differ_in_relaxed_settings_are_the_same() {
        let source = rawdoc! { "v": 2, "unique": true, "key": { "a": 1 }, "name": "a", "expireAfterSeconds": 5 };
        let relaxed =
            rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a", "expireAfterSeconds": i32::MAX };
        assert!(is_same_index(&source, &relaxed));
        let other_order = rawdoc! { "v": 2, "key": { "b": 1, "a": 1 }, "name": "a" };
        assert!(!is_same_index(
            &rawdoc! { "v": 2, "key": { "a": 1, "b": 1 }, "name": "a" },
            &other_order
        ));
    }
}
