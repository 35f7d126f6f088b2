//! Users and roles, brought over at commit.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Client;
use serde_json::{Value, json};
use support::{ReplicaSet, Rig, guide, host::DEADLINE, replica_set, rig::Options};

use crate::{
    cutover::secure,
    steps::{DEATH, insert, run},
};

pub(crate) async fn with_users() -> Result<Rig> {
    let often = ("TIDEGATE_CHECK_USERS_MS".to_owned(), "1000".to_owned());
    let mut rig = secure(Options {
        host_environment: vec![often],
        ..Options::default()
    })
    .await?;
    guide::grant(&rig.source, "tidegateSourceUsers").await?;
    guide::grant(&rig.destination, "tidegateDestinationUsers").await?;
    rig.host.restart().await?;
    insert(&rig.source_db("sales"), "a", vec![doc! { "_id": 1 }]).await?;
    let sales = rig.source_db("sales");
    let reader = doc! { "createRole": "reader", "roles": [],
    "privileges": [{ "resource": { "db": "sales", "collection": "a" }, "actions": ["find"] }] };
    run(&sales, reader).await?;
    let app = doc! { "createUser": "app", "pwd": "pässword", "roles": ["reader"],
    "customData": { "team": "s3cret-of-user" },
    "authenticationRestrictions": [{ "clientSource": ["127.0.0.1"] }] };
    run(&sales, app).await?;
    let other = doc! { "createUser": "other", "pwd": "pw", "roles": ["read"] };
    run(&rig.source_db("elsewhere"), other).await?;
    Ok(rig)
}

/// Users or roles of a cluster by id, without `userId`.
pub(crate) async fn stored(set: &ReplicaSet, collection: &str) -> Result<Vec<Document>> {
    let of_sync = doc! { "_id": { "$nin": ["admin.tidegate", "admin.root"] } };
    let collection = set.db("admin").collection::<Document>(collection);
    let found = collection.find(of_sync).sort(doc! { "_id": 1 }).await?;
    let mut found: Vec<Document> = found.try_collect().await?;
    for document in &mut found {
        document.remove("userId");
    }
    Ok(found)
}

pub(crate) fn ids(stored: &[Document]) -> Vec<&str> {
    stored
        .iter()
        .filter_map(|document| document.get_str("_id").ok())
        .collect()
}

pub(crate) async fn can_log_in(
    set: &ReplicaSet,
    user: &str,
    password: &str,
    database: &str,
) -> Result<bool> {
    let uri = format!("{}&authSource={database}", set.uri_of(user, password));
    let client: Client = replica_set::client(&uri).await?;
    let found = client
        .database("sales")
        .collection::<Document>("a")
        .find_one(doc! {})
        .await;
    Ok(found.is_ok())
}

pub(crate) async fn commit(rig: &Rig) -> Result<Vec<String>> {
    rig.commit().await?;
    rig.compare().await?;
    let progress = rig.host.progress().await?;
    let temporary = rig.destination_db("admin").list_collection_names().await?;
    ensure!(
        !temporary.iter().any(|name| name.starts_with("temp")),
        "{temporary:?}"
    );
    let warnings = progress["warnings"].as_array().cloned().unwrap_or_default();
    Ok(warnings
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

/// Waits until the host has counted users and roles so.
pub(crate) async fn wait_for_counts(rig: &Rig, counts: &Value) -> Result<()> {
    rig.host
        .wait_until(&format!("the counts {counts}"), DEADLINE, |progress| {
            progress["usersAndRoles"]["counts"] == *counts
        })
        .await?;
    Ok(())
}

/// The users and roles that do not simply arrive, by kind, id and fate.
pub(crate) async fn conflicts(rig: &Rig) -> Result<Vec<String>> {
    let answer = rig.host.call("GET", "/api/v1/usersAndRoles", "").await?;
    ensure!(answer.body["success"] == true, "{answer:?}");
    let listed = answer.body["conflicts"].as_array().cloned();
    let listed = listed.unwrap_or_default().into_iter().map(|conflict| {
        let text = |field: &str| conflict[field].as_str().unwrap_or_default().to_owned();
        let words = [text("kind"), text("id"), text("fate"), text("role")];
        words.join(" ").trim_end().to_owned()
    });
    Ok(listed.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn f160_users_and_roles_of_synced_databases_arrive() -> Result<()> {
    let rig = with_users().await?;
    rig.host.start(json!({ "usersAndRoles": true })).await?;
    rig.host.wait_can_commit().await?;
    ensure!(
        stored(&rig.destination, "system.users").await?.is_empty(),
        "before the commit"
    );
    let counts =
        json!({ "users": 1, "roles": 1, "clashes": 0, "overwritten": 0, "missingRoles": 0 });
    wait_for_counts(&rig, &counts).await?;
    let warnings = commit(&rig).await?;
    ensure!(
        counts == rig.host.progress().await?["usersAndRoles"]["counts"],
        "the same after the commit"
    );
    ensure!(
        !warnings
            .iter()
            .any(|warning| warning.contains("Not restored")),
        "{warnings:?}"
    );
    let (users, roles) = (
        stored(&rig.destination, "system.users").await?,
        stored(&rig.destination, "system.roles").await?,
    );
    ensure!(ids(&users) == ["sales.app"], "{:?}", ids(&users));
    ensure!(ids(&roles).contains(&"sales.reader"), "{:?}", ids(&roles));
    let app = stored(&rig.source, "system.users").await?;
    ensure!(app.contains(&users[0]), "not as on the source");
    ensure!(can_log_in(&rig.destination, "app", "p%C3%A4ssword", "sales").await?);
    ensure!(!can_log_in(&rig.destination, "app", "wrong", "sales").await?);
    for text in ["storedKey", "serverKey", "s3cret-of-user"] {
        ensure!(!rig.log.has(text)?, "the log holds {text}");
    }
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f161_a_clash_is_named_or_overwritten_and_the_user_of_tidegate_stays() -> Result<()> {
    for overwrites in [false, true] {
        let mut rig = with_users().await?;
        rig.allow_log("not restored");
        let own = doc! { "createUser": "app", "pwd": "of the destination", "roles": ["readWrite"] };
        run(&rig.destination_db("sales"), own).await?;
        let operator = doc! { "createUser": "dba", "pwd": "pw", "roles": ["root", { "role": "missing", "db": "elsewhere" }] };
        let missing = doc! { "createRole": "missing", "privileges": [], "roles": [] };
        run(&rig.source_db("elsewhere"), missing).await?;
        run(&rig.source_db("admin"), operator).await?;
        let tidegate = rig
            .destination_db("admin")
            .collection::<Document>("system.users");
        let before = tidegate.find_one(doc! { "_id": "admin.tidegate" }).await?;
        // Not both: the source's `root` would replace the destination's, as which the harness is logged in.
        let wanted = match overwrites {
            true => json!({ "usersAndRoles": { "onClash": "overwrite" } }),
            false => json!({ "usersAndRoles": { "admin": true } }),
        };
        rig.host.start(wanted).await?;
        rig.host.wait_can_commit().await?;
        let counts = match overwrites {
            true => {
                json!({ "users": 1, "roles": 1, "clashes": 0, "overwritten": 1, "missingRoles": 0 })
            }
            false => {
                json!({ "users": 1, "roles": 3, "clashes": 2, "overwritten": 0, "missingRoles": 1 })
            }
        };
        wait_for_counts(&rig, &counts).await?;
        let fates = conflicts(&rig).await?;
        let wanted: &[&str] = match overwrites {
            true => &["user sales.app overwritten"],
            false => &[
                "user admin.dba lacksRole elsewhere.missing",
                "user admin.root stays",
                "user sales.app stays",
            ],
        };
        ensure!(fates == wanted, "{fates:?}");
        let warnings = commit(&rig).await?.join("\n");
        let clash = "Not restored on the destination: users and roles: 2 that the destination has otherwise, and that stay there \
                     as they are; 1 with a role that the destination does not get";
        ensure!(warnings.contains(clash) != overwrites, "{warnings}");
        let after: &[&str] = if overwrites { &[] } else { wanted };
        ensure!(conflicts(&rig).await? == after, "after the commit");
        for name in ["sales.app", "admin.dba", "elsewhere.missing"] {
            ensure!(!rig.log.has(name)?, "the log names {name}");
        }
        ensure!(!warnings.contains("admin.tidegate:"), "{warnings}");
        ensure!(
            before == tidegate.find_one(doc! { "_id": "admin.tidegate" }).await?,
            "our own user is changed"
        );
        ensure!(can_log_in(&rig.destination, "app", "p%C3%A4ssword", "sales").await? == overwrites);
        ensure!(can_log_in(&rig.destination, "dba", "pw", "admin").await? != overwrites);
        rig.log.check()?;
        rig.abandon();
    }
    Ok(())
}

/// A host that dies before and after the merge, and a change on the source in between: the next host knows what it has
/// brought over.
#[tokio::test(flavor = "multi_thread")]
async fn f162_a_killed_commit_goes_on_with_users_that_have_changed() -> Result<()> {
    for point in [
        "principals_begun",
        "principals_dropped",
        "principals_merged",
    ] {
        let mut rig = with_users().await?;
        rig.allow_log(DEATH);
        rig.host.kill()?;
        rig.host.restart_to_be_killed(Some(point)).await?;
        rig.host.start(json!({ "usersAndRoles": true })).await?;
        rig.host.wait_can_commit().await?;
        // The answer may be lost with the host.
        let _ = rig.host.call("POST", "/api/v1/commit", "{}").await;
        rig.host.wait_for_end().await?;
        let sales = rig.source_db("sales");
        run(
            &sales,
            doc! { "updateUser": "app", "pwd": "changed", "roles": ["read"] },
        )
        .await?;
        run(&sales, doc! { "dropRole": "reader" }).await?;
        run(
            &sales,
            doc! { "createUser": "late", "pwd": "pw", "roles": [] },
        )
        .await?;
        // Between the removal of a changed user and its insertion.
        rig.host
            .restart_to_be_killed(Some("principals_dropped"))
            .await?;
        rig.host.wait_for_end().await?;
        let users = stored(&rig.destination, "system.users").await?;
        ensure!(users.is_empty(), "{point}: {:?}", ids(&users));
        rig.host.restart().await?;
        rig.host.wait_for_state("COMMITTED").await?;
        rig.compare().await?;
        let progress = rig.host.progress().await?;
        ensure!(
            !progress["warnings"].to_string().contains("Not restored"),
            "{point}: {progress:#}"
        );
        let (users, roles) = (
            stored(&rig.destination, "system.users").await?,
            stored(&rig.destination, "system.roles").await?,
        );
        ensure!(
            ids(&users) == ["sales.app", "sales.late"],
            "{point}: {:?}",
            ids(&users)
        );
        ensure!(
            !ids(&roles).contains(&"sales.reader"),
            "{point}: {:?}",
            ids(&roles)
        );
        ensure!(
            can_log_in(&rig.destination, "app", "changed", "sales").await?,
            "{point}"
        );
        rig.log.check()?;
        rig.abandon();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f163_a_start_without_the_privileges_for_users_is_refused_by_name() -> Result<()> {
    let mut rig = secure(Options::default()).await?;
    rig.host.restart().await?;
    insert(&rig.source_db("sales"), "a", vec![doc! { "_id": 1 }]).await?;
    let body = json!({ "source": "cluster0", "destination": "cluster1", "usersAndRoles": true });
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &body.to_string())
        .await?;
    let text = answer.body.to_string();
    ensure!(
        text.contains("MissingPrivileges") && text.contains("system.users"),
        "{text}"
    );
    ensure!(text.contains("createUser"), "{text}");
    rig.host.start(json!({})).await?;
    rig.finish().await.map(drop)
}
