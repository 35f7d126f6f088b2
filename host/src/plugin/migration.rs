//! A migration step of the metadata, as its component describes it.

/// Direction of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the step's version to the next.
    Forward,
    /// From the next version to the step's: `tidegate metadata rollback`.
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
