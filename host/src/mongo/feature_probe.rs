//! Features of the server, found out by asking for them.
//!
//! A version is no proof: 5.0.32 has an option of the change stream that 5.0.4 lacks. The commands of the probes read
//! nothing. A server that refuses a probe for any other reason than not knowing it counts as a server with the feature:
//! the command that needs the feature then reports the reason.

use bson::{Binary, RawDocumentBuf, cstr, raw::CStr, rawdoc, spec::BinarySubtype};

use super::{Client, Database, Error, RawCursor, Retry, ServerFeatures, code};
use crate::model::ErrorKind;

/// The database of probes. It need not exist.
const DATABASE: &str = "tidegate";

/// The answers of a server that does not know a command, a field of it, a value or a stage.
const UNKNOWN: [i32; 6] = [
    code::INVALID_OPTIONS,
    code::IDL_UNKNOWN_FIELD,
    code::FAILED_TO_PARSE,
    code::COMMAND_NOT_FOUND,
    code::UNRECOGNIZED_STAGE,
    code::STAGE_NOT_FOR_USERS,
];

impl Client {
    /// The features of the cluster's server.
    ///
    /// # Errors
    /// [`Error::Outage`] of a cluster that does not answer.
    pub async fn features(&self) -> Result<ServerFeatures, Error> {
        let probe = || Box::pin(probe(self));
        self.known_features().get_or_try_init(probe).await.copied()
    }
}

/// Asks the server.
///
/// # Errors
/// [`Error::Outage`] of a server that does not answer.
async fn probe(client: &Client) -> Result<ServerFeatures, Error> {
    let (admin, any) = (client.database("admin"), client.database(DATABASE));
    let stream = async |option: &CStr| knows(&admin, stream_with(&[option])).await;
    let (expanded, raw, system) = EVENTS;
    // A server that knows all options is asked once.
    let (expanded_events, raw_updates, system_events) =
        match knows(&admin, stream_with(&[expanded, raw, system])).await? {
            true => (true, true, true),
            false => (
                stream(expanded).await?,
                stream(raw).await?,
                stream(system).await?,
            ),
        };
    let features = ServerFeatures {
        expanded_events,
        raw_updates,
        system_events,
        collection_uuid: knows(&any, find_with_uuid()).await?,
        documents_stage: knows(&any, documents()).await?,
        snapshot_reads: knows(&any, snapshot()).await?,
    };
    if features != ServerFeatures::ALL {
        tracing::info!(
            ?features,
            "the server lacks features, and the sync does without them"
        );
    }
    Ok(features)
}

/// The options of a change stream.
const EVENTS: (&CStr, &CStr, &CStr) = (
    cstr!("showExpandedEvents"),
    cstr!("showRawUpdateDescription"),
    cstr!("showSystemEvents"),
);

fn stream_with(options: &[&CStr]) -> RawDocumentBuf {
    let mut stage = rawdoc! { "allChangesForCluster": true };
    for option in options {
        stage.append(option, true);
    }
    rawdoc! {
        "aggregate": 1,
        "pipeline": [{ "$changeStream": stage }],
        "cursor": { "batchSize": 0 },
    }
}

/// A collection that no server has.
fn find_with_uuid() -> RawDocumentBuf {
    let uuid = Binary {
        subtype: BinarySubtype::Uuid,
        bytes: vec![0; 16],
    };
    rawdoc! { "find": "features", "limit": 1, "collectionUUID": uuid }
}

fn documents() -> RawDocumentBuf {
    rawdoc! { "aggregate": 1, "pipeline": [{ "$documents": [{ "a": 1 }] }], "cursor": {} }
}

fn snapshot() -> RawDocumentBuf {
    rawdoc! { "find": "features", "limit": 1, "readConcern": { "level": "snapshot" } }
}

/// Whether the server knows everything in `command`.
async fn knows(database: &Database, command: RawDocumentBuf) -> Result<bool, Error> {
    Retry::quick(database.contact(), "ask for features")
        .run(
            async || match RawCursor::open(database, command.clone()).await {
                Ok(_dropped) => Ok(true),
                Err(error) if error.kind() == ErrorKind::Transient => Err(error),
                Err(error) => Ok(!UNKNOWN.iter().any(|code| error.has_code(*code))),
            },
        )
        .await
}
