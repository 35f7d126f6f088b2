//! The restoration of a collection. Its steps are independent: a failed step does not keep others
//! from being done.

use std::collections::BTreeSet;

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use crate::{
    metadata::NamespaceKind,
    model::{ErrorKind, ErrorName, OperatorError, options::BuildIndexes},
    mongo::{self, DestinationDatabase, listing, write::CollectionRef},
    observe::failpoint,
    sync::{
        Context, Error,
        catalog::{
            self, CatalogEntry, destination, indexes,
            options::{self, is_on},
        },
        index_build,
        restore::{
            difference,
            relaxation::{self, relaxed_index, with_collation},
        },
    },
};

/// The restoration of a collection, with the subjects that could not be restored.
pub(super) struct CollectionRestoration<'a> {
    context: &'a Context,
    entry: CatalogEntry,
    on_destination: CollectionRef,
    database: DestinationDatabase,
    not_restored: Vec<String>,
    /// The subjects in `not_restored`: "index x", "option y".
    named: BTreeSet<String>,
}

impl<'a> CollectionRestoration<'a> {
    /// The restoration of `on_destination` to the source's `entry`, which is a collection.
    pub(super) fn new(
        context: &'a Context,
        entry: CatalogEntry,
        on_destination: CollectionRef,
    ) -> Self {
        debug_assert_eq!(entry.kind, NamespaceKind::Collection);
        let database = context.destination.database(&entry.destination.database);
        Self {
            context,
            entry,
            on_destination,
            database,
            not_restored: Vec::new(),
            named: BTreeSet::new(),
        }
    }

    /// Restores the collection and returns the subjects that could not be restored.
    pub(super) async fn restore(mut self) -> Result<Vec<String>, Error> {
        if options::is_temporary(&self.entry.options) {
            // The source's server drops it at its next start. It was created here as a permanent
            // collection.
            let dropped = match self.run(rawdoc! { "drop": self.name() }).await {
                // Dropped by an earlier restoration that was killed.
                Err(Error::Mongo(error)) if error.location(self.name()).is_some() => Ok(()),
                other => other,
            };
            self.note("temporary collection", dropped)?;
            return Ok(self.not_restored);
        }
        let restored = self.restore_options().await;
        self.note("options", restored)?;
        if self.compares_indexes() {
            let dropped = self.drop_others().await;
            self.note("indexes", dropped)?;
            self.restore_indexes().await?;
        }
        let restored = self.restore_capped().await;
        self.note("capped size", restored)?;
        self.compare().await?;
        Ok(self.not_restored)
    }

    fn name(&self) -> &str {
        &self.entry.destination.collection
    }

    fn compares_indexes(&self) -> bool {
        self.context.options.build_indexes != BuildIndexes::Never
    }

    /// Notes a server's refusal.
    ///
    /// # Errors
    /// Any other failure, which stops the commit until it is resumed.
    fn note(&mut self, what: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Error::Mongo(mongo::Error::Fenced)) => Err(mongo::Error::Fenced.into()),
            Err(Error::Mongo(error)) if error.kind() == ErrorKind::Operator => {
                self.named.insert(what.to_owned());
                let source = self.entry.source.shown();
                self.not_restored
                    .push(format!("{what} of {source}: {error}"));
                Ok(())
            }
            Err(other) => Err(stopped(&other)),
        }
    }

    /// Corrects the options that `collMod` can change: a late `collMod` of earlier work may have
    /// changed them.
    async fn restore_options(&self) -> Result<(), Error> {
        let changes = difference::changes(&self.entry.options, &self.options().await?)?;
        if changes.is_empty() {
            return Ok(());
        }
        let mut command = rawdoc! { "collMod": self.name() };
        for change in &changes {
            let (option, value) = change.map_err(mongo::Error::Bson)?;
            command.append(option, value);
        }
        self.run(command).await
    }

    /// The options on the destination.
    async fn options(&self) -> Result<RawDocumentBuf, Error> {
        let found = listing::collection(self.database.reads(), self.name()).await?;
        catalog::options_of(&found.ok_or(mongo::Error::Reply("the collection"))?)
    }

    /// Drops indexes that are missing on the source, or differ there in more than relaxed settings.
    async fn drop_others(&self) -> Result<(), Error> {
        for index in self.indexes().await? {
            let name = index.get_str("name").unwrap_or_default();
            let wanted = &self.entry.indexes;
            let is_wanted = |wanted| difference::is_same_but_relaxed(wanted, &index);
            if !wanted.iter().any(|wanted| is_wanted(wanted)) {
                let command = rawdoc! { "dropIndexes": self.name(), "index": name };
                self.run(command).await?;
            }
        }
        Ok(())
    }

    /// The indexes on the destination.
    async fn indexes(&self) -> Result<Vec<RawDocumentBuf>, Error> {
        Ok(indexes::secondary_indexes(self.database.reads(), self.name()).await?)
    }

    /// Restores existing indexes first: an index that is not unique yet keeps another index on its
    /// key from being built.
    async fn restore_indexes(&mut self) -> Result<(), Error> {
        let existing = self.indexes().await?;
        let existing_index = |wanted: &RawDocumentBuf| {
            let name = wanted.get_str("name").ok();
            existing
                .iter()
                .find(|index| index.get_str("name").ok() == name)
        };
        let wanted = std::mem::take(&mut self.entry.indexes);
        for wanted in &wanted {
            if let Some(current) = existing_index(wanted) {
                self.restore_settings(wanted, current).await?;
            }
        }
        for missing in wanted
            .iter()
            .filter(|wanted| existing_index(wanted).is_none())
        {
            self.build(missing, &wanted).await?;
        }
        self.entry.indexes = wanted;
        Ok(())
    }

    /// Builds a missing index.
    async fn build(
        &mut self,
        index: &RawDocumentBuf,
        others: &[RawDocumentBuf],
    ) -> Result<(), Error> {
        let options = self.entry.options.clone();
        let spec = match relaxation::waits_for_commit(index, &[], others) {
            // The server accepts both indexes only if they differ in `unique` from the start.
            true => with_collation(&options, index.clone()),
            false => with_collation(&options, relaxed_index(index)?),
        };
        let built = index_build::build(
            &self.database,
            &self.on_destination,
            std::slice::from_ref(&spec),
        )
        .await;
        let is_built = built.is_ok();
        self.note(&index_name(index), built)?;
        if is_built {
            self.restore_settings(index, &spec).await?;
        }
        Ok(())
    }

    /// Restores the relaxed settings of an index. `current` is its specification on the
    /// destination.
    async fn restore_settings(
        &mut self,
        wanted: &RawDocument,
        current: &RawDocument,
    ) -> Result<(), Error> {
        let what = index_name(wanted);
        let name = wanted.get_str("name").unwrap_or_default();
        let lacks = |option| is_on(wanted, option) && !is_on(current, option);
        if lacks("unique") {
            let unique = self.make_unique(name).await;
            self.note(&what, unique)?;
        } else if lacks("prepareUnique") {
            let change = rawdoc! { "name": name, "prepareUnique": true };
            let prepared = self.modify_index(change).await;
            self.note(&what, prepared)?;
        }
        if let Ok(Some(expiry)) = wanted.get("expireAfterSeconds") {
            let mut change = rawdoc! { "name": name };
            change.append(bson::cstr!("expireAfterSeconds"), expiry);
            let expires = self.modify_index(change).await;
            self.note(&what, expires)?;
        }
        if lacks("hidden") {
            let change = rawdoc! { "name": name, "hidden": true };
            let hidden = self.modify_index(change).await;
            self.note(&what, hidden)?;
        }
        Ok(())
    }

    /// Converts an index (MongoDB manual, "Convert an Existing Index to a Unique Index"). If
    /// documents violate it, the index accepts writes as before.
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
        self.run(rawdoc! { "collMod": self.name(), "index": change })
            .await
    }

    /// Runs a command on the collection, by its UUID.
    async fn run(&self, command: RawDocumentBuf) -> Result<(), Error> {
        destination::run_on(&self.database, &self.on_destination, command).await
    }

    async fn restore_capped(&self) -> Result<(), Error> {
        let mut command = rawdoc! { "collMod": self.name() };
        let Ok(Some(size)) = self.entry.options.get("size") else {
            return Ok(());
        };
        command.append(bson::cstr!("cappedSize"), size);
        if let Ok(Some(max)) = self.entry.options.get("max") {
            command.append(bson::cstr!("cappedMax"), max);
        }
        self.run(command).await
    }

    /// Names the remaining differences from the source, whatever their cause, that have no name
    /// yet.
    async fn compare(&mut self) -> Result<(), Error> {
        let source = self.entry.source.shown();
        for option in difference::options(&self.entry.options, &self.options().await?)? {
            self.name_once(
                format!("option {option}"),
                &format!("of {source} differs from the source's"),
            );
        }
        if !self.compares_indexes() {
            return Ok(());
        }
        let found = self.indexes().await?;
        for (index, how) in difference::indexes(&self.entry.indexes, &found) {
            self.name_once(format!("index {index}"), &format!("of {source} {how}"));
        }
        Ok(())
    }

    fn name_once(&mut self, what: String, how: &str) {
        if self.named.contains(&what) {
            return;
        }
        self.not_restored.push(format!("{what} {how}"));
        self.named.insert(what);
    }
}

fn index_name(index: &RawDocument) -> String {
    format!("index {}", index.get_str("name").unwrap_or_default())
}

fn stopped(error: &Error) -> Error {
    OperatorError::new(
        ErrorName::ConnectionFailed,
        format!("Commit stopped: {error}. Bring the cluster back and resume: commit goes on where it stopped."),
    )
    .into()
}
