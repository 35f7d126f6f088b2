//! The metadata that hosts persist on a destination, as it is: read, kept in a file,
//! and put back. Knows no version's shapes beyond ids.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::{
    ReplicaSet,
    host::DEADLINE,
    wait::{Look, wait_until},
};

/// The database on the destination.
pub const DATABASE: &str = "mongosync_internal_tidegate";

/// A document and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub collection: String,
    pub document: RawDocumentBuf,
}

impl Entry {
    pub fn new(collection: &str, document: &Document) -> Result<Self> {
        Ok(Self {
            collection: collection.to_owned(),
            document: RawDocumentBuf::try_from(document)?,
        })
    }

    pub fn id(&self) -> &str {
        self.document.get_str("_id").unwrap_or_default()
    }

    pub fn to_document(&self) -> Result<Document> {
        Document::try_from(&*self.document).context("read a metadata document")
    }
}

/// Waits until the holder of the lease has renewed it, and said with that when it applied anything.
pub async fn wait_for_renewal(destination: &ReplicaSet) -> Result<()> {
    let leases = destination.db(DATABASE).collection::<Document>("lease");
    let until = async || {
        let lease = leases.find_one(doc! { "_id": "lease" }).await?;
        let lease = lease.context("no lease")?;
        anyhow::Ok(lease.get_datetime("expiresAt")?.to_owned())
    };
    let before = until().await?;
    wait_until("the lease is renewed", DEADLINE, async || {
        Ok(match until().await? > before {
            true => Look::Done(()),
            false => Look::NotYet(format!("it is held until {before}")),
        })
    })
    .await
}

/// Every document of the metadata database, by collection and `_id`; views hold none.
pub async fn dump(destination: &ReplicaSet) -> Result<Vec<Entry>> {
    let database = destination.db(DATABASE);
    let mut entries = Vec::new();
    let stored = doc! { "type": "collection", "name": { "$not": { "$regex": "^system\\." } } };
    for collection in database.list_collection_names().filter(stored).await? {
        let found = database.collection::<RawDocumentBuf>(&collection);
        let mut documents = found.find(doc! {}).await?;
        while let Some(document) = documents.try_next().await? {
            entries.push(Entry {
                collection: collection.clone(),
                document,
            });
        }
    }
    entries.sort_by(|a, b| (&a.collection, a.id()).cmp(&(&b.collection, b.id())));
    Ok(entries)
}

/// Writes entries into an empty metadata database.
pub async fn restore(destination: &ReplicaSet, entries: &[Entry]) -> Result<()> {
    const AT_A_TIME: usize = 1000;
    let database = destination.db(DATABASE);
    for of_one in entries.chunk_by(|a, b| a.collection == b.collection) {
        let Some(first) = of_one.first() else {
            continue;
        };
        let collection = database.collection::<RawDocumentBuf>(&first.collection);
        for batch in of_one.chunks(AT_A_TIME) {
            let documents = batch.iter().map(|entry| &entry.document);
            collection
                .insert_many(documents)
                .await
                .with_context(|| format!("put metadata into {}", first.collection))?;
        }
    }
    Ok(())
}

/// One entry per line, as canonical Extended JSON.
pub fn to_text(entries: &[Entry]) -> Result<String> {
    let mut text = String::new();
    for entry in entries {
        let document = Bson::Document(entry.to_document()?).into_canonical_extjson();
        let line = json!({ "collection": entry.collection, "document": document });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    ensure!(
        from_text(&text)? == entries,
        "metadata does not survive Extended JSON"
    );
    Ok(text)
}

/// Reads the text of [`to_text`].
pub fn from_text(text: &str) -> Result<Vec<Entry>> {
    text.lines().map(entry_of_line).collect()
}

/// Reads a file with the text of [`to_text`].
pub fn read(file: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    from_text(&text).with_context(|| format!("{}", file.display()))
}

fn entry_of_line(line: &str) -> Result<Entry> {
    let mut line: Value = serde_json::from_str(line).context("a line that is no JSON")?;
    let document = line.get_mut("document").map(Value::take);
    let document = Bson::try_from(document.context("a line without a document")?)?;
    let collection = line.get("collection").and_then(Value::as_str);
    Entry::new(
        collection.context("a line without a collection")?,
        document.as_document().context("not a document")?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_text() -> Result<()> {
        let document = doc! { "_id": "a", "long": 1_i64, "int": 1, "double": 1.0, "nan": f64::NAN,
        "binary": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] },
        "time": bson::Timestamp { time: 7, increment: 1 }, "deep": [{ "$gt": 5 }, bson::Bson::MinKey] };
        let entries = vec![
            Entry::new("partitions", &document)?,
            Entry::new("session", &doc! { "_id": "session" })?,
        ];
        let text = to_text(&entries)?;
        assert_eq!(text.lines().count(), 2);
        assert_eq!(from_text(&text)?, entries);
        assert!(from_text("{\"collection\": \"a\"}").is_err());
        Ok(())
    }
}
