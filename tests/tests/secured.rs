//! A whole sync between two clusters with keyFile, users and TLS, by users that have only the roles of
//! `docs/preflight.md`.

use anyhow::{Context as _, Result, ensure};
use bson::Bson;
use serde_json::Value;
use support::rig::Options;
use support::workload::{self, Pace, dataset};
use support::{ReplicaSet, Rig, Writer, doc};

const GUIDE: &str = include_str!("../../docs/preflight.md");
const SEED: u64 = 29;
const DOCUMENTS: u64 = 5_000;
const WRITES: u64 = 300;

/// The `privileges` of a role in the guide.
fn privileges(role: &str) -> Result<Bson> {
    let (_, snippet) = GUIDE
        .split_once(&format!("role: \"{role}\""))
        .context("no such role")?;
    let (_, list) = snippet
        .split_once("privileges: ")
        .context("a role without privileges")?;
    let (list, _) = list
        .split_once(",\n  roles: []")
        .context("a role that holds others")?;
    let list: Value = serde_json::from_str(list).context("privileges that are not JSON")?;
    Ok(bson::serialize_to_bson(&list)?)
}

/// Creates the role and a user that has no other role. Returns its connection string.
async fn user_of_the_guide(set: &ReplicaSet, role: &str) -> Result<String> {
    let privileges = privileges(role)?;
    set.admin(doc! { "createRole": role, "privileges": privileges, "roles": [] })
        .await?;
    set.admin(doc! { "createUser": "tidegate", "pwd": "pw", "roles": [role] })
        .await?;
    Ok(set.uri_of("tidegate", "pw"))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_the_documented_roles_sync_over_tls() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    rig.set_scope(dataset::in_scope);
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = user_of_the_guide(&rig.source, "tidegateSource").await?;
    arguments.cluster1 = user_of_the_guide(&rig.destination, "tidegateDestination").await?;
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
