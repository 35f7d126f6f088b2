//! Cluster times.

use anyhow::{Context, Result};
use bson::{Timestamp, doc};
use mongodb::Client;
use serde_json::Value;
use support::host::number;

/// The newest time of the source.
pub(super) async fn operation_time(source: &Client) -> Result<Timestamp> {
    let admin = source.database("admin");
    let reply = admin.run_command(doc! { "ping": 1 }).await?;
    reply
        .get_timestamp("operationTime")
        .context("a reply without operationTime")
}

/// The earliest time after `time`.
pub(super) fn next(time: Timestamp) -> Timestamp {
    Timestamp {
        time: time.time,
        increment: time.increment + 1,
    }
}

/// The newest cluster time that the host says is applied.
pub(super) fn reported(progress: &Value) -> Timestamp {
    position(progress, "reported")
}

/// The persisted cluster time.
pub(super) fn safe(progress: &Value) -> Timestamp {
    position(progress, "safe")
}

/// The cluster time up to which every document is proven equal.
pub(super) fn verified(progress: &Value) -> Timestamp {
    at(progress, "/verification/verifiedTo")
}

/// Zero if the progress has none.
fn position(progress: &Value, name: &str) -> Timestamp {
    at(progress, &format!("/positions/{name}/clusterTime"))
}

fn at(progress: &Value, pointer: &str) -> Timestamp {
    let part = |part: &str| {
        let value = number(progress, &format!("{pointer}/{part}"));
        u32::try_from(value).unwrap_or(u32::MAX)
    };
    Timestamp {
        time: part("T"),
        increment: part("I"),
    }
}
