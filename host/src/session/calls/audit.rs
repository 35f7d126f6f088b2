//! Records of calls: written while this host works on the sync, and listed.

use std::{sync::Weak, time::Duration};

use crate::{
    metadata::{AuditDocument, Reader},
    model::{OperatorError, audit::AuditRecord},
    session::{
        progress::deadline::{ClusterLabel, within_deadline},
        role::host::Host,
    },
};

/// Interval between two attempts to write.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Writes records of the active sync until the host is dropped.
pub(crate) async fn write_records(host: Weak<Host>) {
    while let Some(audit) = host.upgrade().map(|host| host.context.audit.clone()) {
        audit.news().await;
        if let Some(active) = host.upgrade().and_then(|host| host.active())
            && let Err(error) = audit.write(&active).await
        {
            tracing::debug!(error = %error, "records of calls stay in memory");
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

/// Up to `limit` records with ids before `before`, newest first: those of the metadata, and those in memory.
pub(crate) async fn list(
    host: &Host,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<AuditRecord>, OperatorError> {
    // Memory first: a record that is written between the two looks is then in both.
    let mut records = host.context.audit.held(before);
    for document in persisted(host, before, limit).await? {
        if records.iter().all(|record| record.id != document.id) {
            records.push(shown(document));
        }
    }
    Ok(page(records, limit))
}

/// The newest of the records, newest first.
pub(crate) fn page(mut records: Vec<AuditRecord>, limit: u32) -> Vec<AuditRecord> {
    records.sort_by(|one, other| other.id.cmp(&one.id));
    records.truncate(limit as usize);
    records
}

/// Records of the metadata of the sync that this host works on or waits for.
async fn persisted(
    host: &Host,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<AuditDocument>, OperatorError> {
    let (reader, destination): (Reader, _) = match (host.active(), host.standby()) {
        (Some(active), _) => {
            let reader: &Reader = active.record.store();
            (reader.clone(), active.destination.name)
        }
        (None, Some(standby)) => (standby.sync.reader.clone(), standby.sync.destination.name),
        (None, None) => return Ok(Vec::new()),
    };
    let destination = ClusterLabel::destination(destination);
    within_deadline(
        &host.context.monitor,
        destination,
        "Nothing was read.",
        async { Ok(reader.audit_documents(before, limit).await?) },
    )
    .await
}

fn shown(document: AuditDocument) -> AuditRecord {
    AuditRecord {
        id: document.id,
        at_ms: document.at.timestamp_millis(),
        who: document.who,
        role: document.role,
        from: document.from,
        call: document.call,
        parameters: document.parameters,
        status: document
            .status
            .and_then(|status| u16::try_from(status).ok()),
        error: document.error,
        unrecorded: u64::try_from(document.unrecorded).unwrap_or(0),
    }
}
