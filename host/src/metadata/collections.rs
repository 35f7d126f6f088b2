//! Names of the metadata's collections. Names are persisted: never renamed, never reused.

pub(super) const SESSION: &str = "session";
pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const PARTITIONS: &str = "copyPartitions";
pub(super) const PARKED_KEYS: &str = "parkedKeys";
pub(super) const POSITION: &str = "streamPosition";
pub(super) const INTENTS: &str = "intents";
pub(super) const QUARANTINE: &str = "quarantine";
pub(super) const VERIFICATION: &str = "verification";
pub(super) const VERIFIED_COLLECTIONS: &str = "verifiedCollections";
pub(super) const MISMATCHES: &str = "mismatches";
/// The lease, and the guards of all writers.
pub const LEASE: &str = "lease";
pub(super) const COMPONENTS: &str = "components";
pub(super) const CHUNKS: &str = "componentChunks";
pub(super) const HOOKS: &str = "hooks";
pub(super) const HISTORY: &str = "history";
pub(super) const AUDIT: &str = "audit";
pub(super) const HOSTS: &str = "hosts";
pub(super) const ITEMS: &str = "items";
pub(super) const PASSED_CALLS: &str = "passedCalls";
