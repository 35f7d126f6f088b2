//! `tidegate metadata show`: the persisted state of a sync, as text or JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::super::status::CommandStatus;
use super::sync_metadata::SyncMetadata;
use crate::{
    metadata::{IntentDocument, LeaseDocument, METADATA_VERSION, SessionDocument},
    model::OperatorError,
};

pub(super) async fn show(
    metadata: &SyncMetadata,
    as_json: bool,
    out: &mut impl Write,
) -> anyhow::Result<CommandStatus> {
    let shown = read(metadata).await?;
    if as_json {
        writeln!(out, "{shown:#}")?;
        return Ok(CommandStatus::Success);
    }
    let Some(fields) = shown.as_object() else {
        return Ok(CommandStatus::Success);
    };
    for (name, value) in fields {
        match value {
            Value::Array(rows) => {
                for row in rows {
                    writeln!(out, "{name:<16} {}", line(row))?;
                }
            }
            Value::Null => {}
            value => writeln!(out, "{name:<16} {}", line(value))?,
        }
    }
    Ok(CommandStatus::Success)
}

/// A value as text: `name value, name value`.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{name} {}", line(value)))
                .collect();
            fields.join(", ")
        }
        other => other.to_string(),
    }
}

async fn read(metadata: &SyncMetadata) -> anyhow::Result<Value> {
    let (heading, reader) = (&metadata.heading, &metadata.reader);
    let mut shown = json!({
        "cluster": metadata.cluster.name.as_str(),
        "metadataVersion": heading.metadata_version,
        "begunBy": heading.begun_by(),
        "lastRelease": heading.written_by,
        "lease": reader.lease().await.map_err(OperatorError::from)?.as_ref().map(lease),
    });
    let Some(fields) = shown.as_object_mut() else {
        return Ok(shown);
    };
    if heading.metadata_version > METADATA_VERSION {
        return Ok(shown);
    }
    if let Some(standing) = reader.summary().await.map_err(OperatorError::from)? {
        fields.insert("state".to_owned(), json!(standing.state));
        fields.insert("phase".to_owned(), json!(standing.phase));
    }
    let shown_of = reader.copy_and_position(heading.metadata_version).await;
    let (copied, position) = shown_of.map_err(OperatorError::from)?;
    fields.insert("documentsCopied".to_owned(), json!(copied.documents));
    fields.insert("bytesCopied".to_owned(), json!(copied.bytes));
    if let Some(position) = position {
        let safe = position.safe.cluster_time.to_string();
        fields.insert("safePosition".to_owned(), json!(safe));
        fields.insert("eventsApplied".to_owned(), json!(position.events_applied));
    }
    if heading.metadata_version == METADATA_VERSION
        && let Some(session) = reader.session().await.map_err(OperatorError::from)?
    {
        fields.extend(of_session(&session));
        let intents = reader.intents().await.map_err(OperatorError::from)?;
        fields.insert("intent".to_owned(), intents.iter().map(intent).collect());
        let parked = reader.parked_keys().await.map_err(OperatorError::from)?;
        fields.insert("parkedKeys".to_owned(), json!(parked.len()));
    }
    Ok(shown)
}

fn lease(lease: &LeaseDocument) -> Value {
    json!({
        "instance": lease.instance,
        "release": lease.release,
        "term": lease.term,
        "released": lease.released,
        "expiresAt": lease.expires_at.and_then(|time| time.try_to_rfc3339_string().ok()),
    })
}

/// An intent: DDL that is unfinished or may still take effect.
fn intent(intent: &IntentDocument) -> Value {
    json!({
        "id": intent.id, "what": intent.what, "source": intent.source.to_string(), "state": intent.state,
    })
}

fn of_session(session: &SessionDocument) -> serde_json::Map<String, Value> {
    let pinned = session.pinned.iter().map(|pinned| {
        json!({
            "slot": pinned.slot, "name": pinned.name, "version": pinned.version,
            "semantics": pinned.semantics, "digest": pinned.digest,
        })
    });
    let upgrades = session.upgrades.iter().map(|upgrade| {
        json!({
            "at": upgrade.at.try_to_rfc3339_string().ok(),
            "from": upgrade.from_binary, "to": upgrade.to_binary,
            "fromMetadata": upgrade.from_metadata, "toMetadata": upgrade.to_metadata,
            "pausedMs": upgrade.paused_ms, "outcome": upgrade.outcome,
        })
    });
    let resyncs = session.resyncs.iter().map(|resync| {
        json!({
            "at": resync.at.try_to_rfc3339_string().ok(), "reason": resync.reason,
            "from": resync.from.to_string(), "to": resync.to.map(|to| to.to_string()), "done": resync.done,
        })
    });
    [
        ("features", json!(session.features)),
        ("pinned", pinned.collect()),
        ("upgrade", upgrades.collect()),
        ("resync", resyncs.collect()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}
