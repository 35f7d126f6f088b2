//! Callers of the API and their roles.

use std::fmt;

/// Permitted calls of a caller. A higher role includes the lower roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// All calls, except those of the committer.
    Operator,
    /// All calls: also commit, reverse, and the upload and deletion of components.
    Committer,
}

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Committer];

    /// The name in files, answers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Committer => "committer",
        }
    }

    /// The role with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The caller of a call, as its credentials prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name of the token, subject of the client certificate, or `local`.
    pub name: String,
    /// Role of the caller.
    pub role: Role,
}

impl Caller {
    /// A process on this machine, where the API asks for no credentials.
    pub fn local() -> Self {
        Self {
            name: "local".to_owned(),
            role: Role::Committer,
        }
    }
}
