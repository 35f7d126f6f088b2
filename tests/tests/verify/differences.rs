//! Clusters that nothing writes to: each difference is named, and nothing else.

use anyhow::{Context, Result, ensure};
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, Timestamp, bson, doc, oid::ObjectId,
    spec::BinarySubtype,
};
use futures::TryStreamExt;
use mongodb::Client;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use support::{
    Rig, replica_set,
    rig::Options,
    workload::{self, dataset},
};

use crate::{Pair, operations, run};

const MIB: usize = 1 << 20;

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

/// `_id`s of each type, and values that the server distinguishes.
fn odd_ids() -> Vec<Bson> {
    let binary = |subtype, bytes: &[u8]| {
        Bson::Binary(Binary {
            subtype,
            bytes: bytes.to_vec(),
        })
    };
    let mut ids = vec![
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        decimal("-1E+6000"),
        decimal("0.1"),
        Bson::Double(0.1),
        Bson::Double(-0.0),
        decimal("3.00"),
        Bson::Int64((1 << 53) + 1),
        Bson::Symbol("symbol".to_owned()),
        bson!(""),
        bson!("a\u{0}b"),
        bson!({}),
        bson!({ "a": { "b": [1, { "c": Bson::Null }] } }),
        bson!({ "b": 1, "a": 1 }),
        bson!({ "a": 1, "b": 1 }),
        bson!({ "a": decimal("0.5") }),
        binary(BinarySubtype::Generic, b""),
        binary(BinarySubtype::Uuid, &[0; 16]),
        binary(BinarySubtype::UserDefined(0x80), b"x"),
        Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        bson!(false),
        bson!(true),
        Bson::DateTime(DateTime::from_millis(-1)),
        Bson::Timestamp(Timestamp {
            time: 1,
            increment: u32::MAX,
        }),
        bson!("x".repeat(20_000)),
    ];
    ids.extend((0..300).map(|n| bson!(n * 7 + 1000)));
    ids
}

/// A database with each kind of collection.
async fn fill(client: &Client) -> Result<()> {
    let db = client.database("app");
    let insert = async |name: &str, documents: Vec<Document>| -> Result<()> {
        db.collection::<Document>(name)
            .insert_many(documents)
            .await?;
        Ok(())
    };
    let many = |n: i32| {
        (0..n)
            .map(|n| doc! { "_id": n, "v": n, "t": "x".repeat(100) })
            .collect::<Vec<_>>()
    };
    insert("items", many(3000)).await?;
    db.run_command(doc! { "createIndexes": "items", "indexes": [
        { "key": { "v": 1 }, "name": "v_1", "unique": true },
        { "key": { "t": 1 }, "name": "t_1", "expireAfterSeconds": 100_000 },
    ] })
    .await?;
    insert(
        "odd",
        odd_ids()
            .into_iter()
            .map(|id| doc! { "_id": id, "v": 1 })
            .collect(),
    )
    .await?;
    insert(
        "large",
        (0..3)
            .map(|n| doc! { "_id": n, "t": "x".repeat(16 * MIB - 64) })
            .collect(),
    )
    .await?;
    let collation = doc! { "locale": "fr", "strength": 2 };
    for command in [
        doc! { "create": "capped", "capped": true, "size": 1 << 20, "max": 1000 },
        doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
        doc! { "create": "collated", "collation": collation },
        doc! { "create": "validated", "validator": { "v": { "$gt": 0 } } },
        doc! { "create": "view", "viewOn": "items", "pipeline": [{ "$match": { "v": 1 } }] },
        doc! { "create": "empty" },
    ] {
        db.run_command(command).await?;
    }
    insert("capped", many(500).into_iter().rev().collect()).await?;
    insert("clustered", many(500)).await?;
    let names = (0..2000).map(|n| doc! { "_id": format!("é{}É{n}", n % 7), "v": n });
    insert("collated", names.collect()).await?;
    // The simple order of these is not that of any language.
    let words =
        (0..1000).map(|n| doc! { "_id": format!("{}{n}", ["z", "A", "b", "É", "c"][n % 5]) });
    insert("recoded", words.collect()).await?;
    insert("validated", vec![doc! { "_id": 1, "v": 1 }]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f150_equal_clusters_are_equal_and_nothing_is_written() -> Result<()> {
    let pair = Pair::start().await?;
    tokio::try_join!(fill(pair.source.client()), fill(pair.destination.client()))?;
    let before = (
        operations(&pair.source).await?,
        operations(&pair.destination).await?,
    );
    let verified = pair.verify(&[]).await?.expect(0)?;
    ensure!(verified.lines.is_empty(), "{}", verified.stdout);
    let summary = &verified.summary;
    ensure!(
        summary["verdict"] == "equal" && summary["namespaces"] == 10,
        "{summary}"
    );
    let documents = 3000 + odd_ids().len() + 3 + 500 + 500 + 2000 + 1000 + 1;
    ensure!(
        summary["documents"] == documents,
        "{documents} documents: {summary}"
    );
    let after = (
        operations(&pair.source).await?,
        operations(&pair.destination).await?,
    );
    ensure!(
        before == after,
        "operations {before:?} before and {after:?} after"
    );
    // The roles are what the operator says.
    let start = pair.directory.path().join("start.json");
    std::fs::write(
        &start,
        json!({ "source": "cluster1", "destination": "cluster0" }).to_string(),
    )?;
    pair.verify(&["--start", &start.to_string_lossy()])
        .await?
        .expect(0)?;
    pair.end();
    Ok(())
}

/// Changes the destination in each way, and returns what is to be listed.
#[expect(clippy::too_many_lines, reason = "a table of differences")]
async fn tamper(client: &Client) -> Result<Vec<&'static str>> {
    let db = client.database("app");
    let of = |name: &str| db.collection::<Document>(name);
    of("items")
        .update_one(
            doc! { "_id": 7 },
            doc! { "$set": { "v": -7, "t": "SECRET" } },
        )
        .await?;
    // The same value as another type, and the same fields in another order.
    for (id, change) in [
        (8, doc! { "$set": { "v": { "$toDouble": "$v" } } }),
        (
            9,
            doc! { "$replaceWith": { "_id": "$_id", "t": "$t", "v": "$v" } },
        ),
    ] {
        let changed = of("items")
            .update_one(doc! { "_id": id }, vec![change])
            .await?;
        anyhow::ensure!(changed.modified_count == 1, "{id} is as it was");
    }
    of("items").delete_one(doc! { "_id": 1500 }).await?;
    of("items")
        .insert_one(doc! { "_id": "added", "v": "SECRET" })
        .await?;
    of("odd")
        .update_one(doc! { "_id": Bson::MaxKey }, doc! { "$set": { "w": [1] } })
        .await?;
    of("odd")
        .delete_one(doc! { "_id": { "$eq": { "a": 1, "b": 1 } } })
        .await?;
    // The same number as an _id of another type.
    of("odd").delete_one(doc! { "_id": 1007 }).await?;
    of("odd")
        .insert_one(doc! { "_id": 1007_i64, "v": 1 })
        .await?;
    // Equal for the server, and no equal key of the host.
    of("odd")
        .delete_one(doc! { "_id": { "$eq": { "a": decimal("0.5") } } })
        .await?;
    of("odd")
        .insert_one(doc! { "_id": { "a": 0.5 }, "v": 1 })
        .await?;
    of("large")
        .replace_one(
            doc! { "_id": 1 },
            doc! { "t": format!("{}y", "x".repeat(16 * MIB - 65)) },
        )
        .await?;
    of("clustered").delete_one(doc! { "_id": 0 }).await?;
    of("collated")
        .update_one(doc! { "_id": "é1É1" }, doc! { "$set": { "v": -1 } })
        .await?;
    of("collated").delete_one(doc! { "_id": "é2É2" }).await?;
    of("collated")
        .insert_one(doc! { "_id": "É2é2", "v": 2 })
        .await?;
    // Another collation orders the same documents in another way.
    let recoded: Vec<Document> = of("recoded").find(doc! {}).await?.try_collect().await?;
    of("recoded").drop().await?;
    db.run_command(doc! { "create": "recoded", "collation": { "locale": "en", "strength": 1 } })
        .await?;
    of("recoded").insert_many(recoded).await?;
    of("empty").drop().await?;
    of("more").insert_one(doc! { "_id": 1 }).await?;
    for command in [
        doc! { "drop": "view" },
        doc! { "create": "view", "viewOn": "items", "pipeline": [{ "$match": { "v": 2 } }] },
        doc! { "collMod": "validated", "validator": { "v": { "$gt": 1 } } },
        doc! { "dropIndexes": "items", "index": "v_1" },
        doc! { "createIndexes": "items", "indexes": [{ "key": { "v": 1 }, "name": "v_1" }, { "key": { "w": 1 }, "name": "w_1" }] },
        doc! { "drop": "capped" },
        doc! { "create": "capped", "capped": true, "size": 1 << 20, "max": 1000 },
    ] {
        db.run_command(command).await?;
    }
    let documents = (0..500).map(|n| doc! { "_id": n, "v": n, "t": "x".repeat(100) });
    of("capped")
        .insert_many(documents.collect::<Vec<_>>())
        .await?;
    Ok(vec![
        "app.capped naturalOrder differs",
        "app.clustered document {\"$numberInt\":\"0\"} missing",
        "app.collated document É2é2 extra",
        "app.collated document é1É1 differs v",
        "app.collated document é2É2 missing",
        "app.empty collection missing",
        "app.items document added extra",
        "app.items document {\"$numberInt\":\"1500\"} missing",
        "app.items document {\"$numberInt\":\"7\"} differs v",
        "app.items document {\"$numberInt\":\"8\"} differs v",
        "app.items document {\"$numberInt\":\"9\"} differs v",
        "app.items index v_1 differs",
        "app.items index w_1 extra",
        "app.large document {\"$numberInt\":\"1\"} differs t",
        "app.more collection extra",
        "app.odd document {\"$maxKey\":1} differs w",
        "app.odd document {\"$numberInt\":\"1007\"} differs _id",
        "app.odd document {\"a\":{\"$numberDecimal\":\"0.5\"}} differs _id.a",
        "app.odd document {\"a\":{\"$numberInt\":\"1\"},\"b\":{\"$numberInt\":\"1\"}} missing",
        "app.recoded option collation differs",
        "app.validated option validator differs",
        "app.view option pipeline differs",
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn f151_each_kind_of_mismatch_is_named_without_contents() -> Result<()> {
    let pair = Pair::start().await?;
    tokio::try_join!(fill(pair.source.client()), fill(pair.destination.client()))?;
    let mut expected = tamper(pair.destination.client()).await?;
    expected.sort_unstable();
    for settle in ["0", "2s"] {
        let verified = pair.verify(&["--settle", settle]).await?.expect(1)?;
        let found = verified.texts();
        ensure!(found == expected, "found {found:#?}\n{}", verified.stderr);
        ensure!(
            verified.summary["mismatches"] == expected.len(),
            "{}",
            verified.summary
        );
        ensure!(!verified.stdout.contains("SECRET") && !verified.stderr.contains("SECRET"));
    }
    let shown = pair
        .verify(&["--settle", "0", "--show-documents"])
        .await?
        .expect(1)?;
    ensure!(shown.stdout.contains("SECRET"), "documents are not shown");
    ensure!(shown.texts() == expected);
    // In exchanged roles, what is missing is extra.
    let exchanged = run(
        (&pair.destination.uri(), &pair.source.uri()),
        &["--settle", "0"],
        &[],
    )
    .await?
    .expect(1)?;
    ensure!(
        exchanged.lines.len() == expected.len(),
        "{:#?}",
        exchanged.texts()
    );
    ensure!(
        exchanged
            .texts()
            .contains(&"app.items document added missing".to_owned())
    );
    let bounded = pair
        .verify(&["--settle", "0", "--max-mismatches", "3"])
        .await?
        .expect(1)?;
    ensure!(bounded.summary["cutShort"] == true, "{}", bounded.summary);
    pair.end();
    Ok(())
}

/// Each run finds what was changed before it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn f152_changes_at_random_are_found_every_time() -> Result<()> {
    let seed = std::env::var("TIDEGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let pair = Pair::start().await?;
    for client in [pair.source.client(), pair.destination.client()] {
        for name in ["a", "b"] {
            let collection = client.database("app").collection::<Document>(name);
            let documents = (0..2000).map(|n| doc! { "_id": n * 2, "v": n, "t": "x".repeat(50) });
            collection
                .insert_many(documents.collect::<Vec<_>>())
                .await?;
        }
    }
    for _ in 0..100 {
        let sides = [
            (pair.source.client(), "missing"),
            (pair.destination.client(), "extra"),
        ];
        let (client, more) = sides[rng.random_range(0..2)];
        let name = ["a", "b"][rng.random_range(0..2)];
        let collection = client.database("app").collection::<Document>(name);
        let (id, odd) = (
            rng.random_range(0..2000) * 2,
            rng.random_range(0..2000) * 2 + 1,
        );
        let original = doc! { "_id": id, "v": id / 2, "t": "x".repeat(50) };
        let less = if more == "extra" { "missing" } else { "extra" };
        let (kind, changed) = match rng.random_range(0..4) {
            0 => {
                collection.delete_one(doc! { "_id": id }).await?;
                (less.to_owned(), id)
            }
            1 => {
                collection.insert_one(doc! { "_id": odd }).await?;
                (more.to_owned(), odd)
            }
            2 => {
                collection
                    .update_one(doc! { "_id": id }, doc! { "$set": { "v": -1 } })
                    .await?;
                ("differs v".to_owned(), id)
            }
            _ => ("none".to_owned(), id),
        };
        let code = i32::from(kind != "none");
        let verified = pair.verify(&["--settle", "0"]).await?.expect(code)?;
        let line = format!("app.{name} document {{\"$numberInt\":\"{changed}\"}} {kind}");
        let expected = if code == 1 { vec![line] } else { Vec::new() };
        ensure!(
            verified.texts() == expected,
            "{:?} in place of {expected:?}",
            verified.texts()
        );
        collection.delete_one(doc! { "_id": odd }).await?;
        collection
            .replace_one(doc! { "_id": id }, original)
            .upsert(true)
            .await?;
    }
    pair.end();
    Ok(())
}

/// A committed sync with filters, names and plugins.
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
#[tokio::test(flavor = "multi_thread")]
async fn f153_filters_names_and_plugins_are_those_of_the_sync() -> Result<()> {
    let mut rig = Rig::start().await?;
    workload::load(rig.source.client(), 3000, 53).await?;
    let mut options = workload::plugins::filters();
    options["namespaceRemap"] =
        json!([{ "from": { "database": "shop" }, "to": { "database": "store" } }]);
    rig.expect(workload::plugins::expected()?);
    rig.host.start(options.clone()).await?;
    rig.commit().await?;
    let directory = support::TestDir::new()?;
    let file = directory.path().join("start.json");
    options["source"] = json!("cluster0");
    options["destination"] = json!("cluster1");
    std::fs::write(&file, options.to_string())?;
    let file = file.to_string_lossy().into_owned();
    let uris = (rig.source.uri(), rig.destination.uri());
    let verify = async |arguments: &[&str]| run((&uris.0, &uris.1), arguments, &[]).await;
    let verified = verify(&["--start", &file]).await?.expect(0)?;
    ensure!(
        verified.summary["documents"].as_u64() > Some(1000),
        "{}",
        verified.summary
    );
    // Without them, the clusters differ.
    let verified = verify(&["--settle", "0"]).await?.expect(1)?;
    ensure!(
        verified
            .texts()
            .iter()
            .any(|text| text == "shop.orders collection missing")
    );

    // A document that a plugin drops, a collection out of scope, and collections in scope under their new names.
    let source = rig.source_db("shop").collection::<Document>("orders");
    let dropped = source
        .find_one(doc! { "status": "returned" })
        .await?
        .unwrap();
    let destination =
        |database: &str, name: &str| rig.destination_db(database).collection::<Document>(name);
    destination("store", "orders").insert_one(&dropped).await?;
    destination("elsewhere", "x")
        .insert_one(doc! { "_id": 1 })
        .await?;
    destination("store", "invented")
        .insert_one(doc! { "_id": 1 })
        .await?;
    destination("crm", "invented")
        .insert_one(doc! { "_id": 1 })
        .await?;
    let customer = destination("crm", "customers")
        .find_one(doc! {})
        .await?
        .unwrap();
    let id = doc! { "_id": customer.get("_id").cloned() };
    destination("crm", "customers")
        .update_one(id, doc! { "$set": { "email": "unmasked" } })
        .await?;
    let verified = verify(&["--start", &file, "--settle", "1s"])
        .await?
        .expect(1)?;
    let lines = verified
        .lines
        .iter()
        .map(|line| format!("{} {} {}", line["namespace"], line["subject"], line["kind"]));
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    ensure!(
        lines
            == [
                r#""crm.customers" "document" "differs""#,
                r#""crm.invented" "collection" "extra""#,
                r#""shop.invented" "collection" "extra""#,
                r#""shop.orders" "document" "extra""#,
            ],
        "{lines:#?}"
    );
    rig.abandon();
    directory.remove();
    Ok(())
}

/// Users with the role `read` on the databases in scope alone.
#[tokio::test(flavor = "multi_thread")]
async fn f154_the_role_read_is_enough() -> Result<()> {
    let pair = Pair::with(replica_set::Options::secure).await?;
    for set in [&pair.source, &pair.destination] {
        fill(set.client()).await?;
        set.db("hidden")
            .collection("x")
            .insert_one(doc! { "_id": 1 })
            .await?;
        for (user, database) in [("reader", "app"), ("stranger", "other")] {
            let roles = [doc! { "role": "read", "db": database }];
            set.admin(doc! { "createUser": user, "pwd": "pw", "roles": roles.to_vec() })
                .await?;
        }
    }
    let uris = |user| {
        (
            pair.source.uri_of(user, "pw"),
            pair.destination.uri_of(user, "pw"),
        )
    };
    let (source, destination) = uris("reader");
    let verified = run((&source, &destination), &[], &[]).await?.expect(0)?;
    ensure!(verified.summary["namespaces"] == 10, "{}", verified.summary);
    pair.destination
        .db("app")
        .collection::<Document>("items")
        .delete_one(doc! { "_id": 3 })
        .await?;
    let verified = run((&source, &destination), &["--settle", "0"], &[])
        .await?
        .expect(1)?;
    ensure!(verified.lines.len() == 1, "{:?}", verified.texts());
    // Nothing that a user may read is in scope: that proves nothing.
    let (source, destination) = uris("stranger");
    let verified = run((&source, &destination), &[], &[]).await?.expect(2)?;
    ensure!(verified.summary["namespaces"] == 0, "{}", verified.summary);
    let wrong = pair.source.uri_of("reader", "wrong");
    let refused = run((&wrong, &destination), &[], &[]).await?.expect(2)?;
    ensure!(
        refused.stderr.contains("AuthenticationFailed"),
        "{}",
        refused.stderr
    );
    pair.end();
    Ok(())
}

/// Clusters and collections that cannot be verified are refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn f155_what_cannot_be_verified_is_refused_by_name() -> Result<()> {
    let pair = Pair::start().await?;
    let series = doc! { "create": "series", "timeseries": { "timeField": "t" } };
    pair.source.db("app").run_command(series.clone()).await?;
    pair.source
        .db("app")
        .collection("x")
        .insert_one(doc! { "_id": 1 })
        .await?;
    pair.destination
        .db("app")
        .collection("x")
        .insert_one(doc! { "_id": 1 })
        .await?;
    let start = pair.directory.path().join("start.json");
    let mut options = json!({ "source": "cluster0", "destination": "cluster1",
        "documentFilter": { "field": "_id", "matchValues": [1] } });
    std::fs::write(&start, options.to_string())?;
    let with_filter = start.to_string_lossy().into_owned();
    let refused = pair.verify(&["--start", &with_filter]).await?.expect(2)?;
    ensure!(
        refused
            .stderr
            .contains("TimeSeriesNotSupported: app.series"),
        "{}",
        refused.stderr
    );
    options["excludeNamespaces"] = json!([{ "database": "app", "collections": ["series"] }]);
    std::fs::write(&start, options.to_string())?;
    let start = start.to_string_lossy().into_owned();
    pair.verify(&["--start", &start]).await?.expect(0)?;
    // On the destination alone it is an extra collection.
    pair.source
        .db("app")
        .collection::<Document>("series")
        .drop()
        .await?;
    pair.destination.db("app").run_command(series).await?;
    let verified = pair.verify(&["--settle", "0"]).await?.expect(1)?;
    ensure!(
        verified.texts() == ["app.series collection extra"],
        "{:?}",
        verified.texts()
    );
    let uri = pair.source.uri();
    let refused = run((&uri, &uri), &[], &[]).await?.expect(2)?;
    ensure!(refused.stderr.contains("SameCluster"), "{}", refused.stderr);
    for arguments in [
        ["--settle", "soon"],
        ["--state", "x"],
        ["--start", "/no/file"],
    ] {
        let refused = pair.verify(&arguments).await?.expect(2)?;
        ensure!(
            refused.stderr.contains("InvalidConfig"),
            "{}",
            refused.stderr
        );
    }
    pair.end();
    Ok(())
}

/// Time-series collections are compared by their buckets.
#[tokio::test(flavor = "multi_thread")]
async fn f155_time_series_collections_are_compared_by_their_buckets() -> Result<()> {
    let pair = Pair::start().await?;
    let series = doc! { "create": "series", "timeseries": { "timeField": "t", "metaField": "k" } };
    for set in [&pair.source, &pair.destination] {
        set.db("app").run_command(series.clone()).await?;
    }
    let measurement =
        |n: i64| doc! { "t": DateTime::from_millis(n * 5_000_000), "k": n % 3, "v": n };
    let source = pair.source.db("app");
    let collection = source.collection::<Document>("series");
    collection.insert_many((0..200).map(measurement)).await?;
    let buckets = source.collection::<Document>("system.buckets.series");
    let raw: Vec<Document> = buckets.find(doc! {}).await?.try_collect().await?;
    let theirs = pair.destination.db("app");
    let theirs = theirs.collection::<Document>("system.buckets.series");
    theirs.insert_many(&raw).await?;
    pair.verify(&[]).await?.expect(0)?;
    let first = raw.first().context("no bucket")?.get_object_id("_id")?;
    theirs
        .update_one(doc! { "_id": first }, doc! { "$set": { "meta": 77 } })
        .await?;
    let verified = pair.verify(&["--settle", "0"]).await?.expect(1)?;
    let id = json!({ "$oid": first.to_hex() });
    let expected = format!("app.series document {id} differs meta");
    ensure!(verified.texts() == [expected], "{:?}", verified.texts());
    pair.end();
    Ok(())
}

/// A sync whose plugin cannot handle some documents.
#[tokio::test(flavor = "multi_thread")]
async fn f156_documents_in_quarantine_are_not_proven() -> Result<()> {
    let mut rig = Rig::with(Options::default()).await?;
    rig.set_scope(dataset::in_scope);
    let collection = rig.source_db("app").collection::<Document>("people");
    collection
        .insert_many([
            doc! { "_id": 1, "author": "Anna" },
            doc! { "_id": 2, "author": 5 },
        ])
        .await?;
    let rules = json!({ "rules": [{ "path": "author", "action": "keepLast", "count": 2 }] });
    let mut options = json!({ "plugins": [{ "component": "field-mask", "config": rules, "onError": "quarantine" }] });
    rig.host.start(options.clone()).await?;
    rig.commit().await?;
    options["source"] = json!("cluster0");
    options["destination"] = json!("cluster1");
    let directory = support::TestDir::new()?;
    let file = directory.path().join("start.json");
    std::fs::write(&file, options.to_string())?;
    let uris = (rig.source.uri(), rig.destination.uri());
    let verified = run(
        (&uris.0, &uris.1),
        &["--start", &file.to_string_lossy()],
        &[],
    )
    .await?
    .expect(2)?;
    ensure!(
        verified.texts() == [r#"app.people document {"$numberInt":"2"} quarantined"#],
        "{:?}",
        verified.texts()
    );
    rig.abandon();
    directory.remove();
    Ok(())
}
