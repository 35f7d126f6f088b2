//! Shapes of the metadata's documents, in version 5. Each document also has `term`, the term of the lease in
//! which it was written. The store adds it.
//!
//! Rules: new fields are optional, names are never reused, unknown fields are ignored.

mod audit;
mod commit;
mod component;
mod header;
mod history;
mod hook;
mod intent;
mod lease;
mod namespace;
mod parked;
mod partition;
mod position;
mod quarantine;
mod session;
mod verification;
mod write_block;

pub use audit::AuditDocument;
pub use commit::CommitDocument;
pub use component::{ComponentChunkDocument, ComponentDocument};
pub use header::{SessionHeader, SessionSummary};
pub use history::HistoryDocument;
pub use hook::HookDocument;
pub use intent::{IntentDocument, IntentKind, IntentState};
pub use lease::{LeaseDocument, Predecessor};
pub use namespace::{CopyState, NamespaceDocument, NamespaceKind};
pub use parked::ParkedKeyDocument;
pub use partition::{CopyTotals, PartitionDocument};
pub use position::PositionDocument;
pub use quarantine::QuarantineDocument;
pub use session::{
    METADATA_VERSION, Phase, PinnedComponent, ResyncDocument, SYSTEM_EVENTS_VERSION,
    SessionDocument, SwapDocument, UpgradeDocument,
};
pub use verification::{
    MismatchDocument, MismatchState, VerificationDocument, VerifiedCollectionDocument,
};
pub use write_block::{BlockState, WriteBlockDocument, WriteBlocksDocument};
