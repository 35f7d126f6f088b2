//! The way back: a committed sync in the other direction.

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{
    ReplicaSet, Rig,
    compare::compare,
    guide,
    host::{DEADLINE, text},
    wait::Look,
    wait_until,
};

use crate::{
    cutover::{fill, is_blocked, lift, secure},
    steps::{find, insert, run, update},
};

fn reversible() -> Value {
    json!({ "reversible": true, "enableUserWriteBlocking": "sourceAndDestination" })
}

async fn reverse(rig: &Rig) -> Result<()> {
    let answer = rig.host.call("POST", "/api/v1/reverse", "{}").await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// Waits until a document of one cluster is on the other.
async fn arrives(set: &ReplicaSet, collection: &str, id: i32) -> Result<()> {
    wait_until("a document", DEADLINE, async || {
        Ok(match find(&set.db("app"), collection, id).await? {
            Some(_) => Look::Done(()),
            None => Look::NotYet(format!("no {collection} {id}")),
        })
    })
    .await
}

async fn commit(rig: &Rig) -> Result<()> {
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let all = |_: &str, _: &str| true;
    compare(rig.source.client(), rig.destination.client(), &all)
        .await?
        .into_result()?;
    Ok(())
}

/// Writes as applications do after the cutover: documents in another order than a unique index would allow, a new
/// collection, a new index.
async fn use_it(set: &ReplicaSet, round: i32) -> Result<()> {
    let database = set.db("app");
    for n in 0..50 {
        let (this, next) = (n, n + 1);
        update(
            &database,
            "c",
            next,
            doc! { "$set": { "n": 100_000 * round + 10_000 + next } },
        )
        .await?;
        update(
            &database,
            "c",
            this,
            doc! { "$set": { "n": 100_000 * round + 20_000 + this } },
        )
        .await?;
    }
    let name = format!("since{round}");
    insert(&database, &name, vec![doc! { "_id": round }]).await?;
    let index = doc! { "key": { format!("k{round}"): 1 }, "name": &name, "unique": false };
    run(&database, doc! { "createIndexes": "c", "indexes": [index] }).await?;
    insert(&database, "capped", vec![doc! { "_id": 500 + round }]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f127_a_committed_sync_is_reversed_again_and_again() -> Result<()> {
    let rig = Rig::start().await?;
    fill(&rig).await?;
    rig.host.start(reversible()).await?;
    commit(&rig).await?;
    for round in 1..=3 {
        let (used, other) = match round % 2 {
            1 => (&rig.destination, &rig.source),
            _ => (&rig.source, &rig.destination),
        };
        // Written before the call: the position was taken before `canWrite`.
        use_it(used, round).await?;
        reverse(&rig).await?;
        let progress = rig.host.progress().await?;
        ensure!(text(&progress, "state") == "RUNNING", "{progress:#}");
        let name = format!("since{round}");
        arrives(other, &name, round).await?;
        insert(&used.db("app"), &name, vec![doc! { "_id": 10 + round }]).await?;
        arrives(other, &name, 10 + round).await?;
        commit(&rig).await?;
        // Without access control the old cluster can be blocked, and the new cluster is open.
        ensure!(is_blocked(used).await? && !is_blocked(other).await?);
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A host that dies before or after the deciding write goes on in the one or the other direction.
#[tokio::test(flavor = "multi_thread")]
async fn f128_a_kill_in_a_reverse() -> Result<()> {
    for point in ["reverse_prepared", "reversed", "relaxed_again"] {
        let mut rig = Rig::start().await?;
        rig.allow_log("killed by TIDEGATE_KILL_AT");
        fill(&rig).await?;
        rig.host.start(reversible()).await?;
        commit(&rig).await?;
        use_it(&rig.destination, 1).await?;
        rig.host.kill()?;
        rig.host.restart_to_be_killed(Some(point)).await?;
        rig.host.wait_for_state("COMMITTED").await?;
        // The answer may be lost with the host.
        let _ = rig.host.call("POST", "/api/v1/reverse", "{}").await;
        rig.host.wait_for_end().await.context(point)?;
        rig.host.restart().await?;
        if point == "reverse_prepared" {
            rig.host.wait_for_state("COMMITTED").await.context(point)?;
            reverse(&rig).await?;
        }
        rig.host.wait_for_state("RUNNING").await.context(point)?;
        arrives(&rig.source, "since1", 1).await.context(point)?;
        commit(&rig).await.context(point)?;
        rig.log.check()?;
        rig.abandon();
    }
    Ok(())
}

/// Under access control both clusters stay blocked for others but for the one that is in use.
#[tokio::test(flavor = "multi_thread")]
async fn f129_a_reverse_keeps_the_blocks() -> Result<()> {
    let mut rig = secure(support::rig::Options::default()).await?;
    guide::grant(&rig.source, "tidegateDestination").await?;
    guide::grant(&rig.destination, "tidegateSource").await?;
    rig.host.restart().await?;
    fill(&rig).await?;
    rig.host.start(reversible()).await?;
    commit(&rig).await?;
    ensure!(is_blocked(&rig.source).await?);
    use_it(&rig.destination, 1).await?;
    reverse(&rig).await?;
    arrives(&rig.source, "since1", 1).await?;
    ensure!(
        is_blocked(&rig.source).await?,
        "still blocked, for all but the sync"
    );
    commit(&rig).await?;
    ensure!(!is_blocked(&rig.source).await? && is_blocked(&rig.destination).await?);
    lift(&rig.destination).await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f130_a_start_that_has_no_way_back_is_refused() -> Result<()> {
    let rig = Rig::start().await?;
    fill(&rig).await?;
    let base = json!({ "source": "cluster0", "destination": "cluster1", "reversible": true });
    for (more, error) in [
        (json!({}), "InvalidField"),
        (json!({ "buildIndexes": "never" }), "InvalidField"),
        (
            json!({ "documentFilter": { "field": "n", "matchValues": [1] } }),
            "NotSupported",
        ),
        (
            json!({ "namespaceRemap": [{ "from": { "database": "a" }, "to": { "database": "b" } }] }),
            "NotSupported",
        ),
        (
            json!({ "plugins": [{ "component": "field-mask", "config": { "rules": [] } }] }),
            "NotSupported",
        ),
    ] {
        let mut body = base.clone();
        let fields = body.as_object_mut().context("an object")?;
        if more != json!({}) {
            fields.insert("enableUserWriteBlocking".to_owned(), json!(true));
        }
        fields.extend(more.as_object().context("an object")?.clone());
        let answer = rig
            .host
            .call("POST", "/api/v1/start", &body.to_string())
            .await?;
        ensure!(answer.error() == error, "{more}: {answer:?}");
    }
    // Namespace filters have a way back.
    let mut filtered = reversible();
    filtered["includeNamespaces"] = json!([{ "database": "app" }]);
    rig.host.start(filtered).await?;
    commit(&rig).await?;
    use_it(&rig.destination, 1).await?;
    insert(&rig.destination.db("other"), "c", vec![doc! { "_id": 1 }]).await?;
    reverse(&rig).await?;
    arrives(&rig.source, "since1", 1).await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    ensure!(find(&rig.source.db("other"), "c", 1).await?.is_none());
    rig.abandon();

    // A committed sync that was not started so.
    let rig = Rig::start().await?;
    rig.host.start(json!({})).await?;
    rig.commit().await?;
    let answer = rig.host.call("POST", "/api/v1/reverse", "{}").await?;
    ensure!(answer.error() == "NotSupported", "{answer:?}");
    rig.abandon();
    Ok(())
}

/// The commands of docs/cutover.md, as they stand.
#[tokio::test(flavor = "multi_thread")]
async fn f131_the_night_goes_as_the_page_says() -> Result<()> {
    let page = include_str!("../../../docs/cutover.md");
    let script = guide::script(&guide::blocks(page))?;
    let rig = Rig::start().await?;
    fill(&rig).await?;
    rig.host.start(reversible()).await?;
    let port = rig.host.port().to_string();
    let ran = tokio::task::spawn_blocking(move || {
        std::process::Command::new("bash")
            .args(["-c", &script])
            .env("PORT", port)
            .output()
    });
    let ran = ran.await??;
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    ensure!(ran.status.success(), "{out}\n{err}");
    ensure!(out.contains("\"blockedMs\":"), "{out}");
    use_it(&rig.destination, 1).await?;
    arrives(&rig.source, "since1", 1).await?;
    commit(&rig).await?;
    rig.abandon();
    Ok(())
}
