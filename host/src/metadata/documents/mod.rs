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
mod host;
mod intent;
mod item;
mod lease;
mod namespace;
mod parked;
mod partition;
mod passed_call;
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
pub use host::HostDocument;
pub use intent::{IntentDocument, IntentKind, IntentState};
pub use item::{
    ItemDocument, ItemState, VerifiedRange, VerifyCollection, VerifyReport, VerifyTask,
};
pub use lease::{LeaseDocument, Predecessor};
pub use namespace::{CopyState, NamespaceDocument, NamespaceKind};
pub use parked::ParkedKeyDocument;
pub use partition::{CopyTotals, PartitionDocument};
pub use passed_call::{PassedCallDocument, PassedCallState};
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
