//! Options of a replica set.

use std::path::PathBuf;

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
    /// The last of three members is an arbiter, which votes and has no data.
    pub arbiter: bool,
    /// Members reach each other through [links](super::Partition), which can be cut.
    pub linked: bool,
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
            arbiter: false,
            linked: false,
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

    /// Of a primary, a secondary and an arbiter.
    pub fn with_arbiter(self) -> Self {
        Self {
            members: 3,
            arbiter: true,
            ..self
        }
    }

    /// With links between the members.
    pub fn linked(self) -> Self {
        Self {
            linked: true,
            ..self
        }
    }

    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}
