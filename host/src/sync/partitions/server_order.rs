//! The places of keys that only the server can compare: strings under a collation (see
//! [`key_order::is_known`](crate::model::key_order::is_known)).
//!
//! The source compares keys and bounds in a pipeline that reads no collection (`$documents`). The read-only user of
//! the source may run it. Bounds and range reads are the source's too, so its order is the one that counts. A source
//! before 6.0 has no such pipeline, and the destination is asked: both have the same collations.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, raw::cstr, rawdoc};

use crate::{
    model::{
        key_order::RawKey,
        raw::{self, Malformed, Writer, kind},
    },
    mongo::{self, Client, RawCursor, Retry},
    sync::Error,
};

/// The largest bound that a partition may have. Invariant: a command has room for the largest `_id` and a bound.
pub(crate) const MAX_BOUND_BYTES: usize = 8 << 10;

/// Whether an `_id` can be a bound: it has to be small, and to have documents on both sides. Nothing
/// sorts before MinKey, and the server refuses an empty range. Nothing sorts after MaxKey.
pub(in crate::sync) fn can_be_bound(id: &RawDocument) -> bool {
    id.as_bytes().len() <= MAX_BOUND_BYTES
        && !matches!(
            id.get("_id"),
            Ok(Some(RawBsonRef::MinKey | RawBsonRef::MaxKey))
        )
}

/// Bytes of the keys and bounds of a command. The server takes commands of 16 MiB and 16 KiB.
const COMMAND_BYTES: usize = (16 << 20) + (12 << 10);

/// Bytes of the keys of a command, unless it is a single key.
const KEY_BYTES: usize = 4 << 20;

/// Bytes that a key takes besides its value.
const KEY_OVERHEAD: usize = 24;

/// Bounds of a block: a key is compared with the last bound of each block, and then within one block.
const BLOCK: usize = 64;

/// Any database will do, since nothing is read.
const DATABASE: &str = "tidegate";

/// The number of `bounds` that are at or below each of `keys`. `bounds`: as `{_id: value}`, ascending.
///
/// # Errors
/// [`mongo::Error::Outage`]; a refusal of the server, as for a key and a bound that are larger than a command.
pub async fn places(
    server: &Client,
    collation: Option<&RawDocument>,
    bounds: &[RawDocumentBuf],
    keys: &[RawKey<'_>],
) -> Result<Vec<usize>, Error> {
    let bounds: Vec<_> = bounds
        .iter()
        .map(|bound| key_of(bound))
        .collect::<Result<_, _>>()?;
    let mut places = Vec::with_capacity(keys.len());
    for keys in chunks(keys, KEY_BYTES) {
        let room = COMMAND_BYTES.saturating_sub(keys.iter().map(key_bytes).sum());
        let mut counts = vec![0; keys.len()];
        // The last bound of each block is sent twice.
        for bounds in chunks(&bounds, room / 2) {
            let found = counted(server, collation, bounds, keys).await?;
            for (count, found) in counts.iter_mut().zip(&found) {
                *count += found;
            }
            // All keys are below the next bounds.
            if found.iter().all(|found| *found < bounds.len()) {
                break;
            }
        }
        places.append(&mut counts);
    }
    Ok(places)
}

/// Like [`places`], with one command.
async fn counted(
    server: &Client,
    collation: Option<&RawDocument>,
    bounds: &[RawKey<'_>],
    keys: &[RawKey<'_>],
) -> Result<Vec<usize>, Error> {
    let command = command(collation, bounds, keys)?;
    let database = server.database(DATABASE);
    let places = Retry::quick(server.contact(), "compare keys")
        .run(async || {
            let mut cursor = RawCursor::open(&database, command.clone()).await?;
            let mut places = Vec::with_capacity(keys.len());
            while let Some(reply) = cursor.next().await? {
                for document in reply.documents()? {
                    let place = raw::find(document?, "n")?.and_then(|n| n.as_value().as_i32());
                    let place = place.and_then(|n| usize::try_from(n).ok());
                    places.push(place.ok_or(mongo::Error::Reply("n"))?);
                }
            }
            Ok(places)
        })
        .await?;
    if places.len() != keys.len() {
        return Err(mongo::Error::Reply("n").into());
    }
    Ok(places)
}

/// The number of bounds at or below each key:
///
/// ```text
/// {$documents: {$map: {input: keys, as: "key", in: {n: {$let: {
///   vars: {blocks: number of blocks whose last bound is at or below the key},
///   in: {$add: [bounds of these blocks, bounds of the next block at or below the key]}}}}}}}
/// ```
fn command(
    collation: Option<&RawDocument>,
    bounds: &[RawKey<'_>],
    keys: &[RawKey<'_>],
) -> Result<RawDocumentBuf, mongo::Error> {
    let ends = bounds.iter().skip(BLOCK - 1).step_by(BLOCK);
    let block = i32::try_from(BLOCK).unwrap_or(i32::MAX);
    let start = || rawdoc! { "$multiply": ["$$blocks", block] };
    let next_block = rawdoc! { "$slice": [literal(bounds)?, start(), block] };
    let place = rawdoc! { "$let": {
        "vars": { "blocks": at_or_below_key(literal(ends)?) },
        "in": { "$add": [start(), at_or_below_key(next_block)] },
    } };
    let map = rawdoc! { "input": literal(keys)?, "as": "key", "in": { "n": place } };
    let mut command = rawdoc! {
        "aggregate": 1,
        "pipeline": [{ "$documents": { "$map": map } }],
        "cursor": { "batchSize": i32::try_from(keys.len() + 1).unwrap_or(i32::MAX) },
    };
    if let Some(collation) = collation {
        command.append(cstr!("collation"), collation);
    }
    Ok(command)
}

/// The size of the part of `array` that is at or below the key.
fn at_or_below_key(array: RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! { "$size": { "$filter": { "input": array, "cond": { "$lte": ["$$this", "$$key"] } } } }
}

/// `{$literal: [key, …]}`.
fn literal<'k>(
    keys: impl IntoIterator<Item = &'k RawKey<'k>>,
) -> Result<RawDocumentBuf, mongo::Error> {
    let mut writer = Writer::new();
    let literal = writer.begin(kind::ARRAY, b"$literal");
    let mut name = itoa::Buffer::new();
    for (number, (id_kind, id)) in keys.into_iter().enumerate() {
        writer.value(*id_kind, name.format(number).as_bytes(), id);
    }
    writer.end(literal);
    Ok(RawDocumentBuf::from_bytes(writer.finish())?)
}

/// The value of `{_id: value}`.
fn key_of(bound: &RawDocument) -> Result<RawKey<'_>, Malformed> {
    let id = raw::find(bound.as_bytes(), "_id")?.ok_or(Malformed)?;
    Ok((id.kind, id.value))
}

fn key_bytes((_, id): &RawKey<'_>) -> usize {
    id.len() + KEY_OVERHEAD
}

/// Splits `keys` into runs of at most `limit` bytes, or of a single key.
fn chunks<'s, 'k>(
    mut keys: &'s [RawKey<'k>],
    limit: usize,
) -> impl Iterator<Item = &'s [RawKey<'k>]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = keys.iter().take_while(|key| {
            bytes += key_bytes(key);
            bytes <= limit
        });
        let length = fitting.count().max(1);
        let (chunk, rest) = keys.split_at_checked(length)?;
        keys = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_all_keys_in_order() {
        let (small, large) = ([0; 8], [0; 500]);
        let keys: [RawKey<'_>; 5] = [
            (1, &small),
            (2, &small),
            (3, &large),
            (4, &small),
            (5, &small),
        ];
        let kinds = |limit| {
            let chunks = chunks(&keys, limit);
            chunks
                .map(|chunk| chunk.iter().map(|key| key.0).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(0), [[1], [2], [3], [4], [5]]);
        assert_eq!(kinds(80), [vec![1, 2], vec![3], vec![4, 5]]);
        assert_eq!(kinds(usize::MAX), [[1, 2, 3, 4, 5]]);
        assert_eq!(chunks(&[], 80).count(), 0);
    }
}
