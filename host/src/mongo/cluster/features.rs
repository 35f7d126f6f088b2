//! The features of a server that a sync uses, and can do without.

/// The features of a server that a sync uses, and can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// `showExpandedEvents` of a change stream: events of all DDL, and UUIDs of collections (6.0).
    pub expanded_events: bool,
    /// `showRawUpdateDescription` of a change stream: updates as the oplog has them (5.0.32, 6.0; internal).
    pub raw_updates: bool,
    /// `showSystemEvents` of a change stream: events of buckets (6.0; internal).
    pub system_events: bool,
    /// `collectionUUID` of commands (6.0). Without it a `find` has the UUID in place of the name.
    pub collection_uuid: bool,
    /// The stage `$documents` (6.0).
    pub documents_stage: bool,
    /// The read concern `snapshot` outside of transactions (5.0). Without it such a read is a transaction of its own.
    pub snapshot_reads: bool,
}

impl ServerFeatures {
    /// Those of 6.0, which every destination has.
    pub const ALL: Self = Self {
        expanded_events: true,
        raw_updates: true,
        system_events: true,
        collection_uuid: true,
        documents_stage: true,
        snapshot_reads: true,
    };
}
