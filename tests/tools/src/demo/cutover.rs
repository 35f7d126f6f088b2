//! The second act, on this release: both clusters verified while writers go on, a commit that blocks their writes, the
//! way back, and another commit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mongodb::Client;
use serde_json::{Value, json};
use support::{
    Comparison, Document, ReplicaSet, Writer, doc,
    host::{number, text},
    wait::{Look, wait_until},
    workload::{Loaded, Pace, Refusal, is_refused_by_block},
};

use super::{
    Options,
    show::{Show, millions},
    stage::{Stage, application},
    steps::{self, DEADLINE},
    summary::{Commit, Cutover},
};

/// Fewer than in the first act: all documents are compared four times.
const DOCUMENTS: u64 = 10_000;

/// Slower than the first act's, so that the sync is in step on a busy machine, too.
const PACE: Pace = Pace {
    operations_per_second: 150,
    ddl_every: Some(Duration::from_millis(1500)),
};

/// The commit's own limit. A commit takes a fraction of it.
const MAX_BLOCK_SECONDS: u64 = 60;

/// A cluster as an application sees it.
struct Side<'a> {
    set: &'a ReplicaSet,
    application: Client,
    name: &'static str,
}

pub(super) async fn play(stage: &Stage, show: &Show, options: &Options) -> Result<Cutover> {
    let documents = DOCUMENTS.min(options.documents);
    let (old, new) = open(stage, show).await?;
    let loaded = load(stage, show, documents, options.seed).await?;

    let write = |side: &Side<'_>, seed| Writer::start(&side.application, documents, seed, PACE);
    let writer = write(&old, options.seed);
    show.done(
        "an application writes to the old cluster all the while, transactions and DDL included",
    );
    start(stage, show).await?;
    steps::reach_can_commit(stage, show, steps::COPIED).await?;
    let there = cut_over(stage, show, writer, (&old, &new)).await?;

    // Another seed: the first writer's choices again would delete nothing.
    let writer = write(&new, options.seed.wrapping_add(1));
    reverse(stage, show, &writer).await?;
    let reached = "unique indexes built again, change events of the new cluster applied";
    steps::reach_can_commit(stage, show, reached).await?;
    let back = cut_over(stage, show, writer, (&new, &old)).await?;
    Ok(Cutover {
        loaded,
        there,
        back,
    })
}

/// The old and the new cluster.
async fn open<'a>(stage: &'a Stage, show: &Show) -> Result<(Side<'a>, Side<'a>)> {
    show.title("Act 2: verified while it runs, writes blocked at the commit, and back again");
    let old = Side {
        set: &stage.source,
        application: application(&stage.source).await?,
        name: "old",
    };
    let new = Side {
        set: &stage.destination,
        application: application(&stage.destination).await?,
        name: "new",
    };
    show.done(&format!(
        "two replica sets with TLS and users, old and new: {} → {}",
        old.set.address(),
        new.set.address()
    ));
    show.detail("tidegate's users have the roles of docs/preflight.md and no others");
    Ok((old, new))
}

async fn load(stage: &Stage, show: &Show, documents: u64, seed: u64) -> Result<Loaded> {
    let loaded = steps::load(stage, show, documents, seed).await?;
    show.done(&format!(
        "{} documents in {} collections",
        millions(loaded.documents),
        loaded.collections
    ));
    Ok(loaded)
}

async fn start(stage: &Stage, show: &Show) -> Result<()> {
    let options = json!({
        "reversible": true,
        "enableUserWriteBlocking": "sourceAndDestination",
        "verification": { "enabled": true },
    });
    stage.host.start(options.clone()).await?;
    show.done(&format!("POST /api/v1/start on port {}", stage.host.port()));
    for (field, value) in options.as_object().into_iter().flatten() {
        show.detail(&format!("{field}: {value}"));
    }
    Ok(())
}

/// Turns the sync round, while the application writes to the new cluster.
async fn reverse(stage: &Stage, show: &Show, writer: &Writer) -> Result<()> {
    const BEFORE: u64 = 100;
    steps::wait_for_writes(writer, BEFORE).await?;
    show.done(&format!(
        "the application writes to the new cluster: {BEFORE} writes before the way back is asked for"
    ));
    let answer = stage.host.call("POST", "/api/v1/reverse", "{}").await?;
    ensure!(
        answer.status == 200,
        "reverse answers {}: {}",
        answer.status,
        answer.body
    );
    let progress = stage.host.progress().await?;
    let mapping = progress.get("directionMapping").unwrap_or(&Value::Null);
    show.done(&format!(
        "POST /api/v1/reverse: {}, {} → {}",
        text(&progress, "state"),
        text(mapping, "Source"),
        text(mapping, "Destination")
    ));
    Ok(())
}

/// Leads the application from one cluster to the other, which are equal then.
async fn cut_over(
    stage: &Stage,
    show: &Show,
    writer: Writer,
    (from, to): (&Side<'_>, &Side<'_>),
) -> Result<Commit> {
    let (verified, mismatches) = verify(stage, show, from).await?;
    let committed = commit(stage, show, writer, to).await?;
    committed.show(show, from, to)?;
    let compared = compare_all(stage, show).await?;
    Ok(Commit {
        verified,
        mismatches,
        blocked_ms: committed.blocked_ms()?,
        outage: committed.outage(),
        counts: committed.refusal.counts,
        compared,
    })
}

/// Waits until every document is proven equal as of now, beside the writes, and the lag is small. Returns the numbers of compared documents
/// and of mismatches.
async fn verify(stage: &Stage, show: &Show, from: &Side<'_>) -> Result<(u64, u64)> {
    let step = show.busy("comparing both clusters byte for byte beside the writes");
    let now = steps::cluster_time(from.set).await?;
    let in_step = |progress: &Value| {
        let verified_to = number(progress, "/verification/verifiedTo/T");
        let phase = progress.pointer("/verification/source/phase");
        let is_verified = phase == Some(&json!("stream hashing")) && verified_to > now;
        is_verified && steps::is_in_step(progress)
    };
    let progress = stage
        .host
        .wait_until("verified up to now", DEADLINE, in_step)
        .await?;
    step.clear();
    let mismatches = progress.pointer("/verification/mismatches");
    let mismatches = mismatches.and_then(Value::as_u64);
    let mismatches = mismatches.context("the mismatches are not counted")?;
    ensure!(mismatches == 0, "{mismatches} mismatches");
    let count = |field: &str| number(&progress, &format!("/verification/source/{field}"));
    let documents = count("hashedDocumentCount");
    show.done(&format!(
        "verified beside the writes: {} documents of {} collections compared byte for byte, {mismatches} mismatches",
        millions(documents),
        count("scannedCollectionCount")
    ));
    Ok((documents, mismatches))
}

/// A commit, as the application and the host report it.
struct Committed {
    refusal: Refusal,
    /// When the application was told that the other cluster has accepted a write.
    accepted: Instant,
    /// How many of its writes the other cluster has refused before.
    refused_there: u64,
    /// From the call of commit to COMMITTED.
    took: Duration,
    /// The progress in COMMITTED.
    progress: Value,
}

impl Committed {
    /// The time without an accepted write, by the application's clock.
    fn outage(&self) -> Duration {
        self.accepted - self.refusal.first
    }

    /// The time without an accepted write, by the host.
    fn blocked_ms(&self) -> Result<u64> {
        let blocked = self.progress.get("blockedMs").and_then(Value::as_u64);
        blocked.context("no blockedMs after COMMITTED")
    }

    fn show(&self, show: &Show, from: &Side<'_>, to: &Side<'_>) -> Result<()> {
        let counts = self.refusal.counts;
        show.done(&format!(
            "the {} cluster refuses the application's writes, UserWritesBlocked (371) on {} connections, after {} inserts, {} updates, {} replaces, {} deletes, {} transactions, {} DDL",
            from.name, self.refusal.refused,
            counts.inserts, counts.updates, counts.replaces, counts.deletes, counts.transactions, counts.ddl
        ));
        show.done(&format!(
            "COMMITTED after {} ms: writes blocked for {} ms (blockedMs)",
            self.took.as_millis(),
            self.blocked_ms()?
        ));
        show.detail(&format!(
            "the application, by its own clock: {} ms from the first refusal to an accepted write on the {} cluster, after {} refusals there",
            self.outage().as_millis(),
            to.name,
            self.refused_there
        ));
        Ok(())
    }
}

/// Commits while the application writes, until the server refuses its writes. Meanwhile the application tries the other
/// cluster until a write is accepted.
async fn commit(stage: &Stage, show: &Show, writer: Writer, to: &Side<'_>) -> Result<Committed> {
    stage.host.wait_can_commit().await?;
    let begun = Instant::now();
    let body = json!({ "maxBlockSeconds": MAX_BLOCK_SECONDS }).to_string();
    let answer = stage.host.call("POST", "/api/v1/commit", &body).await?;
    ensure!(
        answer.status == 200,
        "commit answers {}: {}",
        answer.status,
        answer.body
    );
    show.done(&format!(
        "POST /api/v1/commit {body}, while the application writes"
    ));
    let host = async { anyhow::Ok((committed(stage).await?, begun.elapsed())) };
    let (refusal, (accepted, refused_there), (progress, took)) = tokio::try_join!(
        writer.until_blocked(DEADLINE),
        first_write(&to.application),
        host
    )?;
    Ok(Committed {
        refusal,
        accepted,
        refused_there,
        took,
        progress,
    })
}

/// Waits for COMMITTED. Fails if the commit undoes itself.
async fn committed(stage: &Stage) -> Result<Value> {
    let ended = |progress: &Value| ["COMMITTED", "RUNNING"].contains(&text(progress, "state"));
    let progress = stage.host.wait_until("COMMITTED", DEADLINE, ended).await?;
    if text(&progress, "state") == "RUNNING" {
        let warnings = progress.get("warnings").unwrap_or(&Value::Null);
        bail!("the commit undid itself: {warnings}");
    }
    Ok(progress)
}

/// Tries a write until the server accepts it, and takes the document away again. Returns the time of its answer, and
/// how many attempts a block has refused.
async fn first_write(application: &Client) -> Result<(Instant, u64)> {
    let reviews = application
        .database("shop")
        .collection::<Document>("reviews");
    let probe = doc! { "_id": "the first write after the cutover" };
    let mut refused = 0;
    let accepted = wait_until("an accepted write", DEADLINE, async || {
        match reviews.insert_one(&probe).await {
            Ok(_) => Ok(Look::Done(Instant::now())),
            Err(error) if is_refused_by_block(&error) => {
                refused += 1;
                Ok(Look::NotYet(error.to_string()))
            }
            Err(error) => Err(error).context("write to the other cluster"),
        }
    })
    .await?;
    reviews.delete_one(probe).await?;
    Ok((accepted, refused))
}

async fn compare_all(stage: &Stage, show: &Show) -> Result<Comparison> {
    let compared = steps::compare_all(stage, show, &|_: &str, _: &str| true).await?;
    show.done(&format!(
        "equal byte for byte: {} documents, {} collections, {} indexes",
        millions(compared.documents),
        compared.collections,
        compared.indexes
    ));
    Ok(compared)
}
