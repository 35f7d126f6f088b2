//! Effects of a chain on documents, in the copy and in change event application.

use anyhow::{Result, ensure};
use bson::{Document, doc};
use document_filter::DocumentFilter;
use field_mask::FieldMask;
use serde_json::json;
use support::{Rig, chain::Chain};

use crate::steps::{
    delete, find, insert, rig_to_die_at, run, start_and_die, update, wait_for_document,
    wait_in_step,
};

fn document(id: i32, region: &str) -> Document {
    doc! { "_id": id, "region": region, "name": "Grace Hopper", "n": 1 }
}

/// An update moves a document into a filter, or out of it (scenario 77).
#[tokio::test]
async fn s77_updates_move_documents_in_and_out_of_a_filter() -> Result<()> {
    let mut rig = rig_to_die_at("copy_done").await?;
    let filter = json!({ "field": "region", "matchValues": ["EU", 7] });
    rig.expect(Chain::of(|_, _| true).then::<DocumentFilter>(&filter)?);
    let source = rig.source_db("app");
    insert(&source, "c", (0..20).map(|n| document(n, "EU")).collect()).await?;
    insert(&source, "c", (20..40).map(|n| document(n, "US")).collect()).await?;
    start_and_die(&mut rig, json!({ "documentFilter": filter })).await?;
    // These lie between the copy and the stream: the copy has seen the documents as they were.
    change(&rig, 0).await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    change(&rig, 10).await?;
    wait_in_step(&rig).await?;
    let destination = rig.destination_db("app");
    for (id, is_there) in [
        (10, false),
        (30, true),
        (11, false),
        (32, true),
        (33, false),
    ] {
        let found = find(&destination, "c", id).await?.is_some();
        ensure!(found == is_there, "{id} there: {found}");
    }
    rig.finish().await?;
    Ok(())
}

async fn change(rig: &Rig, by: i32) -> Result<()> {
    let source = rig.source_db("app");
    let set = |region: &str| doc! { "$set": { "region": region } };
    update(&source, "c", by, set("US")).await?;
    update(&source, "c", 20 + by, set("EU")).await?;
    update(&source, "c", 1 + by, doc! { "$unset": { "region": 1 } }).await?;
    update(
        &source,
        "c",
        21 + by,
        doc! { "$set": { "region": ["US", 7] } },
    )
    .await?;
    update(&source, "c", 22 + by, document(22 + by, "EU")).await?;
    update(&source, "c", 2 + by, document(2 + by, "US")).await?;
    update(&source, "c", 3 + by, doc! { "$inc": { "n": 5 } }).await?;
    update(&source, "c", 23 + by, doc! { "$inc": { "n": 5 } }).await?;
    // In and out again before anybody has looked.
    update(&source, "c", 24 + by, set("EU")).await?;
    update(&source, "c", 24 + by, set("US")).await?;
    delete(&source, "c", 4 + by).await?;
    delete(&source, "c", 25 + by).await?;
    delete(&source, "c", 5 + by).await?;
    insert(&source, "c", vec![document(5 + by, "US")]).await?;
    insert(
        &source,
        "c",
        vec![document(100 + by, "US"), document(200 + by, "EU")],
    )
    .await?;
    Ok(())
}

/// Plugins see documents in the order of the chain, and each only its own namespaces.
#[tokio::test]
async fn plugins_run_in_order_and_see_their_namespaces() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mask = json!({ "rules": [{ "path": "name", "action": "set", "value": "hidden" }] });
    let hidden = json!({ "filter": { "name": "hidden" } });
    let seen = json!({ "filter": { "n": { "$lt": 10 } } });
    rig.expect(
        Chain::of(|_, _| true)
            .then_in::<FieldMask>(&mask, |_, collection| collection == "masked")?
            .then_in::<DocumentFilter>(&hidden, |_, collection| collection != "seen")?
            .then_in::<DocumentFilter>(&seen, |_, collection| collection == "seen")?,
    );
    let plugins = json!([
        { "component": "field-mask", "config": mask,
          "namespaces": [{ "database": "app", "collections": ["masked"] }] },
        { "component": "document-filter", "config": hidden,
          "namespaces": [{ "database": "app", "collectionsRegex": { "pattern": "^(?!seen)" } }] },
        { "component": "document-filter", "config": seen,
          "namespaces": [{ "database": "app", "collections": ["seen"] }] },
    ]);
    let source = rig.source_db("app");
    for collection in ["masked", "bare", "seen"] {
        insert(
            &source,
            collection,
            (0..20).map(|n| document(n, "EU")).collect(),
        )
        .await?;
    }
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    for collection in ["masked", "bare", "seen"] {
        insert(
            &source,
            collection,
            (20..40).map(|n| document(n, "EU")).collect(),
        )
        .await?;
        update(&source, collection, 1, doc! { "$set": { "n": 50 } }).await?;
        update(
            &source,
            collection,
            2,
            doc! { "$set": { "name": "hidden" } },
        )
        .await?;
    }
    wait_in_step(&rig).await?;
    ensure!(find(&rig.destination_db("app"), "bare", 2).await?.is_some());
    ensure!(find(&rig.destination_db("app"), "bare", 3).await?.is_none());
    rig.finish().await?;
    Ok(())
}

/// A rename that gives a collection other plugins changes its documents to the results of these plugins.
#[tokio::test]
async fn a_renamed_collection_is_judged_under_its_new_name() -> Result<()> {
    let mut rig = Rig::start().await?;
    let mask = json!({ "rules": [{ "path": "name", "action": "set", "value": "hidden" }] });
    rig.expect(
        Chain::of(|_, _| true)
            .then_in::<FieldMask>(&mask, |_, collection| collection == "masked")?,
    );
    let plugins = json!([{ "component": "field-mask", "config": mask,
        "namespaces": [{ "database": "app", "collections": ["masked"] }] }]);
    let source = rig.source_db("app");
    insert(
        &source,
        "draft",
        (0..20).map(|n| document(n, "EU")).collect(),
    )
    .await?;
    insert(
        &source,
        "masked",
        (0..20).map(|n| document(n, "EU")).collect(),
    )
    .await?;
    rig.host.start(json!({ "plugins": plugins })).await?;
    rig.host.wait_can_commit().await?;
    let rename = |from: &str, to: &str| {
        doc! { "renameCollection": format!("app.{from}"), "to": format!("app.{to}"), "dropTarget": true }
    };
    let admin = rig.source_db("admin");
    run(&admin, rename("masked", "open")).await?;
    update(&source, "open", 3, doc! { "$inc": { "n": 1 } }).await?;
    run(&admin, rename("draft", "masked")).await?;
    insert(&source, "masked", vec![document(100, "EU")]).await?;
    wait_for_document(&rig, "app", "masked", 100).await?;
    wait_in_step(&rig).await?;
    let destination = rig.destination_db("app");
    let name = async |collection| -> Result<Option<String>> {
        let found = find(&destination, collection, 5).await?;
        Ok(found.and_then(|found| found.get_str("name").ok().map(str::to_owned)))
    };
    ensure!(name("open").await?.as_deref() == Some("Grace Hopper"));
    ensure!(name("masked").await?.as_deref() == Some("hidden"));
    rig.finish().await?;
    Ok(())
}
