//! Each refusal of the preflight on real servers, by its stable name.

use anyhow::{Context as _, Result};
use bson::Bson;
use support::replica_set::Options;
use support::{ReplicaSet, TestDir, doc};
use tidegate::model::options::ClusterName;
use tidegate::model::{ErrorName, OperatorError};
use tidegate::mongo::preflight::{Preflight, check, oplog_window_seconds};
use tidegate::mongo::{Cluster, connect, last_write, ping_ms, preflight};

/// Two sets that a sync could run between.
struct Pair {
    dir: TestDir,
    source: ReplicaSet,
    destination: ReplicaSet,
}

impl Pair {
    async fn start(source: Options, destination: Options) -> Result<Self> {
        let dir = TestDir::new()?;
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start("source", dir.subdirectory("source")?, source),
            ReplicaSet::start("destination", dir.subdirectory("destination")?, destination),
        )?;
        Ok(Self {
            dir,
            source,
            destination,
        })
    }

    async fn check(&self) -> Result<Preflight, OperatorError> {
        check_uris(&self.source.uri(), &self.destination.uri()).await
    }

    async fn refusal(&self) -> Result<OperatorError> {
        self.check().await.err().context("nothing was refused")
    }
}

async fn cluster(name: ClusterName, uri: &str) -> Result<Cluster, OperatorError> {
    connect(name, uri, "tidegate-test").await
}

async fn check_uris(source: &str, destination: &str) -> Result<Preflight, OperatorError> {
    let source = cluster(ClusterName::Cluster0, source).await?;
    let destination = cluster(ClusterName::Cluster1, destination).await?;
    check(&source, &destination).await
}

/// Creates a user with these roles; answers its connection string.
async fn user<const N: usize>(set: &ReplicaSet, name: &str, roles: [&str; N]) -> Result<String> {
    let roles = roles.map(Bson::from).to_vec();
    set.admin(doc! { "createUser": name, "pwd": "pw", "roles": roles })
        .await?;
    Ok(set.uri_of(name, "pw"))
}

fn assert_refused(error: &OperatorError, name: ErrorName, says: &[&str]) {
    assert_eq!(error.name, name, "{error}");
    for text in says {
        assert!(error.message.contains(text), "{text:?} is not in: {error}");
    }
}

#[tokio::test]
async fn two_fit_clusters_are_told_apart_and_measured() -> Result<()> {
    let pair = Pair::start(Options::default(), Options::default()).await?;
    pair.source
        .db("app")
        .collection("users")
        .insert_one(doc! { "_id": 1 })
        .await?;

    let found = pair.check().await?;
    assert_eq!(found.warnings, Vec::<String>::new());
    for (identity, set) in [
        (&found.source, &pair.source),
        (&found.destination, &pair.destination),
    ] {
        let config = set.admin(doc! { "replSetGetConfig": 1 }).await?;
        let id = config
            .get_document("config")?
            .get_document("settings")?
            .get_object_id("replicaSetId")?;
        assert_eq!(
            (identity.replica_set_id, &identity.primary),
            (id, &set.address())
        );
    }
    assert_eq!(found.source.set_name, "source");
    pair.source
        .db("app")
        .collection("system.js")
        .insert_one(doc! { "_id": "f" })
        .await?;
    assert_eq!(pair.check().await?.warnings, Vec::<String>::new());
    pair.destination
        .db("other")
        .collection("system.js")
        .insert_one(doc! { "_id": "f" })
        .await?;
    let warned = pair.check().await?.warnings;
    assert!(
        matches!(warned.as_slice(), [one] if one.contains("other.system.js")),
        "{warned:?}"
    );
    assert!(found.source.version >= (6, 0, 0));

    let source = cluster(ClusterName::Cluster0, &pair.source.uri()).await?;
    assert_eq!(
        preflight::identify(&source).await?,
        found.source,
        "an identity is stable"
    );
    assert!(oplog_window_seconds(&source).await.context("a window")? > 0);
    assert!(ping_ms(&source).await.is_some());
    let before = last_write(&source).await?;
    pair.source
        .db("app")
        .collection("users")
        .insert_one(doc! { "_id": 2 })
        .await?;
    assert!(last_write(&source).await? > before);
    pair.dir.remove();
    Ok(())
}

#[tokio::test]
async fn an_unreachable_cluster_is_refused_with_its_host() -> Result<()> {
    let port = support::process::free_port()?;
    let uri = format!("mongodb://u:secret@127.0.0.1:{port}/?serverSelectionTimeoutMS=300");
    let error = cluster(ClusterName::Cluster1, &uri)
        .await
        .err()
        .context("nothing was refused")?;
    assert_refused(
        &error,
        ErrorName::ConnectionFailed,
        &["cluster1", &format!("127.0.0.1:{port}"), "refused"],
    );
    assert!(!error.message.contains("secret"), "{error}");
    Ok(())
}

#[tokio::test]
async fn only_replica_sets_of_their_own_are_taken() -> Result<()> {
    let standalone = Options {
        replicated: false,
        ..Options::default()
    };
    let shard = Options::default().argument("--shardsvr");
    let pair = Pair::start(standalone, shard).await?;

    assert_refused(
        &pair.refusal().await?,
        ErrorName::StandaloneNotSupported,
        &["cluster0"],
    );
    let shard = cluster(ClusterName::Cluster1, &pair.destination.uri()).await?;
    let error = preflight::identify(&shard)
        .await
        .err()
        .context("nothing was refused")?;
    assert_refused(
        &error,
        ErrorName::ShardedClusterNotSupported,
        &["cluster1", "shardsvr"],
    );
    pair.dir.remove();
    Ok(())
}

#[tokio::test]
async fn the_destination_is_another_set_and_holds_no_data() -> Result<()> {
    let pair = Pair::start(Options::default(), Options::default()).await?;
    let same = check_uris(&pair.source.uri(), &pair.source.uri()).await;
    assert_refused(
        &same.err().context("nothing was refused")?,
        ErrorName::SameCluster,
        &["source"],
    );

    for (database, collection) in [
        ("mongosync_internal_tidegate", "session"),
        ("admin", "notes"),
    ] {
        pair.destination
            .db(database)
            .collection(collection)
            .insert_one(doc! {})
            .await?;
    }
    let profiled = pair.destination.db("profiled");
    profiled
        .run_command(doc! { "create": "system.profile", "capped": true, "size": 4096 })
        .await?;
    pair.check()
        .await
        .context("metadata and system collections are not data")?;

    for n in 1..=7 {
        pair.destination
            .db("app")
            .create_collection(format!("c{n}"))
            .await?;
    }
    let error = pair.refusal().await?;
    assert_refused(
        &error,
        ErrorName::DestinationNotEmpty,
        &["cluster1", "app.c", "and 2 more"],
    );
    pair.dir.remove();
    Ok(())
}

#[tokio::test]
async fn the_feature_compatibility_version_is_supported_and_not_behind() -> Result<()> {
    let pair = Pair::start(Options::default(), Options::default()).await?;
    let info = pair.source.admin(doc! { "buildInfo": 1 }).await?;
    anyhow::ensure!(
        info.get_str("version")?.starts_with("6.0."),
        "written for MongoDB 6.0"
    );
    for set in [&pair.destination, &pair.source] {
        set.admin(doc! { "setFeatureCompatibilityVersion": "5.0" })
            .await?;
        let error = pair.refusal().await?;
        assert_refused(
            &error,
            ErrorName::FeatureCompatibilityVersionNotSupported,
            &["5.0"],
        );
    }
    pair.dir.remove();
    Ok(())
}

#[tokio::test]
async fn users_need_credentials_and_privileges() -> Result<()> {
    let pair = Pair::start(Options::secure(), Options::secure()).await?;
    let source_roles = ["clusterMonitor", "readAnyDatabase"];
    let destination_roles = [
        "clusterMonitor",
        "dbAdminAnyDatabase",
        "readWriteAnyDatabase",
        "restore",
    ];
    let reader = user(&pair.source, "reader", source_roles).await?;
    let writer = user(&pair.destination, "writer", destination_roles).await?;
    let found = check_uris(&reader, &writer)
        .await
        .context("built-in roles are enough")?;
    assert_eq!(found.warnings, Vec::<String>::new());

    let looks = [
        "serverStatus",
        "replSetGetConfig",
        "getCmdLineOpts",
        "getParameter",
    ]
    .map(Bson::from)
    .to_vec();
    let looks = vec![Bson::from(
        doc! { "resource": { "cluster": true }, "actions": looks },
    )];
    pair.source
        .admin(doc! { "createRole": "looks", "privileges": looks, "roles": [] })
        .await?;
    let without_oplog = user(&pair.source, "modest", ["looks", "readAnyDatabase"]).await?;
    let found = check_uris(&without_oplog, &writer).await?;
    assert!(matches!(found.warnings.as_slice(), [one] if one.contains("local.oplog.rs")));

    let few_on_source = user(&pair.source, "few", ["readAnyDatabase"]).await?;
    let few_on_destination = user(&pair.destination, "few", ["readAnyDatabase"]).await?;
    let few = check_uris(&few_on_source, &few_on_destination).await;
    assert_refused(
        &few.err().context("nothing was refused")?,
        ErrorName::MissingPrivileges,
        &[
            "few@admin of cluster0 lacks serverStatus, replSetGetConfig, getCmdLineOpts, getParameter on {cluster: true}.",
            "few@admin of cluster1 lacks",
            "insert, update, remove, bypassDocumentValidation",
            "on {db: \"\", collection: \"\"}",
        ],
    );

    let wrong = cluster(
        ClusterName::Cluster0,
        &pair.source.uri_of("few", "wrong-secret"),
    )
    .await;
    let wrong = wrong.err().context("nothing was refused")?;
    assert_refused(&wrong, ErrorName::AuthenticationFailed, &["cluster0"]);
    assert!(!wrong.message.contains("wrong-secret"), "{wrong}");

    let nobody = pair.source.uri().replace("root:root-secret@", "");
    let nobody = check_uris(&nobody, &pair.destination.uri()).await;
    let nobody = nobody.err().context("nothing was refused")?;
    assert_refused(
        &nobody,
        ErrorName::AuthenticationFailed,
        &["cluster0", "names no user"],
    );
    pair.dir.remove();
    Ok(())
}
