//! Error codes of MongoDB servers, with the server's names, in groups by their meaning to tidegate (mongo:
//! `src/mongo/base/error_codes.yml`). Codes without a name at the server are named after their messages.

#![expect(missing_docs, reason = "each name is the server's own")]

// Refusals and other conditions that are not transient by their code alone, in order of code.
pub const BAD_VALUE: i32 = 2;
pub const USER_NOT_FOUND: i32 = 11;
pub const UNAUTHORIZED: i32 = 13;
pub const USER_WRITES_BLOCKED: i32 = 371;
pub const FAILED_TO_PARSE: i32 = 9;
pub const TYPE_MISMATCH: i32 = 14;
pub const AUTHENTICATION_FAILED: i32 = 18;
pub const NAMESPACE_NOT_FOUND: i32 = 26;
pub const INDEX_NOT_FOUND: i32 = 27;
pub const PATH_NOT_VIABLE: i32 = 28;
pub const ROLE_NOT_FOUND: i32 = 31;
pub const NAMESPACE_EXISTS: i32 = 48;
pub const DOLLAR_PREFIXED_FIELD_NAME: i32 = 52;
pub const DOTTED_FIELD_NAME: i32 = 57;
pub const COMMAND_NOT_FOUND: i32 = 59;
pub const IMMUTABLE_FIELD: i32 = 66;
pub const CANNOT_CREATE_INDEX: i32 = 67;
pub const INDEX_ALREADY_EXISTS: i32 = 68;
pub const INVALID_OPTIONS: i32 = 72;
pub const INVALID_NAMESPACE: i32 = 73;
pub const UNKNOWN_REPL_WRITE_CONCERN: i32 = 79;
pub const INDEX_OPTIONS_CONFLICT: i32 = 85;
pub const INDEX_KEY_SPECS_CONFLICT: i32 = 86;
pub const UNSATISFIABLE_WRITE_CONCERN: i32 = 100;
pub const COMMAND_NOT_SUPPORTED: i32 = 115;
pub const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
pub const CAPPED_POSITION_LOST: i32 = 136;
pub const COMMAND_NOT_SUPPORTED_ON_VIEW: i32 = 166;
pub const CANNOT_INDEX_PARALLEL_ARRAYS: i32 = 171;
pub const INVALID_INDEX_SPECIFICATION_OPTION: i32 = 197;
pub const CANNOT_BUILD_INDEX_KEYS: i32 = 201;
pub const TRANSACTION_TOO_OLD: i32 = 225;
pub const NOT_IMPLEMENTED: i32 = 238;
pub const CONVERSION_FAILURE: i32 = 241;
pub const INVALID_RESUME_TOKEN: i32 = 260;
pub const CHANGE_STREAM_FATAL_ERROR: i32 = 280;
pub const CHANGE_STREAM_HISTORY_LOST: i32 = 286;
pub const CANNOT_CONVERT_INDEX_TO_UNIQUE: i32 = 359;
pub const COLLECTION_UUID_MISMATCH: i32 = 361;
/// A refusal by the proxy of MongoDB Atlas.
pub const ATLAS_ERROR: i32 = 8000;
pub const CANNOT_GROW_DOCUMENT_IN_CAPPED_NAMESPACE: i32 = 10003;
pub const BSON_OBJECT_TOO_LARGE: i32 = 10334;
pub const DUPLICATE_KEY: i32 = 11000;
pub const DATABASE_DIFFER_CASE: i32 = 13297;
pub const OUT_OF_DISK_SPACE: i32 = 14031;
/// A string of more than 16 MiB in an aggregation.
pub const STRING_TOO_LARGE: i32 = 16493;
pub const UPDATED_DOCUMENT_TOO_LARGE: i32 = 17419;
pub const UPSERTED_DOCUMENT_TOO_LARGE: i32 = 17420;
pub const IDL_UNKNOWN_FIELD: i32 = 40415;
pub const UNRECOGNIZED_STAGE: i32 = 40324;
/// A stage of the server's own (5.0).
pub const STAGE_NOT_FOR_USERS: i32 = 5_491_300;

// Network: between the client and the server, or between members.
pub const HOST_UNREACHABLE: i32 = 6;
pub const HOST_NOT_FOUND: i32 = 7;
pub const NETWORK_TIMEOUT: i32 = 89;
pub const NETWORK_INTERFACE_EXCEEDED_TIME_LIMIT: i32 = 202;
pub const SOCKET_EXCEPTION: i32 = 9001;

// The server is not the primary.
pub const LEGACY_NOT_PRIMARY: i32 = 10058;
pub const NOT_WRITABLE_PRIMARY: i32 = 10107;
pub const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;

// The server steps down, shuts down or recovers.
pub const SHUTDOWN_IN_PROGRESS: i32 = 91;
pub const PRIMARY_STEPPED_DOWN: i32 = 189;
pub const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
pub const INTERRUPTED_DUE_TO_REPL_STATE_CHANGE: i32 = 11602;
pub const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;

// The replica set is starting.
pub const NOT_YET_INITIALIZED: i32 = 94;
pub const FAILED_TO_SATISFY_READ_PREFERENCE: i32 = 133;
pub const READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET: i32 = 134;

// Time limits.
pub const MAX_TIME_MS_EXPIRED: i32 = 50;
pub const WRITE_CONCERN_TIMEOUT: i32 = 64;
pub const EXCEEDED_TIME_LIMIT: i32 = 262;
pub const TRANSACTION_EXCEEDED_LIFETIME_LIMIT_SECONDS: i32 = 290;

// Interruptions.
pub const INDEX_BUILD_ABORTED: i32 = 276;
/// BackgroundOperationInProgressForNamespace: an index build blocks the command.
pub const BACKGROUND_OPERATION: i32 = 12587;
pub const CLIENT_DISCONNECT: i32 = 279;
pub const INTERRUPTED: i32 = 11601;

// Contention.
pub const LOCK_TIMEOUT: i32 = 24;
pub const LOCK_BUSY: i32 = 46;
pub const WRITE_CONFLICT: i32 = 112;
pub const OBJECT_IS_BUSY: i32 = 314;
pub const TEMPORARILY_UNAVAILABLE: i32 = 365;

// Cursors and change streams: they can be opened again.
pub const CURSOR_NOT_FOUND: i32 = 43;
pub const QUERY_PLAN_KILLED: i32 = 175;
pub const RETRY_CHANGE_STREAM: i32 = 234;
pub const CURSOR_KILLED: i32 = 237;

// Snapshots.
pub const SNAPSHOT_TOO_OLD: i32 = 239;
pub const SNAPSHOT_UNAVAILABLE: i32 = 246;

// Transactions: the server has none, as after an election. Its answer to a commit has no label where the answer has
// a write concern error, too. A transaction is repeated under its guard.
pub const NO_SUCH_TRANSACTION: i32 = 251;

// Index keys: refusals of a document by an index, seen with mongod 6.0.5.
pub const GEO_2D_NOT_A_POINT: i32 = 13026;
pub const GEO_2D_OUT_OF_BOUNDS: i32 = 13027;
pub const GEO_2D_SINGLE_COORDINATE: i32 = 13068;
pub const GEO_2D_MALFORMED: i32 = 16804;
pub const GEO_2DSPHERE_KEYS_NOT_EXTRACTED: i32 = 16755;
pub const HASHED_ARRAY: i32 = 16766;
pub const AMBIGUOUS_PATH: i32 = 16746;
pub const TEXT_LANGUAGE_NOT_A_STRING: i32 = 17261;
pub const TEXT_LANGUAGE_NOT_SUPPORTED: i32 = 17262;

/// Transient conditions, by group. They include the driver's `RETRYABLE_READ_CODES`.
const TRANSIENT: [&[i32]; 10] = [
    &[
        HOST_UNREACHABLE,
        HOST_NOT_FOUND,
        NETWORK_TIMEOUT,
        NETWORK_INTERFACE_EXCEEDED_TIME_LIMIT,
        SOCKET_EXCEPTION,
    ],
    &[
        LEGACY_NOT_PRIMARY,
        NOT_WRITABLE_PRIMARY,
        NOT_PRIMARY_NO_SECONDARY_OK,
    ],
    &[
        SHUTDOWN_IN_PROGRESS,
        PRIMARY_STEPPED_DOWN,
        INTERRUPTED_AT_SHUTDOWN,
        INTERRUPTED_DUE_TO_REPL_STATE_CHANGE,
        NOT_PRIMARY_OR_SECONDARY,
    ],
    &[
        NOT_YET_INITIALIZED,
        FAILED_TO_SATISFY_READ_PREFERENCE,
        READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET,
    ],
    &[
        MAX_TIME_MS_EXPIRED,
        WRITE_CONCERN_TIMEOUT,
        EXCEEDED_TIME_LIMIT,
        TRANSACTION_EXCEEDED_LIFETIME_LIMIT_SECONDS,
    ],
    &[INDEX_BUILD_ABORTED, CLIENT_DISCONNECT, INTERRUPTED],
    &[
        LOCK_TIMEOUT,
        LOCK_BUSY,
        WRITE_CONFLICT,
        OBJECT_IS_BUSY,
        TEMPORARILY_UNAVAILABLE,
    ],
    &[
        CURSOR_NOT_FOUND,
        QUERY_PLAN_KILLED,
        RETRY_CHANGE_STREAM,
        CURSOR_KILLED,
    ],
    &NOT_AT_TIME,
    &[NO_SUCH_TRANSACTION],
];

/// Answers to a change stream whose position the server cannot go on from: the oplog no longer holds it, or the
/// server does not find or read the token.
pub const POSITION_LOST: [i32; 4] = [
    CAPPED_POSITION_LOST,
    INVALID_RESUME_TOKEN,
    CHANGE_STREAM_FATAL_ERROR,
    CHANGE_STREAM_HISTORY_LOST,
];

/// Snapshots that the server no longer keeps, or that are older than a change of the collection's catalog entry.
pub const NOT_AT_TIME: [i32; 2] = [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE];

/// A replacement that changes the `_id`, has a field name with a leading dollar sign, or changes the size
/// of a document in a capped collection.
pub const NOT_AS_REPLACEMENT: [i32; 3] = [
    IMMUTABLE_FIELD,
    DOLLAR_PREFIXED_FIELD_NAME,
    CANNOT_GROW_DOCUMENT_IN_CAPPED_NAMESPACE,
];

/// True for a transient code, in any part of a reply.
pub(in crate::mongo) fn is_transient(code: i32) -> bool {
    TRANSIENT.iter().any(|group| group.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_codes_are_listed() {
        let mut codes = TRANSIENT.concat();
        codes.sort_unstable();
        assert_eq!(
            codes,
            [
                6, 7, 24, 43, 46, 50, 64, 89, 91, 94, 112, 133, 134, 175, 189, 202, 234, 237, 239,
                246, 251, 262, 276, 279, 290, 314, 365, 9001, 10058, 10107, 11600, 11601, 11602,
                13435, 13436
            ]
        );
    }
}
