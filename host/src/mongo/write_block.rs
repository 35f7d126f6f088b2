//! The server's block of user writes (manual: `setUserWriteBlockMode`), which a sync sets and lifts.
//!
//! Facts of the server, tried on 6.0.5: the command waits for the end of every open transaction, and every other
//! operation, reads included, waits for the command. It has no write concern and no guard, so a late packet can set or
//! lift a block at any time. It kills index builds in progress (276). Users with `bypassWriteBlockingMode` are exempt;
//! without access control no user is. The databases `admin`, `config` and `local` are not blocked.

use std::{fmt, time::Duration};

use bson::{Bson, Document, doc};
use futures::TryStreamExt;

use super::{
    Client, Delivery, Error, Fence,
    cluster::{bounded, send_once},
    code,
    reply::bson_number,
};

/// Time in which the server has to set or lift a block. All other operations of the cluster may wait that long.
const STALL: Duration = Duration::from_millis(300);

/// Time for the answer, beyond `STALL`.
const ANSWER: Duration = Duration::from_secs(5);

/// `repl.userWriteBlockMode` of a cluster that is blocked.
const BLOCKED: i64 = 2;

/// An open transaction, by its client. Invariant: no statement, and no content of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Address of the client.
    pub client: String,
    /// Application name of the client; empty without one.
    pub app_name: String,
    /// Age of the transaction.
    pub open: Duration,
    /// Id of the session, for `killSessions`.
    pub session: String,
}

impl fmt::Display for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            app_name,
            open,
            session,
        } = self;
        write!(
            f,
            "a transaction of client {client} (application \"{app_name}\", session {session}), open for {} s",
            open.as_secs()
        )
    }
}

/// Whether user writes are blocked on the primary. Sent once, like [`super::ping_ms`].
///
/// # Errors
/// [`Error::NoAnswer`] after 5 s.
pub async fn is_write_blocked(client: &Client) -> Result<bool, Error> {
    let ask = doc! { "serverStatus": 1, "repl": 1, "metrics": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0 };
    let admin = client.database("admin");
    let status = bounded(Some(ANSWER), async {
        Ok(admin.driver().run_command(ask).await?)
    });
    let status = status.await?;
    let mode = status.get_document("repl").ok();
    let mode = mode.and_then(|repl| bson_number(repl, "userWriteBlockMode"));
    match mode {
        Some(mode) => Ok(mode == BLOCKED),
        // No server before 6.0 has a block.
        None if status
            .get_str("version")
            .is_ok_and(|version| version.starts_with(['4', '5'])) =>
        {
            Ok(false)
        }
        None => Err(Error::Reply("repl.userWriteBlockMode")),
    }
}

/// Sets or lifts the block, once, within `fence` where there is one. `Delivery::Unknown`: the command may have been done, or be done
/// later. After an open transaction has kept the server from it, the error has the code 50, and [`is_write_blocked`]
/// knows the outcome.
///
/// # Errors
/// A permanent error of the command, or of the fence.
pub async fn set_write_block(
    client: &Client,
    fence: Option<&Fence>,
    block: bool,
) -> Result<Delivery<()>, Error> {
    let stall = i32::try_from(STALL.as_millis()).unwrap_or(i32::MAX);
    let command = doc! { "setUserWriteBlockMode": 1, "global": block, "maxTimeMS": stall };
    let admin = client.database("admin");
    let send = async {
        admin.driver().run_command(command).await?;
        Ok(())
    };
    send_once(client.contact(), ANSWER, async {
        match fence {
            Some(fence) => fence.pass(|_left| send).await,
            None => send.await,
        }
    })
    .await
}

/// The open transactions of all users that are older than `age` (privilege `inprog`), oldest first. `None` if this user
/// may not see them.
///
/// # Errors
/// Errors of the read other than a missing privilege.
pub async fn open_transactions(
    client: &Client,
    age: Duration,
) -> Result<Option<Vec<OpenTransaction>>, Error> {
    let admin = client.database("admin");
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let pipeline = [
        doc! { "$currentOp": { "allUsers": true, "idleSessions": true } },
        doc! { "$match": {
            // Retryable single writes are shown with a transaction, too.
            "transaction.parameters.autocommit": false,
            "transaction.timeOpenMicros": { "$gte": micros },
        } },
        doc! { "$sort": { "transaction.timeOpenMicros": -1 } },
        doc! { "$limit": 5 },
        doc! { "$project": { "client": 1, "appName": 1, "lsid": 1, "transaction.timeOpenMicros": 1 } },
    ];
    let found = bounded(Some(ANSWER), async {
        let found = admin.driver().aggregate(pipeline).await?;
        Ok(found.try_collect::<Vec<Document>>().await?)
    });
    match found.await {
        Ok(found) => Ok(Some(found.iter().map(open_transaction).collect())),
        Err(error) if error.has_code(code::UNAUTHORIZED) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_transaction(found: &Document) -> OpenTransaction {
    let text = |field| found.get_str(field).unwrap_or_default().to_owned();
    let micros = found
        .get_document("transaction")
        .ok()
        .and_then(|transaction| bson_number(transaction, "timeOpenMicros"));
    let id = found.get_document("lsid").ok();
    let id = match id.and_then(|lsid| lsid.get("id")) {
        Some(Bson::Binary(id)) => Some(&id.bytes),
        _ => None,
    };
    OpenTransaction {
        client: text("client"),
        app_name: text("appName"),
        open: Duration::from_micros(u64::try_from(micros.unwrap_or_default()).unwrap_or_default()),
        session: id
            .and_then(|bytes| uuid::Uuid::from_slice(bytes).ok())
            .map(|id| id.to_string())
            .unwrap_or_default(),
    }
}
