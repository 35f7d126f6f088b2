//! Metadata of earlier versions: names of its collections, and the releases that write it.

use super::{
    collections::{PARTITIONS, POSITION},
    documents::{CopyTotals, PositionDocument},
    store::Reader,
};
use crate::mongo::Error;

/// The first version with the present names.
const RENAMED_IN: i32 = 3;

/// Names of collections in versions 1 and 2, and their names since version 3. Since version 3 the old names
/// are views, so that hosts of 0.1.0 and 0.1.1, which have no lease, cannot write to them.
pub const RENAMED: [(&str, &str); 2] = [("position", POSITION), ("partitions", PARTITIONS)];

/// The newest release that writes an earlier version.
pub fn newest_release_of(version: i32) -> Option<&'static str> {
    match version {
        1 => Some("0.1.1"),
        2 => Some("0.2.0"),
        3 => Some("0.3.2"),
        4 => Some("0.4.0"),
        _ => None,
    }
}

impl Reader {
    /// Totals of the copy and the position, for display, in all versions that this release can read.
    pub async fn copy_and_position(
        &self,
        version: i32,
    ) -> Result<(CopyTotals, Option<PositionDocument>), Error> {
        if version >= RENAMED_IN {
            return Ok((self.copy_totals().await?, self.position().await?));
        }
        let copied = self.copy_totals_in("partitions").await?;
        Ok((copied, self.position_in("position").await?))
    }
}
