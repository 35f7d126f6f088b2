//! Users and roles before the commit: checks, refusals, and copies that a dead host has left.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use serde_json::json;
use support::{
    Rig,
    host::DEADLINE,
    proxy::{Failure, commands},
    rig::Options,
};

use crate::{
    steps::{DEATH, insert, run},
    users::{commit, conflicts, ids, stored, wait_for_counts, with_users},
};

/// A role that tidegate's user of the destination has stays, also where all clashes are to be overwritten: without it
/// the sync would lose its own privileges.
#[tokio::test(flavor = "multi_thread")]
async fn f164_a_role_that_tidegate_needs_is_never_overwritten() -> Result<()> {
    let mut rig = with_users().await?;
    rig.allow_log("not restored");
    let (source, destination) = (rig.source_db("sales"), rig.destination_db("sales"));
    let role = |name: &str, roles: Vec<&str>| doc! { "createRole": name, "privileges": [], "roles": roles };
    for name in ["inner", "outer"] {
        run(&source, role(name, vec!["readWrite"])).await?;
    }
    run(&destination, role("inner", vec!["read"])).await?;
    run(&destination, role("outer", vec!["inner"])).await?;
    let outer = doc! { "role": "outer", "db": "sales" };
    rig.destination
        .admin(doc! { "grantRolesToUser": "tidegate", "roles": [outer] })
        .await?;
    rig.host.restart().await?;
    rig.host
        .start(json!({ "usersAndRoles": { "onClash": "overwrite" } }))
        .await?;
    rig.host.wait_can_commit().await?;
    let counts =
        json!({ "users": 1, "roles": 1, "clashes": 2, "overwritten": 0, "missingRoles": 0 });
    wait_for_counts(&rig, &counts).await?;
    ensure!(conflicts(&rig).await? == ["role sales.inner stays", "role sales.outer stays"]);
    let before = stored(&rig.destination, "system.roles").await?;
    commit(&rig).await?;
    let after = stored(&rig.destination, "system.roles").await?;
    let kept = before.iter().all(|role| after.contains(role));
    ensure!(kept, "{:?} and {:?}", ids(&before), ids(&after));
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A privilege that is revoked while the sync runs is named before the commit, which is refused and blocks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn f165_a_refused_transfer_is_named_before_the_commit() -> Result<()> {
    let rig = with_users().await?;
    rig.host.start(json!({ "usersAndRoles": true })).await?;
    rig.host.wait_can_commit().await?;
    let role = ["tidegateDestinationUsers"];
    rig.destination
        .admin(doc! { "revokeRolesFromUser": "tidegate", "roles": &role[..] })
        .await?;
    rig.host
        .wait_until("the refusal", DEADLINE, |progress| {
            let users = &progress["usersAndRoles"];
            let failure = users["failure"].as_str().unwrap_or_default();
            failure.contains("createUser") && users["counts"].is_null()
        })
        .await?;
    let progress = rig.host.progress().await?;
    let warnings = progress["warnings"].to_string();
    ensure!(warnings.contains("commit is refused"), "{warnings}");
    let answer = rig.host.call("POST", "/api/v1/commit", "{}").await?;
    let text = answer.body.to_string();
    ensure!(answer.body["error"] == "MissingPrivileges", "{text}");
    ensure!(
        text.contains("createUser") && text.contains("Nothing was changed"),
        "{text}"
    );
    ensure!(rig.host.progress().await?["state"] == "RUNNING");
    insert(&rig.source_db("sales"), "a", vec![doc! { "_id": 2 }]).await?;
    rig.destination
        .admin(doc! { "grantRolesToUser": "tidegate", "roles": &role[..] })
        .await?;
    let warnings = commit(&rig).await?.join("\n");
    ensure!(!warnings.contains("sers and roles"), "{warnings}");
    let users = stored(&rig.destination, "system.users").await?;
    ensure!(ids(&users) == ["sales.app"], "{:?}", ids(&users));
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

/// A destination without the command for the transfer, as a hosted service may be: the start is refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn f166_a_destination_without_the_command_refuses_the_start() -> Result<()> {
    let rig = Rig::with(Options {
        proxied: true,
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("sales"), "a", vec![doc! { "_id": 1 }]).await?;
    let refused = rig
        .proxies()?
        .destination
        .on(commands("_mergeAuthzCollections"));
    let refused = refused.answer(Failure::of(8000, "AtlasError"));
    let body = json!({ "source": "cluster0", "destination": "cluster1", "usersAndRoles": true });
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &body.to_string())
        .await?;
    let text = answer.body.to_string();
    ensure!(answer.body["error"] == "NotSupported", "{text}");
    ensure!(
        text.contains("cluster1 refuses the command _mergeAuthzCollections"),
        "{text}"
    );
    ensure!(rig.host.progress().await?["state"] == "IDLE");
    rig.proxies()?.destination.remove(&refused);
    // Without access control, too.
    rig.host.start(json!({ "usersAndRoles": true })).await?;
    rig.finish().await.map(drop)
}

/// A host that dies between the copies of the credentials and their merge: the next host drops the copies before
/// anything else.
#[tokio::test(flavor = "multi_thread")]
async fn f167_copies_that_a_dead_host_has_left_are_dropped_at_the_takeover() -> Result<()> {
    let mut rig = with_users().await?;
    rig.allow_log(DEATH);
    rig.host
        .restart_to_be_killed(Some("principals_inserted"))
        .await?;
    rig.host.start(json!({ "usersAndRoles": true })).await?;
    rig.host.wait_can_commit().await?;
    // The answer may be lost with the host.
    let _ = rig.host.call("POST", "/api/v1/commit", "{}").await;
    rig.host.wait_for_end().await?;
    let copies = rig
        .destination_db("admin")
        .collection::<Document>("tempusers");
    ensure!(
        copies.count_documents(doc! {}).await? == 1,
        "no copy is left"
    );
    // The step before the next merge.
    rig.host
        .restart_to_be_killed(Some("commit_started"))
        .await?;
    rig.host.wait_for_end().await?;
    let left = rig.destination_db("admin").list_collection_names().await?;
    ensure!(
        !left.iter().any(|name| name.starts_with("temp")),
        "{left:?}"
    );
    ensure!(stored(&rig.destination, "system.users").await?.is_empty());
    rig.host.restart().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.compare().await?;
    let users = stored(&rig.destination, "system.users").await?;
    ensure!(ids(&users) == ["sales.app"], "{:?}", ids(&users));
    rig.log.check()?;
    rig.abandon();
    Ok(())
}
