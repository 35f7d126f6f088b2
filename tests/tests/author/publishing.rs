//! docs/publishing.md, run as it stands: between two clusters, with a registry.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{
    ReplicaSet, TestDir, guide::blocks, mongod::workspace, package::file_of, registry::OciRegistry,
    replica_set,
};

use super::{play, said};

#[tokio::test]
async fn f230_the_page_leads_to_a_signed_plugin_and_its_next_builds() -> Result<()> {
    let page = workspace().join("docs/publishing.md");
    let page = fs::read_to_string(page).context("read the page")?;
    let directory = TestDir::new()?;
    let home = directory.path().join("home");
    fs::create_dir(&home)?;
    let registry = OciRegistry::start(directory.path(), None).await?;
    let cluster = |name| {
        ReplicaSet::start(
            name,
            directory.path().join(name),
            replica_set::Options::default(),
        )
    };
    let (source, destination) = tokio::try_join!(cluster("source"), cluster("destination"))?;
    let people = source.db("shop").collection::<Document>("people");
    people
        .insert_many([
            doc! { "_id": 1, "status": "active" },
            doc! { "_id": 2, "status": "gone" },
            doc! { "_id": 3, "status": "active", "name": "Cem" },
            doc! { "_id": 4, "name": "Dee" },
        ])
        .await?;

    let registry = format!("{}/team", registry.address());
    let docker = home.to_string_lossy();
    let openssl = file_of("openssl", "usr/bin/openssl")?;
    let variables = [
        ("REGISTRY", &*registry),
        ("DOCKER_CONFIG", &*docker),
        ("OPENSSL", &*openssl.to_string_lossy()),
    ];
    // A machine without openssl has it in a folder of its own.
    let page = page.replace("$ openssl ", "$ $OPENSSL ");
    let output = play(
        "publishing",
        &blocks(&page),
        [&source, &destination],
        &variables,
    )
    .await?;

    let said = said(&output);
    for line in [
        ": 4 the same, 0 with other contents, 0 with another outcome",
        "differs   _id 4: dropped, now kept",
        ": 3 the same, 0 with other contents, 1 with another outcome",
        "exit code 1\n",
    ] {
        ensure!(said.contains(line), "no {line:?} in:\n{said}");
    }
    let mut found = BTreeSet::new();
    let people = destination.db("shop").collection::<Document>("people");
    let mut cursor = people.find(doc! {}).await?;
    while cursor.advance().await? {
        found.insert(cursor.current().get_i32("_id")?);
    }
    ensure!(found == BTreeSet::from([1, 3, 4]), "{found:?}\n{said}");
    drop((source, destination));
    directory.remove();
    Ok(())
}
