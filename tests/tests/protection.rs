//! Protection of the API, as other machines meet it: TLS, tokens, client certificates, roles, records of calls, and
//! connections that send garbage.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::host::{self, DEADLINE};
use support::process::free_port;
use support::tls::Certificates;
use support::wait::{Look, wait_until};
use support::{Rig, TestDir};

const VIEWER: &str = "viewer-token-0123456789";
const OPERATOR: &str = "operator-token-0123456789";
const COMMITTER: &str = "committer-token-0123456789";

/// A host without clusters, on all addresses: its API answers at once.
struct Protected {
    /// `None` after the end.
    directory: Option<TestDir>,
    certificates: Certificates,
    port: u16,
    process: Child,
}

impl Drop for Protected {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o600))?)
}

fn tokens() -> String {
    format!(
        "- {{ name: vera, role: viewer, token: {VIEWER} }}\n- {{ name: otto, role: operator, token: {OPERATOR} }}\n\
         - {{ name: cora, role: committer, token: {COMMITTER} }}\n- {{ subject: \"CN=eve,O=tidegate test\", role: operator }}\n"
    )
}

impl Protected {
    async fn start() -> Result<Self> {
        let directory = TestDir::new()?;
        let certificates = Certificates::create(directory.path())?;
        private(&directory.path().join("tokens.yaml"), &tokens())?;
        let port = free_port()?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let process = Command::new(host::binary()?)
            .args(["--cluster0", "mongodb://u:s3cret-of-uri@127.0.0.1:1"])
            .args(["--cluster1", "mongodb://127.0.0.1:2", "--bind", "0.0.0.0"])
            .args(["--port", &port.to_string(), "--logPath", &path("log")])
            .args(["--tlsCertificateKeyFile", &path("server.pem")])
            .args(["--tlsClientCaFile", &path("ca.pem")])
            .args(["--tokensFile", &path("tokens.yaml"), "--verbosity", "DEBUG"])
            .args(["--allowedHosts", "sync.example"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let started = Self {
            directory: Some(directory),
            certificates,
            port,
            process,
        };
        wait_until("the API answers", Duration::from_secs(20), async || {
            Ok(match started.curl("/healthz", &[]) {
                Ok((200, _)) => Look::Done(()),
                other => Look::NotYet(format!("{other:?}")),
            })
        })
        .await?;
        Ok(started)
    }

    fn path(&self, name: &str) -> PathBuf {
        let directory = self.directory.as_ref().map(TestDir::path);
        directory.unwrap_or(Path::new("")).join(name)
    }

    /// Ends the host and removes its files.
    fn finish(mut self) {
        let directory = self.directory.take();
        drop(self);
        if let Some(directory) = directory {
            directory.remove();
        }
    }

    /// Calls over HTTPS. Returns the status, and the headers with the body.
    fn curl(&self, path: &str, more: &[&str]) -> Result<(u16, String)> {
        curl(&self.certificates.authority, self.port, path, more)
    }

    fn as_caller(&self, token: &str, path: &str, more: &[&str]) -> Result<u16> {
        let header = format!("Authorization: Bearer {token}");
        Ok(self.curl(path, &[&["-H", &header], more].concat())?.0)
    }

    /// Waits until the files were read again `times` times. A call with a token that is not known yet would count as a
    /// guess.
    async fn wait_for_reads(&self, times: usize) -> Result<()> {
        wait_until(
            "the files are reread",
            Duration::from_secs(10),
            async || {
                let found = self
                    .log()?
                    .matches("certificates of the API reread")
                    .count();
                Ok(match found >= times {
                    true => Look::Done(()),
                    false => Look::NotYet(format!("{found}")),
                })
            },
        )
        .await
    }

    fn log(&self) -> Result<String> {
        let mut text = String::new();
        for entry in self.path("log").read_dir()? {
            text.push_str(&fs::read_to_string(entry?.path())?);
        }
        Ok(text)
    }
}

fn subdirectory(host: &Protected, name: &str) -> Result<PathBuf> {
    let path = host.path(name);
    fs::create_dir_all(&path)?;
    Ok(path)
}

fn curl(authority: &Path, port: u16, path: &str, more: &[&str]) -> Result<(u16, String)> {
    let output = Command::new("curl")
        .args(["-s", "-i", "--max-time", "20", "--cacert"])
        .arg(authority)
        .args(more)
        .arg(format!("https://127.0.0.1:{port}{path}"))
        .output()
        .context("run curl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no answer: {:?} {text}", output.status))?;
    Ok((status, text))
}

#[test]
fn an_address_without_protection_is_refused() -> Result<()> {
    let directory = TestDir::new()?;
    let certificates = Certificates::create(directory.path())?;
    let (good, open) = (directory.path().join("good"), directory.path().join("open"));
    private(&good, &tokens())?;
    private(&open, &tokens())?;
    fs::set_permissions(&open, Permissions::from_mode(0o644))?;
    let broken = directory.path().join("broken");
    private(
        &broken,
        "- { name: a, role: root, token: s3cret-s3cret-s3cret }",
    )?;
    let text = |path: &Path| path.display().to_string();
    let (server, ca) = (text(&certificates.server), text(&certificates.authority));
    let (good, open, broken) = (text(&good), text(&open), text(&broken));
    let cases: [(&[&str], &str); 9] = [
        (&["--bind", "0.0.0.0"], "UnprotectedAddress"),
        (&["--bind", "::"], "UnprotectedAddress"),
        (
            &["--bind", "0.0.0.0", "--tokensFile", &good],
            "UnprotectedAddress",
        ),
        (
            &["--bind", "10.0.0.1", "--tlsCertificateKeyFile", &server],
            "UnprotectedAddress",
        ),
        (&["--bind", "example.net"], "InvalidConfig"),
        (&["--tlsClientCaFile", &ca], "InvalidConfig"),
        (&["--tlsCertificateKeyFile", &ca], "InvalidConfig"),
        (&["--tokensFile", &open], "FileNotPrivate"),
        (&["--tokensFile", &broken], "InvalidConfig"),
    ];
    for (more, name) in cases {
        let output = Command::new(host::binary()?)
            .args([
                "--cluster0",
                "mongodb://127.0.0.1:1",
                "--cluster1",
                "mongodb://127.0.0.1:2",
                "--port",
                "0",
            ])
            .args(more)
            .output()?;
        let printed = String::from_utf8_lossy(&output.stderr);
        ensure!(printed.contains(name), "{more:?}: {printed}");
        ensure!(
            output.status.code() == Some(2),
            "{more:?}: {:?}",
            output.status
        );
        ensure!(!printed.contains("s3cret"), "{printed}");
    }
    directory.remove();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_certificates_have_roles_over_tls() -> Result<()> {
    let host = Protected::start().await?;
    // Probes need no credentials, and anything else does.
    ensure!(host.curl("/readyz", &[])?.0 == 503);
    let (status, text) = host.curl("/api/v1/progress", &[])?;
    let headers = text.to_lowercase();
    ensure!(
        status == 401 && headers.contains("www-authenticate: bearer"),
        "{text}"
    );
    ensure!(
        headers.contains("www-authenticate: basic realm=\"tidegate\""),
        "{text}"
    );
    ensure!(host.as_caller(VIEWER, "/api/v1/progress", &[])? == 200);
    ensure!(
        host.curl("/api/v1/progress", &["-u", &format!("any:{VIEWER}")])?
            .0
            == 200
    );
    ensure!(host.as_caller(VIEWER, "/api/v1/pause", &["-XPOST"])? == 403);
    ensure!(host.as_caller(OPERATOR, "/api/v1/commit", &["-XPOST"])? == 403);
    // The clusters do not answer.
    ensure!(host.as_caller(COMMITTER, "/api/v1/commit", &["-XPOST"])? == 503);
    // Names of the server.
    let named = |name: &str| host.as_caller(VIEWER, "/metrics", &["-H", &format!("Host: {name}")]);
    ensure!(
        named("sync.example:1")? == 200
            && named("10.1.2.3")? == 200
            && named("evil.example")? == 403
    );
    // Client certificates, of our authority, and of another.
    let client = host.certificates.client(&host.path(""), "eve")?;
    let unknown = host.certificates.client(&host.path(""), "mallory")?;
    let call = |file: &Path, path: &str, more: &[&str]| {
        let file = file.display().to_string();
        host.curl(path, &[&["--cert", &file], more].concat())
    };
    ensure!(call(&client, "/metrics", &[])?.0 == 200);
    ensure!(call(&client, "/api/v1/commit", &["-XPOST"])?.0 == 403);
    let (status, text) = call(&unknown, "/metrics", &[])?;
    ensure!(
        status == 403 && text.contains("CN=mallory,O=tidegate test"),
        "{text}"
    );
    let other = subdirectory(&host, "other")?;
    let foreign = Certificates::create(&other)?.client(&other, "eve")?;
    ensure!(
        call(&foreign, "/metrics", &[]).is_err(),
        "a foreign certificate is accepted"
    );
    let mut plain = TcpStream::connect(("127.0.0.1", host.port))?;
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    _ = plain.read_to_end(&mut answer);
    ensure!(
        !answer.starts_with(b"HTTP"),
        "HTTP is answered on a port with TLS"
    );
    records_name_callers_and_no_secret(&host)?;
    host.finish();
    Ok(())
}

fn records_name_callers_and_no_secret(host: &Protected) -> Result<()> {
    // Records without a sync are in memory.
    let header = format!("Authorization: Bearer {VIEWER}");
    let (_, records) = host.curl("/api/v1/audit", &["-H", &header])?;
    for text in [
        "\"vera\"",
        "\"otto\"",
        "CN=eve,O=tidegate test",
        "127.0.0.1:",
        "Forbidden",
        "ConnectionFailed",
    ] {
        ensure!(records.contains(text), "{text} is missing in {records}");
    }
    let log = host.log()?;
    for secret in [VIEWER, OPERATOR, COMMITTER, "s3cret-of-uri"] {
        ensure!(
            !log.contains(secret) && !records.contains(secret),
            "{secret} is shown"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_added_over_tls_with_a_token() -> Result<()> {
    let host = Protected::start().await?;
    let add = |token: &str| {
        let file = host.path("token");
        private(&file, &format!("{token}\n"))?;
        let component = host.path("component.wasm");
        fs::write(&component, b"no component")?;
        let output = Command::new(host::binary()?)
            .args(["plugin", "add", "--host", "https://127.0.0.1"])
            .args(["--port", &host.port.to_string(), "--tokenFile"])
            .arg(&file)
            .arg("--caFile")
            .arg(&host.certificates.authority)
            .arg(&component)
            .output()?;
        anyhow::Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = add(OPERATOR)?;
    ensure!(
        refused.contains("Forbidden") && refused.contains("committer"),
        "{refused}"
    );
    // The clusters do not answer: the call is admitted.
    let admitted = add(COMMITTER)?;
    ensure!(admitted.contains("ConnectionFailed"), "{admitted}");
    host.finish();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_reread_and_a_broken_file_changes_nothing() -> Result<()> {
    let host = Protected::start().await?;
    let file = host.path("tokens.yaml");
    let fresh = "fresh-token-0123456789";
    private(
        &file,
        &format!("- {{ name: fresh, role: viewer, token: {fresh} }}\n"),
    )?;
    host.wait_for_reads(1).await?;
    ensure!(host.as_caller(fresh, "/metrics", &[])? == 200);
    ensure!(
        host.as_caller(VIEWER, "/metrics", &[])? == 401,
        "a removed token is accepted"
    );
    private(
        &file,
        &format!("- {{ name: x, role: viewer, token: {fresh} }}\n- {{ name: s3cret-name\n"),
    )?;
    wait_until("the fault is told", Duration::from_secs(10), async || {
        let log = host.log()?;
        let told = log
            .lines()
            .find(|line| line.contains("ERROR") && line.contains("tokens.yaml"));
        Ok(
            match told.filter(|line| line.contains("line 2") || line.contains("line 3")) {
                Some(_) => Look::Done(()),
                None => Look::NotYet(log.clone()),
            },
        )
    })
    .await?;
    ensure!(
        host.as_caller(fresh, "/metrics", &[])? == 200,
        "the previous file is not in effect"
    );
    // By a link, as a mounted secret changes, and with a signal.
    let linked = "linked-token-0123456789";
    let target = host.path("next.yaml");
    private(
        &target,
        &format!("{{\"name\":\"l\",\"role\":\"viewer\",\"token\":\"{linked}\"}}\n"),
    )?;
    fs::remove_file(&file)?;
    std::os::unix::fs::symlink(&target, &file)?;
    let sent = Command::new("kill")
        .args(["-HUP", &host.process.id().to_string()])
        .status()?;
    ensure!(sent.success());
    host.wait_for_reads(2).await?;
    ensure!(host.as_caller(linked, "/metrics", &[])? == 200);
    // Certificates, too.
    let next = subdirectory(&host, "next")?;
    let next = Certificates::create(&next)?;
    fs::copy(&next.server, host.path("server.pem"))?;
    wait_until(
        "the next certificate",
        Duration::from_secs(10),
        async || {
            Ok(match curl(&next.authority, host.port, "/healthz", &[]) {
                Ok((200, _)) => Look::Done(()),
                other => Look::NotYet(format!("{other:?}")),
            })
        },
    )
    .await?;
    ensure!(!host.log()?.contains("s3cret"), "the log holds a secret");
    host.finish();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_authority_ends_the_rights_of_open_connections() -> Result<()> {
    let host = Protected::start().await?;
    let client = host.certificates.client(&host.path(""), "eve")?;
    let url = format!("https://127.0.0.1:{}/metrics", host.port);
    // Two calls on one connection, six seconds apart.
    let calls = Command::new("curl")
        .args(["-s", "--max-time", "20", "--rate", "10/m", "-w"])
        .arg("%{http_code} %{num_connects}\n")
        .args(["-o", "/dev/null", "-o", "/dev/null", "--cert"])
        .arg(&client)
        .arg("--cacert")
        .arg(&host.certificates.authority)
        .args([&url, &url])
        .stdout(Stdio::piped())
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let next = Certificates::create(&subdirectory(&host, "next")?)?;
    fs::copy(&next.authority, host.path("ca.pem"))?;
    host.wait_for_reads(1).await?;
    let output = calls.wait_with_output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(printed == "200 1\n401 0\n", "{printed}");
    host.finish();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_half_handshakes_stop_nobody() -> Result<()> {
    let host = Protected::start().await?;
    let mut held = Vec::new();
    for number in 0..600_u32 {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port))?;
        match number % 3 {
            0 => {}
            // The head of a record of TLS, without its content.
            1 => stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])?,
            _ => _ = stream.write_all(&number.to_le_bytes().repeat(64)),
        }
        held.push(stream);
    }
    let begun = Instant::now();
    ensure!(host.as_caller(VIEWER, "/metrics", &[])? == 200);
    ensure!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    // A half handshake is given up.
    let mut half = TcpStream::connect(("127.0.0.1", host.port))?;
    half.write_all(&[0x16, 3, 1, 2, 0])?;
    half.set_read_timeout(Some(Duration::from_secs(15)))?;
    let read = half.read(&mut [0; 16]);
    ensure!(
        matches!(read, Ok(0))
            || read.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    );
    drop(held);
    // Guesses are bounded.
    for _ in 0..10 {
        ensure!(host.as_caller("wrong-token-0123456789", "/metrics", &[])? == 401);
    }
    let (status, text) = host.curl("/metrics", &["-H", "Authorization: Bearer wrong"])?;
    ensure!(
        status == 429 && text.to_lowercase().contains("retry-after:"),
        "{text}"
    );
    ensure!(
        host.as_caller(VIEWER, "/metrics", &[])? == 429,
        "credentials are checked above the bound"
    );
    host.finish();
    Ok(())
}

/// Records of a host by call, oldest first: who, status, error.
async fn records(host: &support::Host) -> Result<Vec<Value>> {
    let answer = host.call("GET", "/api/v1/audit?limit=1000", "").await?;
    let records = answer
        .body
        .pointer("/audit/records")
        .and_then(Value::as_array);
    let Some(records) = records else {
        bail!("{answer:?}");
    };
    Ok(records.iter().rev().cloned().collect())
}

fn of(records: &[Value], call: &str) -> usize {
    records
        .iter()
        .filter(|record| record["call"] == call)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ten_thousand_records_stay() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.source_db("sales")
        .collection("EMEA")
        .insert_one(support::doc! { "a": 1 })
        .await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let audit = rig
        .destination_db("mongosync_internal_tidegate")
        .collection::<support::Document>("audit");
    let now = bson::DateTime::now();
    // Ids begin with a time: these are of 1970.
    let old = (0..10_050).map(|number| {
        support::doc! {
            "_id": format!("{number:032x}"), "at": now, "call": "POST /api/v1/pause", "parameters": {}, "unrecorded": 0_i64,
        }
    });
    audit.insert_many(old).await?;
    // The first write of a host removes the oldest.
    rig.host.restart().await?;
    rig.host.pause().await?;
    wait_until("the oldest are removed", DEADLINE, async || {
        Ok(match audit.count_documents(support::doc! {}).await? {
            10_000 => Look::Done(()),
            count => Look::NotYet(format!("{count}")),
        })
    })
    .await?;
    let oldest = audit.find_one(support::doc! { "_id": format!("{:032x}", 0) });
    ensure!(oldest.await?.is_none(), "the oldest record is kept");
    let newest = records(&rig.host).await?;
    ensure!(
        of(&newest, "POST /api/v1/start") == 1,
        "{:?}",
        newest.last()
    );
    rig.host.resume().await?;
    rig.finish().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_calls_survive_a_kill_and_a_takeover() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.set_scope(|database, _| database == "sales");
    rig.source_db("sales")
        .collection("EMEA")
        .insert_one(support::doc! { "a": "s3cret-of-document" })
        .await?;
    // Refused before the start: held in memory until there is metadata.
    let refused = rig.host.call("POST", "/api/v1/pause", "{}").await?;
    ensure!(refused.status == 409);
    rig.host
        .start(json!({ "includeNamespaces": [{ "database": "sales" }] }))
        .await?;
    rig.host.wait_can_commit().await?;
    rig.host.pause().await?;
    let written = || async {
        let database = rig.destination_db("mongosync_internal_tidegate");
        let found = database.collection::<support::Document>("audit");
        anyhow::Ok(found.count_documents(support::doc! {}).await?)
    };
    wait_until("records in the metadata", DEADLINE, async || {
        Ok(match written().await? {
            3.. => Look::Done(()),
            count => Look::NotYet(format!("{count}")),
        })
    })
    .await?;
    let before = records(&rig.host).await?;
    rig.host.restart().await?;
    let after = records(&rig.host).await?;
    ensure!(before == after, "{before:?} {after:?}");
    let start = &after[1];
    ensure!(
        start["who"] == "local" && start["role"] == "committer",
        "{start}"
    );
    ensure!(
        start["parameters"]["includeNamespaces"] == "sales",
        "{start}"
    );
    ensure!(start["outcome"]["status"] == 200, "{start}");
    ensure!(
        after[0]["outcome"]["error"] == "InvalidStateTransition",
        "{}",
        after[0]
    );
    ensure!(!format!("{after:?}").contains("s3cret"));
    // The host that hands over writes the record of the call that ends it.
    rig.host.resume().await?;
    let answer = rig.host.call("POST", "/api/v1/handover", "{}").await?;
    ensure!(answer.status == 200, "{answer:?}");
    rig.host.wait_for_end().await?;
    rig.host.restart().await?;
    let last = records(&rig.host).await?;
    ensure!(
        of(&last, "POST /api/v1/handover") == 1 && of(&last, "POST /api/v1/resume") == 1,
        "{last:#?}"
    );
    rig.finish().await?;
    Ok(())
}

/// Runs a command of the binary. Returns its exit code, and all that it has printed.
fn command(arguments: &[&str], certificate: Option<&Path>) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(host::binary()?);
    command.args(arguments);
    if let Some(file) = certificate {
        command.env("TIDEGATE_TLS_CERTIFICATE_KEY_FILE", file);
    }
    let ended = command.output()?;
    let printed = [ended.stdout, ended.stderr].concat();
    Ok((
        ended.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    ))
}

/// The probes of a container and an operator's terminal reach a protected host.
#[tokio::test]
async fn health_and_status_ask_a_host_with_tls() -> Result<()> {
    let host = Protected::start().await?;
    let port = host.port.to_string();
    let authority = host.certificates.authority.display().to_string();
    let token = host.path("token");
    private(&token, VIEWER)?;
    let token = token.display().to_string();
    let certificate = host.path("server.pem");
    let (code, printed) = command(&["health", "--port", &port], Some(&certificate))?;
    ensure!(
        code == Some(0) && printed == "alive\n",
        "{code:?} {printed}"
    );
    let (code, printed) = command(&["health", "--port", &port], None)?;
    ensure!(code == Some(1), "over plain HTTP: {printed}");
    let named = [
        "--host",
        "https://localhost",
        "--port",
        &port,
        "--caFile",
        &authority,
    ];
    let with_token = [&["status"], &named[..], &["--tokenFile", &token]].concat();
    // No cluster answers, so the cutover is not safe: exit code 1.
    let (code, printed) = command(&with_token, None)?;
    ensure!(
        code == Some(1) && printed.contains("cluster0"),
        "{code:?} {printed}"
    );
    let (code, printed) = command(&[&["status"], &named[..]].concat(), None)?;
    ensure!(
        code == Some(2) && printed.contains("credentials"),
        "{code:?} {printed}"
    );
    // A token is not sent to a host whose certificate is not checked, or is of another authority.
    let unchecked = ["status", "--port", &port, "--tokenFile", &token];
    let (code, printed) = command(&unchecked, Some(&certificate))?;
    ensure!(
        printed.contains("certificate is checked"),
        "{code:?} {printed}"
    );
    let foreign = [
        "status",
        "--host",
        "https://localhost",
        "--port",
        &port,
        "--tokenFile",
        &token,
    ];
    let (code, printed) = command(&foreign, None)?;
    ensure!(
        code == Some(2) && !printed.contains("cluster0"),
        "{code:?} {printed}"
    );
    host.finish();
    Ok(())
}
