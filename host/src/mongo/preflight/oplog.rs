//! The oplog's window, compared with the estimated time of the copy.

use bson::{Document, Timestamp, doc};
use futures::TryStreamExt as _;
use mongodb::Collection;

use super::{
    super::{
        Cluster, Error,
        cluster::{PATIENCE, admin},
        listing::user_databases_within,
        reply::bson_number,
    },
    privileges,
};

/// A cautious estimate of the copy's speed, in bytes a second.
pub const COPY_BYTES_PER_SECOND: u64 = 20_000_000;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// Seconds of history in the source's oplog once it is full, at its present rate. `None` if it cannot be
/// read.
pub async fn oplog_window_seconds(source: &Cluster) -> Option<u64> {
    let oplog = source
        .client
        .driver()
        .database("local")
        .collection::<Document>("oplog.rs");
    let held = held_seconds(&oplog).await.ok()??;
    let (size, max_size) = sizes(&oplog).await.ok()??;
    let window = when_full(held, size, max_size);
    Some(window.max(retention_seconds(source).await))
}

/// The estimated time of a copy, in seconds, at [`COPY_BYTES_PER_SECOND`].
pub fn copy_seconds(data_bytes: u64) -> u64 {
    data_bytes.div_ceil(COPY_BYTES_PER_SECOND)
}

/// A warning if the copy of `data_bytes` may take longer than the oplog's window.
pub fn oplog_warning(window_seconds: u64, data_bytes: u64) -> Option<String> {
    let copy_seconds = copy_seconds(data_bytes);
    (window_seconds < copy_seconds).then(|| {
        format!(
            "The source's oplog holds about {} of changes, and copying {} GB may take {}: raise the \
             oplog's size or its minimum retention (replSetResizeOplog) so that it holds the copy's \
             whole time.",
            duration(window_seconds),
            data_bytes.div_ceil(1_000_000_000),
            duration(copy_seconds)
        )
    })
}

/// Warnings about the source's oplog.
pub(super) async fn warnings(source: &Cluster) -> Vec<String> {
    if !privileges::may_read_oplog(source).await {
        return vec![
            "The window of the source's oplog is unknown, since the user may not read the oplog: \
             grant find and collStats on local.oplog.rs to have it watched."
                .to_owned(),
        ];
    }
    let Some(window_seconds) = oplog_window_seconds(source).await else {
        return Vec::new();
    };
    let data_bytes = data_bytes(source).await.unwrap_or(0);
    oplog_warning(window_seconds, data_bytes)
        .into_iter()
        .collect()
}

/// Seconds between the oldest and the newest entry.
async fn held_seconds(oplog: &Collection<Document>) -> Result<Option<u64>, Error> {
    let (oldest, newest) = (end(oplog, 1).await?, end(oplog, -1).await?);
    let seconds = oldest
        .zip(newest)
        .map(|(oldest, newest)| newest.time.saturating_sub(oldest.time));
    Ok(seconds.map(u64::from))
}

async fn end(oplog: &Collection<Document>, direction: i32) -> Result<Option<Timestamp>, Error> {
    let entry = oplog
        .find_one(doc! {})
        .sort(doc! { "$natural": direction })
        .projection(doc! { "ts": 1 })
        .await?;
    Ok(entry.and_then(|entry| entry.get_timestamp("ts").ok()))
}

/// Present and maximum size of the oplog, in bytes.
async fn sizes(oplog: &Collection<Document>) -> Result<Option<(u64, u64)>, Error> {
    let stats = oplog
        .aggregate([doc! { "$collStats": { "storageStats": {} } }])
        .await?;
    let stats = stats
        .try_collect::<Vec<Document>>()
        .await?
        .into_iter()
        .next();
    Ok(stats.and_then(|stats| {
        let stats = stats.get_document("storageStats").ok()?;
        Some((bson_u64(stats, "size")?, bson_u64(stats, "maxSize")?))
    }))
}

fn bson_u64(document: &Document, key: &str) -> Option<u64> {
    u64::try_from(bson_number(document, key)?).ok()
}

/// The window of the full oplog, extrapolated from its present content, in seconds.
fn when_full(held_seconds: u64, size: u64, max_size: u64) -> u64 {
    // Entries of the same second span up to 1 s.
    let held_seconds = held_seconds.max(1);
    if size == 0 || size >= max_size {
        return held_seconds;
    }
    let full = u128::from(held_seconds) * u128::from(max_size) / u128::from(size);
    u64::try_from(full).unwrap_or(u64::MAX)
}

/// The oplog's minimum retention in seconds; 0 without one.
async fn retention_seconds(source: &Cluster) -> u64 {
    let status = admin(
        source,
        doc! { "serverStatus": 1, "metrics": 0, "tcmalloc": 0 },
    )
    .await;
    let status = status.unwrap_or_default();
    let truncation = status.get_document("oplogTruncation").ok();
    truncation
        .and_then(min_retention_seconds)
        .unwrap_or_default()
}

fn min_retention_seconds(truncation: &Document) -> Option<u64> {
    let name = "oplogMinRetentionHours";
    match truncation.get_f64(name) {
        Ok(hours) => Some(seconds(hours)),
        Err(_absent_or_whole) => Some(bson_u64(truncation, name)?.saturating_mul(3600)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, as a time may"
)]
fn seconds(hours: f64) -> u64 {
    (hours * SECONDS_PER_HOUR) as u64
}

/// Bytes of uncompressed documents in the user databases.
async fn data_bytes(source: &Cluster) -> Result<u64, Error> {
    let mut total: u64 = 0;
    for database in user_databases_within(&source.client, PATIENCE).await? {
        let stats = source
            .client
            .driver()
            .database(&database)
            .run_command(doc! { "dbStats": 1 })
            .await?;
        total = total.saturating_add(bson_u64(&stats, "dataSize").unwrap_or(0));
    }
    Ok(total)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_longer_than_the_window_is_warned_of() {
        assert_eq!(oplog_warning(3600, 0), None);
        assert_eq!(oplog_warning(3600, 3600 * COPY_BYTES_PER_SECOND), None);
        let warning = oplog_warning(3600, 10_000_000_000_000).expect("a warning");
        assert!(
            warning.contains("60 minutes") && warning.contains("138 hours"),
            "{warning}"
        );
        assert!(warning.contains("replSetResizeOplog"), "{warning}");
    }

    #[test]
    fn an_oplog_that_is_not_full_yet_will_hold_more() {
        assert_eq!(when_full(10, 100, 1000), 100);
        assert_eq!(when_full(10, 1000, 1000), 10);
        assert_eq!(when_full(10, 1001, 1000), 10);
        assert_eq!(when_full(10, 0, 1000), 10);
        assert_eq!(when_full(0, 10, 1000), 100);
        assert_eq!(when_full(u64::MAX, 1, 1000), u64::MAX);
    }
}
