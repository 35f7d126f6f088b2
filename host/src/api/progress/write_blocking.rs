//! Write blocks in the answer of `GET /progress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::progress::{BlockProgress, WriteBlocksProgress};

/// Blocks of user writes that the sync sets.
#[derive(Serialize, ToSchema)]
pub(super) struct WriteBlocks {
    /// Null if the sync sets no block on the source.
    source: Option<Block>,
    /// Null if the sync sets no block on the destination.
    destination: Option<Block>,
}

/// The block of a cluster.
#[derive(Serialize, ToSchema)]
#[schema(as = WriteBlock)]
struct Block {
    /// Whether user writes are blocked. Null before the first look.
    blocked: Option<bool>,
    /// Whether the sync has set the block, or is about to.
    ours: bool,
}

impl From<WriteBlocksProgress> for WriteBlocks {
    fn from(blocks: WriteBlocksProgress) -> Self {
        Self {
            source: blocks.source.map(Block::from),
            destination: blocks.destination.map(Block::from),
        }
    }
}

impl From<BlockProgress> for Block {
    fn from(block: BlockProgress) -> Self {
        Self {
            blocked: block.is_blocked,
            ours: block.is_ours,
        }
    }
}
