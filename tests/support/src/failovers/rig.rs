//! The two clusters of a stage, each with its proxy.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result};
use bson::{Timestamp, doc};
use mongodb::{Client, options::WriteConcern};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    ReplicaSet,
    faults::Side,
    proxy::Proxy,
    replica_set::client,
    wait::{Look, wait_until},
    workload::dataset,
};

/// Longest time until a cluster is well again.
const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster, and the line to it.
pub(super) struct Cluster {
    pub(super) side: Side,
    /// Held by a failure of its members.
    pub(super) set: Mutex<ReplicaSet>,
    pub(super) proxy: Proxy,
    /// A client that goes on through failures.
    client: Client,
    uri: String,
    /// Applications write to it no more: what they wrote after a commit would be in no sync.
    is_quiet: AtomicBool,
}

impl Cluster {
    pub(super) async fn of(side: Side, set: ReplicaSet) -> Result<Self> {
        let proxy = Proxy::before(&set).await?;
        Ok(Self {
            side,
            client: set.client().clone(),
            uri: set.uri(),
            proxy,
            set: Mutex::new(set),
            is_quiet: AtomicBool::new(side == Side::Destination),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A client whose writes wait for no other member, so that they may be rolled back.
    pub(super) async fn hasty_client(&self) -> Result<Client> {
        client(&format!("{}&w=1", self.uri)).await
    }

    /// Ends the effect of a line's failure after this time.
    pub(super) async fn mend_after(&self, lasts: Duration, client: &str) -> Result<()> {
        sleep(lasts).await;
        self.proxy.mend(client);
        Ok(())
    }

    /// Applications do not write to the cluster any more, or do so again.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Relaxed);
    }

    /// Writes of an application to a member that is about to lose them, until they are refused. To a quiet cluster
    /// only the host writes.
    pub(super) async fn writes_to(&self, member: &Client) -> usize {
        if self.is_quiet.load(Relaxed) {
            // As long as the failure lasts.
            return std::future::pending().await;
        }
        let collection = member
            .database("shop")
            .collection::<bson::Document>("reviews");
        let mut accepted = 0;
        loop {
            let hasty = WriteConcern::nodes(1);
            let document = doc! { "doomed": bson::oid::ObjectId::new(), "n": 1 };
            let inserted = collection
                .insert_one(document)
                .write_concern(hasty.clone())
                .await;
            let update = doc! { "$inc": { "doomed": 1 } };
            let updated = collection
                .update_one(doc! { "_id": accepted % 20 }, update)
                .write_concern(hasty.clone())
                .await;
            let gone = doc! { "_id": 20 + accepted % 20 };
            let deleted = collection.delete_one(gone).write_concern(hasty).await;
            if inserted.is_err() && updated.is_err() && deleted.is_err() {
                return usize::try_from(accepted).unwrap_or_default();
            }
            accepted += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The cluster's newest time. The note takes an idle cluster past it.
    pub(super) async fn time(&self) -> Result<Timestamp> {
        let note = doc! { "appendOplogNote": 1, "data": { "test": "moves on" } };
        wait_until("a cluster takes a note", DEADLINE, async || {
            let admin = self.client.database("admin");
            let time = match admin.run_command(doc! { "ping": 1 }).await {
                Ok(reply) => reply.get_timestamp("operationTime")?,
                Err(error) => return Ok(Look::NotYet(error.to_string())),
            };
            // A failure may just have ended its primary.
            Ok(match admin.run_command(note.clone()).await {
                Ok(_) => Look::Done(time),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
        .await
    }

    /// Waits until all members are well.
    pub(super) async fn recover(&self) -> Result<()> {
        let set = self.set.lock().await;
        set.wait_for_primary().await?;
        set.in_step().await
    }

    /// Empties the cluster, and ends all that failures have left.
    pub(super) async fn begin_again(&self) -> Result<()> {
        self.proxy.begin_again();
        let set = self.set.lock().await;
        set.join();
        set.join_members().await.context("end a lag")?;
        set.wait_for_primary().await?;
        set.in_step().await?;
        // A transaction of a dead host would keep its collections from being dropped.
        set.admin(doc! { "killAllSessions": [] }).await?;
        lift_block(&set).await?;
        self.is_quiet.store(self.side == Side::Destination, Relaxed);
        set.drop_all().await
    }

    /// Drops what applications have written to a destination beside the namespaces of its sync.
    pub(super) async fn drop_out_of_scope(&self) -> Result<()> {
        let set = self.set.lock().await;
        lift_block(&set).await?;
        let others = dataset::COLLECTIONS
            .iter()
            .filter(|collection| !dataset::in_scope(collection.database, collection.name));
        for collection in others {
            let database = set.db(collection.database);
            database
                .collection::<bson::Document>(collection.name)
                .drop()
                .await?;
        }
        Ok(())
    }

    pub(super) async fn rolled_back(&self) -> usize {
        self.set.lock().await.rolled_back()
    }
}

/// Lifts the block that a sync with a way back has left. Where there is none, a repetition of the command after an
/// election is refused (189), since it waits for a majority to have the last write of an earlier term.
async fn lift_block(set: &ReplicaSet) -> Result<()> {
    const BLOCKED: i32 = 2;
    let status = set.admin(doc! { "serverStatus": 1 }).await?;
    let mode = status.get_document("repl")?.get("userWriteBlockMode");
    if mode.and_then(bson::Bson::as_i32) == Some(BLOCKED) {
        set.admin(doc! { "setUserWriteBlockMode": 1, "global": false })
            .await?;
    }
    Ok(())
}
