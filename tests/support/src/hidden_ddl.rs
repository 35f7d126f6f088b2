//! Sources whose change streams carry no DDL but renames and drops: the host finds it in the catalog, and resyncs.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    Comparison, Rig,
    host::{DEADLINE, can_commit, text},
};

/// The error of a commit that finds hidden DDL.
const NAME: &str = "SourceCatalogChanged";

/// Waits until hidden DDL has led to another resync than the one of the progress `before`, and the sync is in step.
pub async fn in_step_again(rig: &Rig, before: &Value) -> Result<()> {
    let at = |progress: &Value| progress.pointer("/resync/at").cloned();
    rig.host
        .wait_until("a resync brings hidden DDL", DEADLINE, |progress| {
            let is_done = progress.pointer("/resync/done") == Some(&Value::Bool(true));
            is_done && at(progress) != at(before) && can_commit(progress)
        })
        .await?;
    Ok(())
}

/// Calls commit, and waits until it is done or undone by hidden DDL. Returns the progress by then.
async fn end_of_commit(rig: &mut Rig) -> Result<Value> {
    rig.allow_log(NAME);
    rig.host.commit().await?;
    let ended = rig
        .host
        .wait_until("the commit ends", DEADLINE, |progress| {
            ["COMMITTED", "RUNNING"].contains(&text(progress, "state"))
        })
        .await?;
    let warnings = ended.get("warnings").map(Value::to_string);
    let warnings = warnings.unwrap_or_default();
    ensure!(
        text(&ended, "state") == "COMMITTED" || warnings.contains(NAME),
        "the commit is undone: {warnings}"
    );
    Ok(ended)
}

/// A commit that must be undone by hidden DDL, and the resync that brings it.
pub async fn undone_commit(rig: &mut Rig) -> Result<()> {
    let ended = end_of_commit(rig).await?;
    ensure!(
        text(&ended, "state") == "RUNNING",
        "hidden DDL has not undone the commit"
    );
    in_step_again(rig, &ended).await
}

/// [`Rig::finish`] seconds after the last DDL: a commit that finds it is undone, and called again after the resync.
pub async fn finish(mut rig: Rig) -> Result<Comparison> {
    rig.host.wait_can_commit().await?;
    let ended = end_of_commit(&mut rig).await?;
    if text(&ended, "state") == "COMMITTED" {
        return rig.close().await;
    }
    in_step_again(&rig, &ended).await?;
    rig.finish().await
}
