//! A replica set of one real `mongod` on a free port of the loopback interface.
//!
//! Stopped, killed and started again it keeps its port and its data.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bson::{Document, doc};
use mongodb::{Client, Database, options::ClientOptions};

use crate::{
    mongod,
    process::{Process, Usage, free_port},
    tls::Certificates,
    wait::{Look, wait_until},
};

/// Within this time a server has to be up, or down.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user that a set with access control begins with: `root` in `admin`.
pub const ROOT_USER: &str = "root";
pub const ROOT_PASSWORD: &str = "root-secret";

/// How a set is to be started.
#[derive(Clone, Debug)]
pub struct Options {
    pub cache_gb: f64,
    /// With keyFile, users and TLS.
    pub secure: bool,
    /// False: a standalone server, which has no oplog.
    pub replicated: bool,
    /// More arguments for `mongod`.
    pub arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_gb: 0.5,
            secure: false,
            replicated: true,
            arguments: Vec::new(),
        }
    }
}

impl Options {
    /// With keyFile, users and TLS.
    pub fn secure() -> Self {
        Self {
            secure: true,
            ..Self::default()
        }
    }

    /// With the server's own fail points (`configureFailPoint`).
    pub fn with_fail_points() -> Self {
        Self::default()
            .argument("--setParameter")
            .argument("enableTestCommands=1")
    }

    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

pub struct ReplicaSet {
    name: String,
    directory: PathBuf,
    port: u16,
    options: Options,
    certificates: Option<Certificates>,
    process: Option<Process>,
    client: Client,
}

impl ReplicaSet {
    /// Starts a set whose files are in `directory`, which is created; it is usable
    /// when this returns.
    pub async fn start(name: &str, directory: PathBuf, options: Options) -> Result<Self> {
        std::fs::create_dir_all(directory.join("db")).context("create a dbPath")?;
        let certificates = options
            .secure
            .then(|| Certificates::create(&directory))
            .transpose()?;
        if options.secure {
            write_key_file(&directory.join("key"))?;
        }
        let mut set = Self {
            name: name.to_owned(),
            directory,
            port: free_port()?,
            client: Client::with_uri_str("mongodb://127.0.0.1:1").await?,
            options,
            certificates,
            process: None,
        };
        set.spawn().await?;
        set.initiate()
            .await
            .with_context(|| format!("initiate the replica set {name}"))?;
        set.client = client(&set.uri()).await?;
        set.wait_for_primary().await?;
        Ok(set)
    }

    /// The connection string a host is given.
    pub fn uri(&self) -> String {
        match self.options.secure {
            true => self.uri_of(ROOT_USER, ROOT_PASSWORD),
            false => format!("mongodb://127.0.0.1:{}/?{}", self.port, self.uri_options()),
        }
    }

    /// The connection string of a user in `admin`, on a set with access control.
    pub fn uri_of(&self, user: &str, password: &str) -> String {
        format!(
            "mongodb://{user}:{password}@127.0.0.1:{}/?{}",
            self.port,
            self.uri_options()
        )
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of each member.
    pub fn addresses(&self) -> Vec<String> {
        vec![self.address()]
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn db(&self, name: &str) -> Database {
        self.client.database(name)
    }

    /// Runs a command on `admin`.
    pub async fn admin(&self, command: Document) -> Result<Document> {
        let what = command.keys().next().cloned().unwrap_or_default();
        self.db("admin")
            .run_command(command)
            .await
            .with_context(|| format!("run {what}"))
    }

    /// What the server process used so far.
    pub fn usage(&self) -> Usage {
        self.process
            .as_ref()
            .map(Process::usage)
            .unwrap_or_default()
    }

    /// The server's process, to be frozen and thawed by signals.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the server is not running")
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.process
            .take()
            .context("the server is not running")?
            .kill()
    }

    /// A clean shutdown.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server is not running")?;
        // The server closes the connection instead of answering.
        let _ = self
            .admin(doc! { "shutdown": 1, "force": true, "timeoutSecs": 0 })
            .await;
        process
            .wait(&format!("mongod {}", self.name), DEADLINE)
            .await?;
        Ok(())
    }

    /// Starts a stopped or killed server again and waits for it to be primary.
    pub async fn restart(&mut self) -> Result<()> {
        self.spawn().await?;
        self.wait_for_primary().await
    }

    /// Makes the primary step down; being alone it is elected again.
    pub async fn step_down(&self) -> Result<()> {
        self.admin(doc! { "replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": true })
            .await?;
        self.wait_for_primary().await
    }

    /// Drops every database that is not the server's own.
    pub async fn drop_all(&self) -> Result<()> {
        for name in self.client.list_database_names().await? {
            if !["admin", "config", "local"].contains(&name.as_str()) {
                self.db(&name)
                    .drop()
                    .await
                    .with_context(|| format!("drop {name}"))?;
            }
        }
        Ok(())
    }

    /// Waits until the server takes writes.
    pub async fn wait_for_primary(&self) -> Result<()> {
        wait_until(&format!("{} is primary", self.name), DEADLINE, async || {
            let hello = self.db("admin").run_command(doc! { "hello": 1 }).await;
            Ok(match hello {
                Ok(reply) if reply.get_bool("isWritablePrimary").unwrap_or(false) => Look::Done(()),
                Ok(_) => Look::NotYet("not primary".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
        .await
    }

    fn uri_options(&self) -> String {
        let mut options = match self.options.replicated {
            true => format!("replicaSet={}", self.name),
            false => "directConnection=true".to_owned(),
        };
        if let Some(certificates) = &self.certificates {
            let authority = certificates.authority.to_string_lossy().replace('/', "%2F");
            options += &format!("&tls=true&tlsCAFile={authority}");
        }
        options
    }

    async fn spawn(&mut self) -> Result<()> {
        let mut process = Process::spawn(&mut self.command()?)?;
        let what = format!("mongod {} listens on port {}", self.name, self.port);
        wait_until(&what, DEADLINE, async || {
            if let Some(status) = process.ended()? {
                bail!(
                    "mongod ended with {status}; see {}",
                    self.directory.display()
                );
            }
            let answer = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
            Ok(answer.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(mongod::obtain()?);
        command
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket"])
            .args(["--port", &self.port.to_string()])
            .arg("--dbpath")
            .arg(self.directory.join("db"))
            .arg("--logpath")
            .arg(self.directory.join("mongod.log"))
            .args([
                "--logappend",
                "--wiredTigerCacheSizeGB",
                &self.options.cache_gb.to_string(),
            ])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if self.options.replicated {
            command.args(["--replSet", &self.name]);
        }
        if let Some(certificates) = &self.certificates {
            command
                .arg("--keyFile")
                .arg(self.directory.join("key"))
                .args([
                    "--tlsMode",
                    "requireTLS",
                    "--tlsAllowConnectionsWithoutCertificates",
                ])
                .arg("--tlsCAFile")
                .arg(&certificates.authority)
                .arg("--tlsCertificateKeyFile")
                .arg(&certificates.server);
        }
        command.args(&self.options.arguments);
        Ok(command)
    }

    /// Makes a set of the fresh server and, with access control, its first user:
    /// both are allowed from the loopback address while there is no user.
    async fn initiate(&self) -> Result<()> {
        let options = self.uri_options().replace(
            &format!("replicaSet={}", self.name),
            "directConnection=true",
        );
        let direct = client(&format!("mongodb://127.0.0.1:{}/?{options}", self.port)).await?;
        let admin = direct.database("admin");
        if self.options.replicated {
            let member = doc! { "_id": 0, "host": self.address() };
            let config = doc! { "_id": &self.name, "members": [member] };
            admin
                .run_command(doc! { "replSetInitiate": config })
                .await?;
        }
        if self.options.secure {
            self.create_first_user(&admin).await?;
        }
        direct.shutdown().immediate(true).await;
        Ok(())
    }

    async fn create_first_user(&self, admin: &Database) -> Result<()> {
        wait_until("the first user is created", DEADLINE, async || {
            let user = doc! { "createUser": ROOT_USER, "pwd": ROOT_PASSWORD, "roles": ["root"] };
            let created = admin.run_command(user).await;
            Ok(created.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
        })
        .await
    }
}

/// A client that gives up on an absent server soon enough for a test.
pub async fn client(uri: &str) -> Result<Client> {
    let mut options = ClientOptions::parse(uri)
        .await
        .context("parse a connection string")?;
    options.server_selection_timeout = Some(Duration::from_secs(10));
    Ok(Client::with_options(options)?)
}

fn write_key_file(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, "dGlkZWdhdGUtdGVzdHMtc2hhcmVkLWtleQ==").context("write a keyFile")?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400))
        .context("protect a keyFile")
}
