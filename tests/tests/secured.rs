//! A whole sync between two clusters with keyFile, users and TLS, by users that have only the roles of
//! `docs/preflight.md`.

use anyhow::{Result, ensure};
use support::rig::Options;
use support::workload::{self, Pace, dataset};
use support::{Rig, Writer, doc, guide};

const SEED: u64 = 29;
const DOCUMENTS: u64 = 5_000;
const WRITES: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn users_with_the_documented_roles_sync_over_tls() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    rig.set_scope(dataset::in_scope);
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    rig.host.restart().await?;

    workload::load(rig.source.client(), DOCUMENTS, SEED).await?;

    let writer = Writer::start(rig.source.client(), DOCUMENTS, SEED, Pace::default());
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    support::wait_until(
        "enough writes during the sync",
        support::host::DEADLINE,
        async || {
            let written = writer.counts().total();
            Ok(match written >= WRITES {
                true => support::wait::Look::Done(()),
                false => support::wait::Look::NotYet(format!("{written} writes")),
            })
        },
    )
    .await?;
    writer.stop().await?;

    ensure!(!rig.log.has("pw@")?, "the log shows a password");
    rig.finish().await?;
    Ok(())
}

/// A privilege that is revoked while the sync runs.
#[tokio::test(flavor = "multi_thread")]
async fn f69_a_load_that_cannot_be_read_is_told() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    rig.set_scope(dataset::in_scope);
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = guide::user(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = guide::user(&rig.destination, "tidegateDestination").await?;
    rig.host.restart().await?;
    workload::load(rig.source.client(), DOCUMENTS, SEED).await?;
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    let load = doc! { "resource": { "cluster": true }, "actions": ["serverStatus"] };
    rig.destination
        .admin(doc! { "revokePrivilegesFromRole": "tidegateDestination", "privileges": [load] })
        .await?;
    let told = "The load of the destination cannot be read";
    rig.host
        .wait_until("a warning", support::host::DEADLINE, |progress| {
            let warnings = progress["warnings"].as_array();
            let about_load = warnings.into_iter().flatten();
            let about_load = about_load.filter(|warning| warning.to_string().contains(told));
            progress["state"] == "RUNNING" && about_load.count() == 1
        })
        .await?;
    rig.finish().await?;
    Ok(())
}
