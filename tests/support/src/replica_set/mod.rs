//! A replica set of real `mongod` processes on free ports of the loopback interface.
//!
//! Stopped, killed and started again it keeps its port and its data.

mod member;
mod roll_back;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::{Client, Database, options::ClientOptions};

pub use self::roll_back::Isolated;

use self::member::{Member, Start};
use crate::{
    process::{Process, Usage},
    tls::Certificates,
    wait::{Look, wait_until},
};

/// Longest time until a server is up, or down.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user that a set with access control begins with: `root` in `admin`.
pub const ROOT_USER: &str = "root";
pub const ROOT_PASSWORD: &str = "root-secret";

/// Options of a set.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's binary; by default the tests' own.
    pub mongod: Option<PathBuf>,
    pub cache_gb: f64,
    /// With keyFile, users and TLS.
    pub secure: bool,
    /// 1 or 3. Only a set of 1 has TLS and users.
    pub members: usize,
    /// False: a standalone server, which has no oplog.
    pub replicated: bool,
    /// More arguments for `mongod`.
    pub arguments: Vec<String>,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mongod: None,
            cache_gb: 0.5,
            secure: false,
            members: 1,
            replicated: true,
            arguments: Vec::new(),
            environment: Vec::new(),
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

    /// With the server that an environment variable names, unless one is chosen (`cargo xtask servers`).
    pub(crate) fn with_mongod_of(mut self, variable: &str) -> Self {
        let named = || std::env::var_os(variable).map(PathBuf::from);
        self.mongod = self.mongod.or_else(named);
        self
    }

    /// Of three members, which elect a primary in a second or two.
    pub fn of_three(self) -> Self {
        Self { members: 3, ..self }
    }

    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

pub struct ReplicaSet {
    name: String,
    members: Vec<Member>,
    options: Options,
    certificates: Option<Certificates>,
    client: Client,
}

impl ReplicaSet {
    /// Starts a set whose files are in `directory`, which is created; it is usable
    /// when this returns.
    pub async fn start(name: &str, directory: PathBuf, options: Options) -> Result<Self> {
        ensure!(
            options.members == 1 || !options.secure,
            "only a set of one has TLS"
        );
        let places = match options.members {
            1 => vec![directory.clone()],
            number => (0..number).map(|n| directory.join(n.to_string())).collect(),
        };
        let members: Result<Vec<Member>> = places.into_iter().map(Member::new).collect();
        let members = members?;
        let certificates = options
            .secure
            .then(|| Certificates::create(&directory))
            .transpose()?;
        if options.secure {
            write_key_file(&directory.join("key"))?;
        }
        let mut set = Self {
            name: name.to_owned(),
            members,
            client: Client::with_uri_str("mongodb://127.0.0.1:1").await?,
            options,
            certificates,
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
            false => format!(
                "mongodb://{}/?{}",
                self.addresses().join(","),
                self.uri_options()
            ),
        }
    }

    /// The connection string of a user in `admin`, on a set with access control.
    pub fn uri_of(&self, user: &str, password: &str) -> String {
        format!(
            "mongodb://{user}:{password}@{}/?{}",
            self.address(),
            self.uri_options()
        )
    }

    /// The certificates of a set with access control, and the directory of their files.
    pub fn certificates(&self) -> Result<(&Certificates, &Path)> {
        let certificates = self.certificates.as_ref();
        let certificates = certificates.context("a set without TLS")?;
        let directory = certificates.authority.parent();
        Ok((certificates, directory.context("a file of a directory")?))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of each member.
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(Member::address).collect()
    }

    /// `host:port` of the first member.
    pub fn address(&self) -> String {
        self.members
            .first()
            .map(Member::address)
            .unwrap_or_default()
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

    /// Usage of the first member's process so far.
    pub fn usage(&self) -> Usage {
        self.process().map(Process::usage).unwrap_or_default()
    }

    /// The first member's process, to be frozen and thawed by signals.
    pub fn process(&self) -> Result<&Process> {
        self.members
            .first()
            .context("a set without members")?
            .process()
    }

    /// A member's process, by its place in [`Self::addresses`].
    pub fn member(&self, place: usize) -> Result<&Process> {
        self.members.get(place).context("no such member")?.process()
    }

    /// kill -9 of a member.
    pub fn kill_member(&mut self, place: usize) -> Result<()> {
        let member = self.members.get_mut(place).context("no such member")?;
        member.take()?.kill()
    }

    /// The place of a member that is not primary.
    pub async fn secondary(&self) -> Result<usize> {
        let hello = self.admin(doc! { "hello": 1 }).await?;
        let primary = hello.get_str("primary").context("no primary")?;
        let mut addresses = self.addresses().into_iter();
        addresses
            .position(|address| address != primary)
            .context("a set of one has no secondary")
    }

    fn take_process(&mut self) -> Result<Process> {
        let first = self.members.first_mut();
        first.context("a set without members")?.take()
    }

    /// kill -9 of the first member.
    pub fn kill(&mut self) -> Result<()> {
        self.take_process()?.kill()
    }

    /// A clean shutdown of a set with one member.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.take_process()?;
        // The server closes the connection instead of answering.
        let _ = self
            .admin(doc! { "shutdown": 1, "force": true, "timeoutSecs": 0 })
            .await;
        process
            .wait(&format!("mongod {}", self.name), DEADLINE)
            .await?;
        Ok(())
    }

    /// Starts the members that were stopped or killed again, and waits for a primary.
    pub async fn restart(&mut self) -> Result<()> {
        self.spawn().await?;
        self.wait_for_primary().await
    }

    /// Makes the primary step down. Another member is elected, or the same member in a set of one.
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

    /// Starts the members that are not running.
    async fn spawn(&mut self) -> Result<()> {
        let start = Start {
            set: &self.name,
            options: &self.options,
            certificates: self.certificates.as_ref(),
        };
        for member in &mut self.members {
            if member.process().is_err() {
                member.spawn(&start).await?;
            }
        }
        Ok(())
    }

    /// Makes a set of the fresh server and, with access control, its first user:
    /// both are allowed from the loopback address while there is no user.
    async fn initiate(&self) -> Result<()> {
        let options = self.uri_options().replace(
            &format!("replicaSet={}", self.name),
            "directConnection=true",
        );
        let direct = client(&format!("mongodb://{}/?{options}", self.address())).await?;
        let admin = direct.database("admin");
        if self.options.replicated {
            admin
                .run_command(doc! { "replSetInitiate": self.configuration() })
                .await?;
        }
        if self.options.secure {
            self.create_first_user(&admin).await?;
        }
        direct.shutdown().immediate(true).await;
        Ok(())
    }

    fn configuration(&self) -> Document {
        let addresses = self.addresses().into_iter().zip(0_i32..);
        let members: Vec<Document> = addresses
            .map(|(host, id)| doc! { "_id": id, "host": host })
            .collect();
        let mut config = doc! { "_id": &self.name, "members": members };
        if self.options.members > 1 {
            // Elections are fast, and a new primary does not wait for writes that it has missed.
            let settings = doc! {
                "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200,
                "catchUpTimeoutMillis": 0,
            };
            config.insert("settings", settings);
        }
        config
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

/// A client that gives up on an absent server within the time of a test.
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
