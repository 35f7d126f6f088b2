//! Blocks of user writes that the sync sets on its clusters. Since metadata version 5.

use serde::{Deserialize, Serialize};

/// The blocks of a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteBlocksDocument {
    /// The block of the source, from commit on; absent if the sync does not block the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<WriteBlockDocument>,
    /// The block of the destination, up to the end of commit; absent if the sync does not block the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<WriteBlockDocument>,
    /// The missing blocks, as sentences for the operator: the cause and the remedy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
}

/// The block of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteBlockDocument {
    /// The state that the sync wants. Invariant: persisted before a command that brings it about is sent.
    pub state: BlockState,
    /// True from before the first command that sets the block: a block that is found may be the sync's.
    pub ours: bool,
    /// True while a command that sets the block may still arrive: its answer is not known.
    pub in_flight: bool,
    /// Time of the last change of `state`, by the destination's clock.
    pub changed_at: bson::DateTime,
}

/// The state of a block that the sync wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockState {
    /// No block, and none to lift.
    Open,
    /// A block.
    Blocked,
    /// A block of the sync is to be lifted, or may still arrive.
    Lifting,
}

impl WriteBlockDocument {
    /// A block that is not set yet.
    pub fn open(now: bson::DateTime) -> Self {
        Self {
            state: BlockState::Open,
            ours: false,
            in_flight: false,
            changed_at: now,
        }
    }

    /// Asks for the block.
    pub fn request(&mut self, now: bson::DateTime) {
        if self.state == BlockState::Open {
            self.ours = false;
        }
        (self.state, self.changed_at) = (BlockState::Blocked, now);
    }

    /// Asks for the end of the block.
    pub fn lift(&mut self, now: bson::DateTime) {
        if self.state == BlockState::Blocked {
            self.changed_at = now;
            self.state = match self.ours {
                true => BlockState::Lifting,
                false => BlockState::Open,
            };
        }
    }
}
