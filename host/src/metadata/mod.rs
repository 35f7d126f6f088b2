//! The metadata of a sync: documents that it persists on the destination.
//!
//! The host keeps no state on disk. All state that must survive a crash is in these documents, in
//! [`crate::model::namespace::METADATA_DATABASE`], written with majority write concern. Invariants of all
//! writers:
//!
//! - Only the holder of the lease writes, in its term. Registrations of hosts and passed calls are not part of the sync:
//!   each host writes its own.
//! - The safe position is written after all events at or before it are durable on the destination.
//! - A partition's `lastId` is written after all documents up to it are durable.
//! - A parked key is written in one transaction with the position that passes its event.
//! - A namespace's document is written after its DDL, and the intent of the DDL before it.

mod audit;
mod collections;
mod comparison;
mod components;
mod copies;
mod documents;
mod history;
mod hooks;
mod hosts;
mod intents;
mod items;
mod lease;
mod legacy;
mod parked;
mod passed_calls;
mod quarantine;
mod reversal;
mod store;
mod tenure;
mod verification;

pub use collections::LEASE as GUARDS;
pub use copies::NewCopy;
pub use documents::{
    AuditDocument, BlockState, CommitDocument, ComponentChunkDocument, ComponentDocument,
    CopyState, CopyTotals, HistoryDocument, HookDocument, HostDocument, IntentDocument, IntentKind,
    IntentState, ItemDocument, ItemState, LeaseDocument, METADATA_VERSION, MismatchDocument,
    MismatchState, NamespaceDocument, NamespaceKind, ParkedKeyDocument, PartitionDocument,
    PassedCallDocument, PassedCallState, Phase, PinnedComponent, PositionDocument, Predecessor,
    QuarantineDocument, ResyncDocument, SYSTEM_EVENTS_VERSION, SessionDocument, SessionHeader,
    SessionSummary, SwapDocument, UpgradeDocument, VerificationDocument,
    VerifiedCollectionDocument, VerifiedRange, VerifyCollection, VerifyReport, VerifyTask,
    WriteBlockDocument, WriteBlocksDocument,
};
pub use lease::Claim;
pub use legacy::{RENAMED, newest_release_of};
pub use passed_calls::NewPassedCall;
pub use quarantine::QuarantinedId;
pub use store::{Reader, Store};
pub use tenure::{LeaseKey, Tenure};
