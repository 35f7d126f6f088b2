//! Reads of the documents of some keys, on both clusters.

use std::{cmp::Ordering, collections::HashMap};

use bson::{RawDocumentBuf, Timestamp, rawdoc};

use super::{
    clusters::ClusterPair,
    collection::{CollectionPair, Expectation},
};
use crate::{
    model::{
        ClusterTime,
        document_key::{DocumentKey, OwnedDocumentKey},
        key_order::{self, RawKey},
        raw,
    },
    mongo,
    sync::{Error, comparison::Side},
};

/// The documents of a key. Both can be absent.
#[derive(Debug, Default)]
pub(super) struct KeyLook {
    /// The source's document, as the destination is to have it.
    pub(super) source: Option<Vec<u8>>,
    pub(super) destination: Option<Vec<u8>>,
    /// Whether a plugin cannot handle the source's document.
    pub(super) is_quarantined: bool,
}

/// The looks at a few keys.
struct KeyLooks<'a> {
    ids: &'a [RawKey<'a>],
    places: HashMap<OwnedDocumentKey, usize>,
    looks: Vec<KeyLook>,
}

/// Looks at the documents of `ids`, at or after `times`. `None` if they do not fit into a reply, which a single
/// document does. A collection that is gone has no documents.
pub(super) async fn look(
    pair: &ClusterPair,
    collection: &CollectionPair,
    ids: &[RawKey<'_>],
    (at_source, at_destination): (ClusterTime, ClusterTime),
) -> Result<Option<Vec<KeyLook>>, Error> {
    let (source, destination) = tokio::join!(
        documents(pair, collection, Side::Source, (ids, at_source)),
        documents(pair, collection, Side::Destination, (ids, at_destination))
    );
    let (Some(source), Some(destination)) = (source?, destination?) else {
        return Ok(None);
    };
    let mut looks = KeyLooks::new(ids);
    let borrowed: Vec<&[u8]> = source.iter().map(Vec::as_slice).collect();
    collection.expect(&borrowed, |document, expectation| {
        let Some(look) = looks.of(document)? else {
            return Ok(());
        };
        match expectation {
            Expectation::Document(expected) => look.source = Some(expected.to_vec()),
            Expectation::Absent => {}
            Expectation::Quarantined => look.is_quarantined = true,
        }
        Ok(())
    })?;
    for document in destination {
        if let Some(look) = looks.of(&document)? {
            look.destination = Some(document);
        }
    }
    Ok(Some(looks.looks))
}

/// The documents of one side; `None` if they do not fit into a reply.
async fn documents(
    pair: &ClusterPair,
    collection: &CollectionPair,
    side: Side,
    (ids, at): (&[RawKey<'_>], ClusterTime),
) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let fields = find_fields(ids, at)?;
    let reader = collection.reader(pair, side);
    let reply = reader
        .first_reply("look documents up", &fields, |_| Ok(()))
        .await?;
    let Some(reply) = reply else {
        return Ok(Some(Vec::new()));
    };
    let cursor = reply.document().get_document("cursor").ok();
    let is_open = cursor
        .and_then(|cursor| cursor.get_i64("id").ok())
        .is_some_and(|id| id != 0);
    if is_open && ids.len() > 1 {
        return Ok(None);
    }
    let documents = reply.documents()?;
    Ok(Some(
        documents
            .map(|document| document.map(<[u8]>::to_vec))
            .collect::<Result<_, _>>()?,
    ))
}

/// The fields of the `find`, without the collection's name and UUID.
fn find_fields(ids: &[RawKey<'_>], at: ClusterTime) -> Result<RawDocumentBuf, mongo::Error> {
    let head = rawdoc! {
        // Larger by one than the number of ids: only a full reply leaves the cursor open.
        "batchSize": i32::try_from(ids.len() + 1).unwrap_or(i32::MAX),
        "readConcern": { "level": "majority", "afterClusterTime": Timestamp::from(at) },
    };
    mongo::with_id_filter(head, ids.iter().copied())
}

impl<'a> KeyLooks<'a> {
    fn new(ids: &'a [RawKey<'a>]) -> Self {
        let keys = ids
            .iter()
            .map(|(id_kind, id)| DocumentKey::new(*id_kind, id).into_owned());
        let mut looks = Vec::new();
        looks.resize_with(ids.len(), KeyLook::default);
        Self {
            ids,
            places: keys.zip(0..).collect(),
            looks,
        }
    }

    /// The look that a document belongs to. A server compares more loosely under a collation, and returns documents
    /// of other keys as well.
    fn of(&mut self, document: &[u8]) -> Result<Option<&mut KeyLook>, raw::Malformed> {
        let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
        let key = DocumentKey::new(id.kind, id.value);
        let place = match self.places.get(&key.into_owned()) {
            Some(place) => Some(*place),
            // A decimal and a double with a fraction can be the same `_id`, and are no equal keys.
            None => self.ids.iter().position(|wanted| {
                key_order::compare(*wanted, (id.kind, id.value)) == Some(Ordering::Equal)
            }),
        };
        Ok(place.and_then(|place| self.looks.get_mut(place)))
    }
}
