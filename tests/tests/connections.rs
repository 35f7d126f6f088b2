//! What a connection string may say: compressors, certificates, proxies and sockets carry a whole sync, and what a server
//! or this machine does not have is refused by name.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use support::{
    ReplicaSet, Rig, TestDir, Writer, doc, guide,
    host::{self, DEADLINE, number},
    replica_set,
    rig::Options,
    socks::{self, SocksProxy},
    tls::KEY_PASSWORD,
    wait::Look,
    wait_until,
    workload::{self, Pace, dataset},
};
use tidegate::model::options::ClusterName;
use tidegate::model::{ErrorName, OperatorError};

const SEED: u64 = 71;
const DOCUMENTS: u64 = 4_000;
const WRITES: u64 = 200;

/// A sync under writes. Returns when it can be committed.
async fn sync_under_writes(rig: &mut Rig) -> Result<()> {
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, SEED).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, SEED, Pace::default());
    rig.host.start(dataset::filters()).await?;
    rig.host.wait_can_commit().await?;
    wait_until("writes during the sync", DEADLINE, async || {
        let written = writer.counts().total();
        Ok(match written >= WRITES {
            true => Look::Done(()),
            false => Look::NotYet(format!("{written} writes")),
        })
    })
    .await?;
    writer.stop().await?;
    Ok(())
}

/// Bytes that a server has compressed for its clients, and decompressed from them.
async fn compressed(set: &ReplicaSet, compressor: &str) -> Result<(i64, i64)> {
    let status = set.admin(doc! { "serverStatus": 1 }).await?;
    let compression = status
        .get_document("network")?
        .get_document("compression")?;
    let of = compression.get_document(compressor)?;
    let bytes = |way: &str| -> Result<i64> { Ok(of.get_document(way)?.get_i64("bytesIn")?) };
    Ok((bytes("compressor")?, bytes("decompressor")?))
}

/// Each compressor reads a source, and writes to a destination.
#[tokio::test(flavor = "multi_thread")]
async fn f170_a_sync_with_each_compressor() -> Result<()> {
    const MEGABYTE: i64 = 1 << 20;
    for (name, options) in [
        ("zstd", "compressors=zstd"),
        ("zlib", "compressors=zlib,zstd&zlibCompressionLevel=9"),
        ("snappy", "compressors=snappy,zlib"),
    ] {
        let with = replica_set::Options::default()
            .argument("--networkMessageCompressors")
            .argument("snappy,zstd,zlib");
        let options_of_rig = Options {
            source: with.clone(),
            destination: with,
            ..Options::default()
        };
        let mut rig = Rig::with(options_of_rig).await?;
        let arguments = rig.host.arguments_mut();
        for uri in [&mut arguments.cluster0, &mut arguments.cluster1] {
            *uri += &format!("&{options}");
        }
        rig.host.restart().await?;
        // The largest document, which no compressor makes smaller.
        let mut bytes = vec![0; (16 << 20) - 100];
        StdRng::seed_from_u64(SEED).fill_bytes(&mut bytes);
        let subtype = bson::spec::BinarySubtype::Generic;
        let large = doc! { "_id": "large", "bytes": bson::Binary { subtype, bytes } };
        rig.source_db("shop")
            .collection("large")
            .insert_one(large)
            .await?;
        sync_under_writes(&mut rig).await?;
        let (sent, _) = compressed(&rig.source, name).await?;
        let (_, received) = compressed(&rig.destination, name).await?;
        ensure!(
            sent > 16 * MEGABYTE && received > MEGABYTE,
            "{name}: {sent} bytes from the source, {received} to the destination"
        );
        rig.finish().await.with_context(|| format!("with {name}"))?;
    }
    Ok(())
}

/// Users without passwords, and a key with one.
#[tokio::test(flavor = "multi_thread")]
async fn f171_certificates_stand_for_users() -> Result<()> {
    let mut rig = Rig::with(Options::secure()).await?;
    let subject = "CN=tidegate,O=tidegate test";
    guide::certified_user(&rig.source, "tidegateSource", subject).await?;
    guide::certified_user(&rig.destination, "tidegateDestination", subject).await?;
    let uri = |set: &ReplicaSet, with_password: bool| -> Result<String> {
        let (certificates, directory) = set.certificates()?;
        let file = match with_password {
            true => certificates.client_with_password(directory, "tidegate")?,
            false => certificates.client(directory, "tidegate")?,
        };
        let password = match with_password {
            true => format!("&tlsCertificateKeyFilePassword={KEY_PASSWORD}"),
            false => String::new(),
        };
        Ok(format!(
            "mongodb://{}/?replicaSet={}&tls=true&tlsCAFile={}&authMechanism=MONGODB-X509&tlsCertificateKeyFile={}{password}",
            set.address(),
            set.name(),
            certificates.authority.display(),
            file.display(),
        ))
    };
    let (source, destination) = (uri(&rig.source, true)?, uri(&rig.destination, false)?);
    let wrong = source.replace(KEY_PASSWORD, "wr0ng");
    let refusal = refused(&wrong).await?;
    ensure!(refusal.name == ErrorName::InvalidUri, "{refusal}");
    ensure!(refusal.message.contains("decrypt private key"), "{refusal}");
    ensure!(!refusal.message.contains("wr0ng"), "{refusal}");

    let arguments = rig.host.arguments_mut();
    (arguments.cluster0, arguments.cluster1) = (source, destination);
    rig.host.restart().await?;
    sync_under_writes(&mut rig).await?;
    ensure!(
        !rig.log.has(KEY_PASSWORD)?,
        "the log shows a password of a key"
    );
    ensure!(
        rig.log.has("tlsCertificateKeyFilePassword=****")?,
        "the log does not show the options of a connection"
    );
    rig.finish().await?;
    Ok(())
}

async fn refused(uri: &str) -> Result<OperatorError> {
    let connected = tidegate::mongo::connect(ClusterName::Cluster0, uri, "tidegate-test").await;
    connected.err().context("nothing is refused")
}

/// A set with access control and a user for SCRAM-SHA-256 alone.
async fn secured(directory: &TestDir) -> Result<ReplicaSet> {
    let options = replica_set::Options::secure();
    let set = ReplicaSet::start("source", directory.subdirectory("source")?, options).await?;
    let mechanisms = ["SCRAM-SHA-256"];
    let user =
        doc! { "createUser": "u", "pwd": "pw-s3cret", "roles": ["root"], "mechanisms": mechanisms };
    set.admin(user).await?;
    Ok(set)
}

/// Community servers have neither PLAIN nor MONGODB-OIDC: the refusal has a name, comes at once, and shows no secret.
#[tokio::test(flavor = "multi_thread")]
async fn f173_a_mechanism_that_a_server_does_not_have() -> Result<()> {
    let directory = TestDir::new()?;
    let set = secured(&directory).await?;
    let uri = set.uri_of("u", "pw-s3cret");
    tidegate::mongo::connect(ClusterName::Cluster0, &uri, "tidegate-test").await?;
    for mechanism in ["SCRAM-SHA-1", "PLAIN&authSource=$external"] {
        let begun = std::time::Instant::now();
        let refusal = refused(&format!("{uri}&authMechanism={mechanism}")).await?;
        ensure!(
            refusal.name == ErrorName::AuthenticationFailed,
            "{mechanism}: {refusal}"
        );
        ensure!(!refusal.message.contains("s3cret"), "{refusal}");
        ensure!(begun.elapsed().as_secs() < 10, "{mechanism} took too long");
    }
    directory.remove();
    Ok(())
}

/// A process of its own, whose environment names the file of the token.
#[tokio::test(flavor = "multi_thread")]
async fn f172_a_token_is_read_from_its_file_and_never_shown() -> Result<()> {
    let directory = TestDir::new()?;
    let set = secured(&directory).await?;
    let (_, options) = set.uri().split_once('?').map_or_else(
        || (String::new(), String::new()),
        |(place, options)| (place.to_owned(), options.to_owned()),
    );
    let uri = format!(
        "mongodb://{}/?{options}&authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s",
        set.address()
    );
    let file = directory.path().join("token");
    let run = |file: &std::path::Path| -> Result<(Option<i32>, String)> {
        let output = Command::new(host::binary()?)
            .args(["--port", "0", "--cluster0", &uri, "--cluster1", &uri])
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", file)
            .output()
            .context("run the host")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = text(&output.stdout) + &text(&output.stderr);
        Ok((output.status.code(), printed))
    };
    let (code, printed) = run(&file)?;
    ensure!(code == Some(3), "{code:?}: {printed}");
    ensure!(
        printed.contains("AuthenticationFailed: There is no token for cluster"),
        "{printed}"
    );
    std::fs::write(&file, "t0ken-s3cret\n")?;
    let (code, printed) = run(&file)?;
    ensure!(code == Some(3), "{code:?}: {printed}");
    ensure!(printed.contains("AuthenticationFailed"), "{printed}");
    ensure!(!printed.contains("t0ken"), "{printed}");
    directory.remove();
    Ok(())
}

/// Both clusters behind a proxy with a password, which refuses the host for a while.
#[tokio::test(flavor = "multi_thread")]
async fn f174_a_sync_through_proxies() -> Result<()> {
    let mut rig = Rig::start().await?;
    let user = Some(("proxy-us3r".to_owned(), "proxy-s3cret".to_owned()));
    let options = socks::Options {
        user,
        ..socks::Options::default()
    };
    let proxies = [
        SocksProxy::start(options.clone()).await?,
        SocksProxy::start(options).await?,
    ];
    let [source, destination] = &proxies;
    let wrong = format!("{}&{}", rig.source.uri(), source.uri_options());
    let wrong = wrong.replace("proxy-s3cret", "wr0ng") + "&serverSelectionTimeoutMS=2000";
    let refusal = refused(&wrong).await?;
    ensure!(refusal.name == ErrorName::ConnectionFailed, "{refusal}");
    ensure!(
        refusal.message.contains("refuses proxyUsername"),
        "{refusal}"
    );
    ensure!(
        !refusal.message.contains("wr0ng") && !refusal.message.contains("us3r"),
        "{refusal}"
    );

    let arguments = rig.host.arguments_mut();
    arguments.cluster0 += &format!("&{}", source.uri_options());
    arguments.cluster1 += &format!("&{}", destination.uri_options());
    rig.host.restart().await?;
    rig.set_scope(dataset::in_scope);
    workload::load(rig.source.client(), DOCUMENTS, SEED).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, SEED, Pace::default());
    rig.host.start(dataset::filters()).await?;
    for proxy in &proxies {
        rig.host
            .wait_until("a part of the copy", DEADLINE, |progress| {
                number(progress, "/collectionCopy/estimatedCopiedBytes") > 0
            })
            .await?;
        proxy.refuse().await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        proxy.mend();
    }
    rig.host.wait_can_commit().await?;
    writer.stop().await?;
    for proxy in &proxies {
        ensure!(
            proxy.connections() > 2 && proxy.bytes() > 1 << 20,
            "the sync does not go through a proxy"
        );
    }
    ensure!(!rig.log.has("s3cret")?, "the log shows a password");
    ensure!(!rig.log.has("us3r")?, "the log shows a user");
    rig.finish().await?;
    Ok(())
}

/// A seed that is a Unix socket, a direct connection, and options that must not change a guarantee.
#[tokio::test(flavor = "multi_thread")]
async fn f175_a_sync_keeps_its_guarantees_whatever_its_options_ask_for() -> Result<()> {
    let sockets = TestDir::new()?;
    let directory = sockets.path().display().to_string();
    let options = Options {
        source: replica_set::Options::default()
            .argument("--unixSocketPrefix")
            .argument(&directory),
        ..Options::default()
    };
    let mut rig = Rig::with(options).await?;
    let socket = rig.source.address();
    let (_, port) = socket.split_once(':').context("a port")?;
    let socket = format!("{directory}/mongodb-{port}.sock").replace('/', "%2F");
    let weak = "w=0&journal=false&readPreference=secondaryPreferred&maxStalenessSeconds=120&readConcernLevel=local&\
                retryWrites=false&retryReads=false&maxPoolSize=1&uuidRepresentation=standard";
    let arguments = rig.host.arguments_mut();
    arguments.cluster0 = format!("mongodb://{socket}/?replicaSet=source&{weak}");
    arguments.cluster1 += &format!("&directConnection=true&{weak}");
    rig.host.restart().await?;
    for option in ["w", "directConnection", "readPreference", "maxPoolSize"] {
        let told = format!("\"option\":\"{option}\"");
        ensure!(rig.log.has(&told)?, "the log does not name {option}");
    }
    rig.allow_log("an option of the connection string");
    sync_under_writes(&mut rig).await?;
    rig.finish().await?;
    sockets.remove();
    Ok(())
}
