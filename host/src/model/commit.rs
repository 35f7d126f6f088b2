//! Options of `/commit`.

/// The options of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Seconds after which the commit is undone; `None` for no limit.
    pub max_block_seconds: Option<u32>,
    /// The id of the sync that the caller means; `None` for the sync of this host.
    pub sync: Option<String>,
}
