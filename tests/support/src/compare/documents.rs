//! Two collections document by document, as raw bytes.
//!
//! Both are read in the same order, in large raw batches, side by side. At a difference the destination is asked
//! for the source's `_id`, which distinguishes a missing document from an extra document.

use std::{borrow::Cow, collections::VecDeque};

use anyhow::{Context, Result, anyhow};
use bson::{RawBsonRef, RawDocument, RawDocumentBuf, doc, rawdoc};
use futures::StreamExt;
use mongodb::{
    Client, Database,
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::sync::mpsc;

use super::{Comparison, Expectation, Expected, MOST_PER_COLLECTION, catalog::Name};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By `_id`, in the collection's own collation.
    Id,
    /// As a capped collection keeps them.
    Natural,
}

/// A collection on both sides.
pub(super) struct Sides<'a> {
    pub(super) source: &'a Client,
    pub(super) destination: &'a Client,
    /// Its name on the source.
    pub(super) namespace: &'a Name,
    /// Its name on the destination.
    pub(super) expected: &'a Name,
    pub(super) expectation: &'a dyn Expectation,
}

impl Sides<'_> {
    pub(super) async fn compare(&self, order: Order, found: &mut Comparison) -> Result<()> {
        let (database, collection) = self.expected;
        let name = format!("{database}.{collection}");
        let destination = self.destination.database(database);
        let theirs = Reader::open(&destination, collection, order).await?;
        let source = self.source.database(&self.namespace.0);
        let ours = Reader::open(&source, &self.namespace.1, order).await?;
        let ours = Ours {
            reader: ours,
            sides: self,
        };
        side_by_side(
            &destination,
            collection,
            &name,
            order,
            (ours, theirs),
            found,
        )
        .await
    }
}

/// The source's documents as they are expected on the destination.
struct Ours<'a> {
    reader: Reader,
    sides: &'a Sides<'a>,
}

impl Ours<'_> {
    async fn peek(&mut self) -> Result<Option<Cow<'_, [u8]>>> {
        let (database, collection) = self.sides.namespace;
        loop {
            let Some(document) = self.reader.peek().await? else {
                return Ok(None);
            };
            let expectation = self.sides.expectation;
            match expectation.document(database, collection, document)? {
                Expected::Same => break,
                Expected::Changed(changed) => return Ok(Some(Cow::Owned(changed))),
                Expected::Absent => self.reader.advance(),
            }
        }
        Ok(self.reader.peek().await?.map(Cow::Borrowed))
    }

    fn advance(&mut self) {
        self.reader.advance();
    }
}

async fn side_by_side(
    destination: &Database,
    collection: &str,
    name: &str,
    order: Order,
    (mut ours, mut theirs): (Ours<'_>, Reader),
    found: &mut Comparison,
) -> Result<()> {
    let begun_with = found.differences.len();
    while found.differences.len() < begun_with + MOST_PER_COLLECTION {
        let one = ours.peek().await?;
        match (one.as_deref(), theirs.peek().await?) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) if one == other => {
                found.documents += 1;
                found.bytes += one.len() as u64;
                ours.advance();
                theirs.advance();
            }
            (Some(one), Some(other)) if same_id(one, other)? => {
                found.differs(name, differing(one, other)?);
                ours.advance();
                theirs.advance();
            }
            (Some(one), other) => {
                let one = document(one)?;
                if other.is_none() || find(destination, collection, one).await?.is_none() {
                    found.differs(name, format!("{} is not on the destination", id(one)?));
                    ours.advance();
                } else {
                    let other = document(other.context("checked above")?)?;
                    let text = match order {
                        Order::Id => "is on the destination only",
                        Order::Natural => "is elsewhere in the natural order",
                    };
                    found.differs(name, format!("{} {text}", id(other)?));
                    theirs.advance();
                }
            }
            (None, Some(other)) => {
                found.differs(
                    name,
                    format!("{} is on the destination only", id(document(other)?)?),
                );
                theirs.advance();
            }
        }
    }
    found.differs(name, "more differences are not looked for");
    Ok(())
}

/// A side, read ahead by its own task.
struct Reader {
    batches: mpsc::Receiver<Result<RawBatch>>,
    /// The batch being read, and the bounds of its unread part.
    batch: Vec<u8>,
    left: VecDeque<(usize, usize)>,
}

impl Reader {
    async fn open(database: &Database, collection: &str, order: Order) -> Result<Self> {
        let sort = match order {
            Order::Id => rawdoc! { "_id": 1 },
            Order::Natural => rawdoc! { "$natural": 1 },
        };
        let command = rawdoc! {
            "find": collection, "sort": sort, "batchSize": 50_000, "noCursorTimeout": true,
        };
        let cursor = database
            .run_raw_cursor_command(command)
            .batch_size(50_000)
            .batch()
            .await;
        let cursor = cursor.with_context(|| format!("read {}.{collection}", database.name()))?;
        let (sender, batches) = mpsc::channel(1);
        tokio::spawn(read_ahead(cursor, sender));
        Ok(Self {
            batches,
            batch: Vec::new(),
            left: VecDeque::new(),
        })
    }

    /// The next document's bytes; `None` at the end.
    async fn peek(&mut self) -> Result<Option<&[u8]>> {
        while self.left.is_empty() {
            match self.batches.recv().await {
                None => return Ok(None),
                Some(batch) => self.take(&batch?)?,
            }
        }
        Ok(self
            .left
            .front()
            .and_then(|&(from, to)| self.batch.get(from..to)))
    }

    fn advance(&mut self) {
        self.left.pop_front();
    }

    fn take(&mut self, batch: &RawBatch) -> Result<()> {
        self.batch.clear();
        for value in batch.doc_slices()? {
            let RawBsonRef::Document(document) = value? else {
                return Err(anyhow!("a batch holds something else than documents"));
            };
            let from = self.batch.len();
            self.batch.extend_from_slice(document.as_bytes());
            self.left.push_back((from, self.batch.len()));
        }
        Ok(())
    }
}

async fn read_ahead(mut cursor: RawBatchCursor, sender: mpsc::Sender<Result<RawBatch>>) {
    while let Some(batch) = cursor.next().await {
        if sender.send(batch.context("read a batch")).await.is_err() {
            return;
        }
    }
}

async fn find(
    database: &Database,
    collection: &str,
    like: &RawDocument,
) -> Result<Option<RawDocumentBuf>> {
    let wanted = like.get("_id")?.context("a document without _id")?;
    let wanted = bson::Bson::try_from(wanted.to_owned())?;
    let found = database
        .collection::<RawDocumentBuf>(collection)
        .find_one(doc! { "_id": { "$eq": wanted } })
        .await?;
    Ok(found)
}

fn document(bytes: &[u8]) -> Result<&RawDocument> {
    RawDocument::from_bytes(bytes).context("read a document")
}

fn same_id(one: &[u8], other: &[u8]) -> Result<bool> {
    let (one, other) = (document(one)?.get("_id")?, document(other)?.get("_id")?);
    // Compared as bytes: a NaN is the same as itself here.
    let bytes = |value: Option<RawBsonRef<'_>>| {
        value.map(|value| rawdoc! { "": value.to_owned() }.into_bytes())
    };
    Ok(bytes(one) == bytes(other))
}

fn id(document: &RawDocument) -> Result<String> {
    Ok(format!(
        "_id {:?}",
        document.get("_id")?.context("a document without _id")?
    ))
}

/// Names the first field in which two documents with the same `_id` differ.
fn differing(one: &[u8], other: &[u8]) -> Result<String> {
    let (one, other) = (document(one)?, document(other)?);
    let (mut ours, mut theirs) = (one.iter(), other.iter());
    loop {
        let (our, their) = (ours.next().transpose()?, theirs.next().transpose()?);
        if our.is_none() && their.is_none() {
            return Ok(format!("{}: the bytes differ", id(one)?));
        }
        let shown = |field: Option<(&bson::raw::CStr, RawBsonRef<'_>)>| {
            field.map_or("nothing more".to_owned(), |(key, value)| {
                let value = format!("{value:?}");
                format!("{key} = {}", value.chars().take(200).collect::<String>())
            })
        };
        let (our, their) = (shown(our), shown(their));
        if our != their {
            return Ok(format!(
                "{}: {our} on the source, {their} on the destination",
                id(one)?
            ));
        }
    }
}
