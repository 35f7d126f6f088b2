//! The load of a cluster, as its primary knows it: progress of the secondaries, tickets and cache.

use std::{collections::HashSet, time::Duration};

use bson::{DateTime, Document, Timestamp, doc};
use serde::Deserialize;

use super::{
    super::{Error, reply::bson_number},
    client::Client,
    retry::bounded,
};
use crate::model::ClusterTime;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Sections of `serverStatus` that are not read.
const UNREAD_SECTIONS: [&str; 15] = [
    "asserts",
    "connections",
    "extra_info",
    "globalLock",
    "indexBulkBuilder",
    "indexStats",
    "locks",
    "metrics",
    "network",
    "opLatencies",
    "opcounters",
    "tcmalloc",
    "tenantMigrations",
    "transactions",
    "twoPhaseCommitCoordinator",
];

/// A reading of `serverStatus` on the primary.
#[derive(Clone, Debug)]
pub struct ClusterLoad {
    /// The primary's clock.
    pub at: DateTime,
    /// `host:port` of the primary.
    pub primary: String,
    /// Version of the replica set's configuration.
    pub set_version: i64,
    /// The newest write of the primary.
    pub newest: ClusterTime,
    /// The secondaries that answer the primary; `None` from a server that does not report them.
    pub secondaries: Option<Vec<SecondaryProgress>>,
    /// The pressure on the primary's storage engine.
    pub pressure: StoragePressure,
}

/// The progress of a secondary, as it has reported it to its primary.
#[derive(Clone, Debug)]
pub struct SecondaryProgress {
    /// `_id` of the member in the replica set's configuration.
    pub id: i64,
    /// `host:port` of the member.
    pub host: String,
    /// The newest write that it has applied.
    pub applied: ClusterTime,
}

/// Use of a primary's limited resources. A value is 0 or `false` where the server does not report it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoragePressure {
    /// Share of the cache in use, 0 to 1.
    pub cache: f64,
    /// Share of the cache with changes that are not written yet, 0 to 1.
    pub dirty: f64,
    /// The fixed number of tickets of reads, or of writes, if all of them are taken.
    pub exhausted_tickets: Option<i64>,
    /// The server slows its own writers, since a majority lags.
    pub flow_control: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerStatus {
    local_time: DateTime,
    repl: Replication,
    wired_tiger: Option<WiredTiger>,
    flow_control: Option<FlowControl>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replication {
    me: String,
    set_version: i64,
    last_write: LastWrite,
    replication_progress: Option<Vec<Member>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastWrite {
    op_time: OpTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    member_id: i64,
    host: String,
    last_applied_op_time: OpTime,
    heartbeat_applied_op_time: OpTime,
}

#[derive(Deserialize)]
struct OpTime {
    ts: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WiredTiger {
    cache: Option<Cache>,
    concurrent_transactions: Option<Tickets>,
}

#[derive(Deserialize)]
struct Cache {
    #[serde(rename = "bytes currently in the cache")]
    used: f64,
    #[serde(rename = "tracked dirty bytes in the cache")]
    dirty: f64,
    #[serde(rename = "maximum bytes configured")]
    most: f64,
}

#[derive(Deserialize)]
struct Tickets {
    read: TicketPool,
    write: TicketPool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TicketPool {
    available: i64,
    total_tickets: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlowControl {
    is_lagged: bool,
}

/// Reads the load of a cluster, once, from its primary (privilege `serverStatus`).
///
/// # Errors
/// [`Error::NoAnswer`] after `ANSWER`; [`Error::Reply`] for a reply of another shape.
pub async fn cluster_load(client: &Client) -> Result<ClusterLoad, Error> {
    let mut command = doc! { "serverStatus": 1, "repl": 1 };
    command.extend(
        UNREAD_SECTIONS
            .iter()
            .map(|section| ((*section).to_owned(), 0.into())),
    );
    let status = ask(client, command).await?;
    let status: ServerStatus = bson::deserialize_from_document(status)
        .map_err(|_malformed| Error::Reply("serverStatus"))?;
    Ok(ClusterLoad::from(status))
}

/// Ids of the members that apply writes late on purpose (privilege `replSetGetConfig`).
///
/// # Errors
/// As [`cluster_load`].
pub async fn delayed_members(client: &Client) -> Result<HashSet<i64>, Error> {
    let reply = ask(client, doc! { "replSetGetConfig": 1 }).await?;
    let members = reply
        .get_document("config")
        .and_then(|config| config.get_array("members"))
        .map_err(|_missing| Error::Reply("config.members"))?;
    let is_delayed =
        |member: &&Document| bson_number(member, "secondaryDelaySecs").is_some_and(|by| by > 0);
    let members = members.iter().filter_map(|member| member.as_document());
    Ok(members
        .filter(is_delayed)
        .filter_map(|member| bson_number(member, "_id"))
        .collect())
}

async fn ask(client: &Client, command: Document) -> Result<Document, Error> {
    let admin = client.database("admin");
    bounded(Some(ANSWER), async {
        Ok(admin.driver().run_command(command).await?)
    })
    .await
}

impl From<ServerStatus> for ClusterLoad {
    fn from(status: ServerStatus) -> Self {
        let ServerStatus {
            local_time,
            repl,
            wired_tiger,
            flow_control,
        } = status;
        let me = repl.me;
        let members = repl.replication_progress.map(|members| {
            let others = members.into_iter().filter(|member| member.host != me);
            // A member that does not answer heartbeats, and an arbiter, have an empty time.
            let others = others.filter(Member::answers);
            others.map(SecondaryProgress::from).collect()
        });
        Self {
            at: local_time,
            primary: me,
            set_version: repl.set_version,
            newest: repl.last_write.op_time.ts.into(),
            secondaries: members,
            pressure: StoragePressure {
                flow_control: flow_control.is_some_and(|control| control.is_lagged),
                ..wired_tiger.map(StoragePressure::from).unwrap_or_default()
            },
        }
    }
}

impl Member {
    fn answers(&self) -> bool {
        self.heartbeat_applied_op_time.ts.time > 0 && self.last_applied_op_time.ts.time > 0
    }
}

impl From<Member> for SecondaryProgress {
    fn from(member: Member) -> Self {
        Self {
            id: member.member_id,
            host: member.host,
            applied: member.last_applied_op_time.ts.into(),
        }
    }
}

impl From<WiredTiger> for StoragePressure {
    fn from(engine: WiredTiger) -> Self {
        let (cache, dirty) = engine.cache.map_or((0.0, 0.0), |cache| {
            let most = cache.most.max(1.0);
            (cache.used / most, cache.dirty / most)
        });
        let exhausted_tickets = engine.concurrent_transactions.and_then(|pools| {
            [pools.read, pools.write]
                .iter()
                .find(|pool| pool.available == 0)
                .map(|pool| pool.total_tickets)
        });
        Self {
            cache,
            dirty,
            exhausted_tickets,
            flow_control: false,
        }
    }
}
