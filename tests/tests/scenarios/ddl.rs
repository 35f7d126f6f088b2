//! Collections that are renamed, dropped and created again while they are copied
//! and while events are applied.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{Rig, rig::Options};

use crate::steps::{
    self, delete, go_on_and_die, insert, names, rig_to_die_at, rig_with_death, run, start_and_die,
    update, wait_in_step,
};

async fn rename(rig: &Rig, from: &str, to: &str, drop_target: bool) -> Result<()> {
    rig.source
        .admin(doc! { "renameCollection": from, "to": to, "dropTarget": drop_target })
        .await?;
    Ok(())
}

fn documents(mark: &str) -> Vec<Document> {
    (0..30)
        .map(|n| doc! { "_id": format!("{mark} {n}"), "n": n, "mark": mark })
        .collect()
}

/// a -> b -> c with inserts after each, over another collection, into another database, and round in a ring.
async fn chain(rig: &Rig, mark: &str) -> Result<()> {
    let (app, other) = (rig.source_db("app"), rig.source_db("other"));
    insert(&app, "a", documents(mark)).await?;
    rename(rig, "app.a", "app.b", true).await?;
    insert(&app, "b", vec![doc! { "_id": format!("{mark} in b") }]).await?;
    insert(&app, "a", vec![doc! { "_id": format!("{mark} a again") }]).await?;
    rename(rig, "app.b", "app.c", true).await?;
    insert(&app, "c", vec![doc! { "_id": format!("{mark} in c") }]).await?;
    update(
        &app,
        "c",
        format!("{mark} 3"),
        doc! { "$set": { "z": mark, "b": 1 } },
    )
    .await?;
    insert(&app, "victim", documents(mark)).await?;
    rename(rig, "app.a", "app.victim", true).await?;
    update(
        &app,
        "victim",
        format!("{mark} a again"),
        doc! { "$set": { "z": 1 } },
    )
    .await?;

    // Into another database: the server makes it of a copy.
    run(&app, doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n", "partialFilterExpression": { "n": { "$gt": 3 } } }] })
        .await?;
    rename(rig, "app.c", "other.c", true).await?;
    insert(
        &other,
        "c",
        vec![doc! { "_id": format!("{mark} in other") }],
    )
    .await?;
    delete(&other, "c", format!("{mark} 5")).await?;

    // Two change names.
    for name in ["x", "y"] {
        insert(
            &app,
            name,
            vec![doc! { "_id": format!("{mark} was {name}"), "n": name }],
        )
        .await?;
    }
    rename(rig, "app.x", "app.between", false).await?;
    rename(rig, "app.y", "app.x", false).await?;
    rename(rig, "app.between", "app.y", false).await?;
    insert(&app, "x", vec![doc! { "_id": format!("{mark} now x") }]).await?;
    Ok(())
}

#[tokio::test]
async fn s41_rename_chains() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted").await?;
    let app = rig.source_db("app");
    insert(
        &app,
        "first",
        (0..200)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(2000) })
            .collect(),
    )
    .await?;
    for name in ["a", "b", "c", "victim", "x", "y"] {
        insert(
            &app,
            name,
            vec![doc! { "_id": format!("of {name}"), "filler": "x".repeat(500) }],
        )
        .await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    chain(&rig, "copy").await?;
    rename(&rig, "app.first", "app.last", false).await?;
    go_on_and_die(&mut rig, "copy_batch_inserted:3").await?;
    rename(&rig, "app.last", "app.first", false).await?;
    for point in ["ddl_applied:3", "ddl_applied:6", "events_applied:2"] {
        go_on_and_die(&mut rig, point).await?;
    }
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    chain(&rig, "step").await?;
    wait_in_step(&rig).await?;
    rig.compare().await.context("in step")?;
    rig.host.kill()?;
    chain(&rig, "death").await?;
    go_on_and_die(&mut rig, "ddl_applied:4").await?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

/// Drops a collection and makes another of the same name, with other options.
async fn again(rig: &Rig, name: &str, mark: &str) -> Result<()> {
    let app = rig.source_db("app");
    run(&app, doc! { "drop": name }).await?;
    let options = doc! { "create": name, "validator": { "mark": { "$ne": "bad" } }, "validationLevel": "moderate" };
    run(&app, options).await?;
    insert(&app, name, documents(mark)).await?;
    run(
        &app,
        doc! { "createIndexes": name, "indexes": [{ "key": { "mark": 1, "n": 1 }, "name": "m" }] },
    )
    .await?;
    update(
        &app,
        name,
        format!("{mark} 1"),
        doc! { "$set": { "z": 1, "b": 2 } },
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn s42_dropped_and_created_again() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted").await?;
    let app = rig.source_db("app");
    insert(
        &app,
        "copied",
        (0..30)
            .map(|n| doc! { "_id": n, "filler": "x".repeat(200_000) })
            .collect(),
    )
    .await?;
    insert(&app, "waiting", vec![doc! { "_id": "old" }]).await?;
    insert(&app, "goes", vec![doc! { "_id": "old" }]).await?;
    insert(&app, "Case", vec![doc! { "_id": "old" }]).await?;
    start_and_die(&mut rig, json!({})).await?;
    for name in ["copied", "waiting"] {
        again(&rig, name, "copy").await?;
        again(&rig, name, "copy again").await?;
    }
    run(&app, doc! { "drop": "goes" }).await?;
    run(&app, doc! { "drop": "Case" }).await?;
    insert(&app, "case", documents("lower")).await?;
    go_on_and_die(&mut rig, "ddl_applied:2").await?;
    run(&app, doc! { "drop": "case" }).await?;
    insert(&app, "Case", documents("upper")).await?;
    go_on_and_die(&mut rig, "events_applied").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    for name in ["copied", "waiting"] {
        again(&rig, name, "step").await?;
    }
    wait_in_step(&rig).await?;
    ensure!(names(&rig.destination_db("app")).await? == ["Case", "copied", "waiting"]);
    rig.finish().await?;
    Ok(())
}

/// A database disappears and returns in other letters: the server accepts only one spelling at a time.
#[tokio::test]
async fn s42_database_in_other_letters() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    for name in ["App", "Step"] {
        insert(&rig.source_db(name), "c", documents("first")).await?;
        insert(&rig.source_db(name), "d", documents("first")).await?;
    }
    start_and_die(&mut rig, json!({})).await?;
    rig.source_db("App").drop().await?;
    insert(&rig.source_db("app"), "c", documents("second")).await?;
    go_on_and_die(&mut rig, "ddl_applied").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    rig.source_db("Step").drop().await?;
    insert(&rig.source_db("sTEP"), "c", documents("second")).await?;
    wait_in_step(&rig).await?;
    rig.source_db("app").drop().await?;
    insert(&rig.source_db("APP"), "c", documents("third")).await?;
    wait_in_step(&rig).await?;
    rig.finish().await?;
    Ok(())
}

fn filter() -> Value {
    json!({ "includeNamespaces": [{ "database": "app", "collectionsRegex": { "pattern": "^in" } }] })
}

/// Collections that a rename brings into scope are copied then. Collections that it takes out are dropped.
#[tokio::test]
async fn s_rename_into_and_out_of_filter() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    rig.set_scope(|database, collection| database == "app" && collection.starts_with("in"));
    let app = rig.source_db("app");
    for name in ["in_a", "in_b", "in_c", "out_a", "out_b", "out_c", "out_d"] {
        insert(&app, name, documents(name)).await?;
    }
    run(&app, doc! { "createIndexes": "out_b", "indexes": [{ "key": { "n": 1, "mark": 1 }, "name": "u" }] }).await?;
    start_and_die(&mut rig, filter()).await?;

    // While copying: in and out, over other collections, and several times.
    rename(&rig, "app.out_a", "app.in_new", false).await?;
    insert(&app, "in_new", documents("in now")).await?;
    update(
        &app,
        "in_new",
        "out_a 1",
        doc! { "$set": { "z": 1, "b": 1 } },
    )
    .await?;
    rename(&rig, "app.in_a", "app.out_new", false).await?;
    insert(&app, "out_new", documents("out now")).await?;
    rename(&rig, "app.out_b", "app.in_b", true).await?;
    delete(&app, "in_b", "out_b 2").await?;
    rename(&rig, "app.in_c", "app.out_c", true).await?;
    rename(&rig, "app.out_c", "app.in_back", false).await?;
    insert(&app, "in_back", documents("back")).await?;
    // A late copy dies half-way.
    go_on_and_die(&mut rig, "copy_partition_done:2").await?;
    update(
        &app,
        "in_new",
        "out_a 2",
        doc! { "$set": { "z": 2, "b": 2 } },
    )
    .await?;
    rename(&rig, "app.in_new", "app.in_newer", false).await?;
    for point in ["copy_batch_inserted", "ddl_applied", "ddl_applied:2"] {
        go_on_and_die(&mut rig, point).await?;
    }
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    wait_in_step(&rig).await?;
    rig.compare().await.context("in step")?;

    rename(&rig, "app.out_d", "app.in_d", false).await?;
    for n in 0..30 {
        update(
            &app,
            "in_d",
            format!("out_d {n}"),
            doc! { "$set": { "z": n, "b": n }, "$push": { "list": n } },
        )
        .await?;
    }
    rename(&rig, "app.in_b", "app.out_b", false).await?;
    insert(&app, "in_b", documents("anew")).await?;
    wait_in_step(&rig).await?;
    ensure!(names(&rig.destination_db("app")).await? == ["in_b", "in_back", "in_d", "in_newer"]);
    rig.finish().await?;
    Ok(())
}

/// Replaces `app.{to}` by the result of `mapReduce` over `from` in `database`.
async fn map_reduce(database: &Database, from: &str, to: &str) -> Result<()> {
    let command = doc! {
        "mapReduce": from, "map": "function() { emit(this._id, this.n); }",
        "reduce": "function(key, values) { return values[0]; }", "out": { "replace": to, "db": "app" },
    };
    run(database, command).await.map(drop)
}

/// `$out`, `$merge` and `mapReduce` work through temporary collections that are renamed into place, here into the scope
/// of the filter, out of it, and from another database.
#[tokio::test]
async fn s43_out_and_merge() -> Result<()> {
    let mut rig = rig_to_die_at("copy_batch_inserted").await?;
    rig.set_scope(|database, collection| database == "app" && collection.starts_with("in"));
    let app = rig.source_db("app");
    insert(&app, "in_a", documents("a")).await?;
    insert(&app, "in_out", documents("old")).await?;
    let other = rig.source_db("other");
    insert(&other, "x", documents("other")).await?;
    // A view in scope, on a collection that is not.
    run(
        &app,
        doc! { "create": "in_view", "viewOn": "out", "pipeline": [{ "$limit": 3 }] },
    )
    .await?;
    run(
        &app,
        doc! { "createIndexes": "in_out", "indexes": [{ "key": { "n": 1 }, "name": "n" }] },
    )
    .await?;
    start_and_die(&mut rig, filter()).await?;
    let aggregate = async |stage: Document| {
        let set = doc! { "$set": { "z": "$n", "b": 1 } };
        run(
            &app,
            doc! { "aggregate": "in_a", "pipeline": [set, stage], "cursor": {} },
        )
        .await
    };
    aggregate(doc! { "$out": "in_out" }).await?;
    aggregate(doc! { "$merge": { "into": "in_merged" } }).await?;
    map_reduce(&app, "in_a", "in_reduced").await?;
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    update(&app, "in_a", "a 1", doc! { "$set": { "n": 100 } }).await?;
    aggregate(doc! { "$out": "in_out" }).await?;
    aggregate(doc! { "$out": "in_new" }).await?;
    aggregate(doc! { "$merge": { "into": "in_merged" } }).await?;
    aggregate(doc! { "$out": "out" }).await?;
    aggregate(doc! { "$out": { "db": "other", "coll": "in_another_database" } }).await?;
    map_reduce(&app, "in_a", "in_reduced").await?;
    map_reduce(&other, "x", "in_of_another").await?;
    map_reduce(&app, "in_a", "out_reduced").await?;
    update(
        &app,
        "in_of_another",
        "other 1",
        doc! { "$set": { "value": 7 } },
    )
    .await?;
    update(&app, "in_out", "a 2", doc! { "$set": { "y": 1, "c": 1 } }).await?;
    wait_in_step(&rig).await?;
    for name in ["in_new", "in_reduced", "in_of_another"] {
        ensure!(
            steps::count(&rig.destination_db("app"), name).await? == 30,
            "{name}"
        );
    }
    rig.finish().await?;
    Ok(())
}

/// DDL on collections that the source drops right after it, or makes anew as another kind.
async fn short_lives(rig: &Rig, mark: &str) -> Result<()> {
    let app = rig.source_db("app");
    let index = doc! { "key": { "n": 1 }, "name": "n", "unique": true };
    let build = |name: &str| doc! { "createIndexes": name, "indexes": [&index] };
    let unbuild = |name: &str| doc! { "dropIndexes": name, "index": "n" };
    let validate = |name: &str| doc! { "collMod": name, "validator": { "n": { "$gte": 0 } } };
    let resize = |name: &str| doc! { "collMod": name, "cappedSize": 8192, "cappedMax": 20 };

    let plain = format!("plain_{mark}");
    insert(&app, &plain, documents(mark)).await?;
    run(&app, build(&plain)).await?;
    update(
        &app,
        &plain,
        format!("{mark} 1"),
        doc! { "$inc": { "n": 100 } },
    )
    .await?;
    run(&app, unbuild(&plain)).await?;
    run(&app, validate(&plain)).await?;
    run(&app, doc! { "drop": &plain }).await?;

    // A size is changed while the name is that of a capped collection.
    let capped = format!("capped_{mark}");
    run(
        &app,
        doc! { "create": &capped, "capped": true, "size": 65536, "max": 30 },
    )
    .await?;
    insert(&app, &capped, documents(mark)).await?;
    run(&app, resize(&capped)).await?;
    run(&app, doc! { "drop": &capped }).await?;
    insert(&app, &capped, documents(mark)).await?;
    run(&app, build(&capped)).await?;
    run(&app, doc! { "convertToCapped": &capped, "size": 65536 }).await?;
    run(&app, resize(&capped)).await?;
    insert(&app, &capped, vec![doc! { "_id": "later" }]).await?;
    run(&app, doc! { "drop": &capped }).await?;
    run(&app, doc! { "create": &capped }).await?;
    run(&app, validate(&capped)).await?;

    // Renamed into scope, and gone when the copy begins.
    let (out, brought) = (format!("app.out_{mark}"), format!("brought_{mark}"));
    insert(&app, &format!("out_{mark}"), documents(mark)).await?;
    rename(rig, &out, &format!("app.{brought}"), false).await?;
    run(&app, build(&brought)).await?;
    run(&app, validate(&brought)).await?;
    delete(&app, &brought, format!("{mark} 2")).await?;
    run(&app, unbuild(&brought)).await?;
    rename(
        rig,
        &format!("app.{brought}"),
        &format!("app.{brought}_on"),
        false,
    )
    .await?;
    run(&app, doc! { "drop": format!("{brought}_on") }).await?;

    // A database that is dropped, comes again, and is dropped again.
    let gone = rig.source_db(&format!("gone_{mark}"));
    for turn in ["first", "second"] {
        insert(&gone, "c", documents(turn)).await?;
        run(&gone, build("c")).await?;
        run(&gone, validate("c")).await?;
        run(&gone, doc! { "create": "v", "viewOn": "c", "pipeline": [] }).await?;
        run(
            &gone,
            doc! { "collMod": "v", "viewOn": "c", "pipeline": [{ "$limit": 1 }] },
        )
        .await?;
        run(&gone, doc! { "dropIndexes": "c", "index": "*" }).await?;
        gone.drop().await?;
    }
    Ok(())
}

/// The host applies DDL of collections and databases that the source no longer has by then.
#[tokio::test]
async fn s44_ddl_of_collections_that_are_gone_by_then() -> Result<()> {
    let options = Options {
        host_arguments: vec!["--loadLevel".into(), "1".into()],
        ..Options::default()
    };
    let mut rig = rig_with_death(options, "copy_batch_inserted").await?;
    rig.set_scope(|_, collection| !collection.starts_with("out"));
    let app = rig.source_db("app");
    let large = (0..30).map(|n| doc! { "_id": n, "filler": "x".repeat(100_000) });
    insert(&app, "large", large.collect()).await?;
    // These have not been copied when the host dies, and are part of the catalog.
    for (database, name) in [("app", "plain_copy"), ("gone_copy", "c")] {
        let old = vec![doc! { "_id": "old", "n": 1000 }];
        insert(&rig.source_db(database), name, old).await?;
    }
    let out = json!({ "database": "app", "collectionsRegex": { "pattern": "^out" } });
    start_and_die(&mut rig, json!({ "excludeNamespaces": [out] })).await?;
    short_lives(&rig, "copy").await?;
    for point in ["ddl_applied:3", "ddl_applied:9"] {
        go_on_and_die(&mut rig, point).await?;
    }
    rig.host.restart().await?;
    rig.host.wait_can_commit().await?;
    short_lives(&rig, "beside").await?;
    wait_in_step(&rig).await?;
    rig.host.kill()?;
    short_lives(&rig, "step").await?;
    for point in ["ddl_applied:4", "ddl_applied:12"] {
        go_on_and_die(&mut rig, point).await?;
    }
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    let left = names(&rig.destination_db("app")).await?;
    ensure!(
        left == ["capped_beside", "capped_copy", "capped_step", "large"],
        "{left:?}"
    );
    rig.finish().await?;
    Ok(())
}
