//! A migration step of the metadata, as its component describes it.

/// Direction of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Back,
}

/// A step from one version of the metadata to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    /// The metadata version before the step. The version after it is one higher.
    pub from: u32,
    /// Whether [`Direction::Back`] is supported.
    pub reversible: bool,
    /// Collections whose documents the step reads. Other collections stay unchanged.
    pub collections: Vec<String>,
}
