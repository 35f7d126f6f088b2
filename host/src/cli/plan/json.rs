//! A rehearsal as one JSON object.

use serde_json::{Value, json};

use super::Totals;
use crate::{
    metadata::{NamespaceKind, PinnedComponent},
    model::{StartOptions, options::ClusterName},
    mongo::preflight::{Identity, PrivilegeGap},
    session::Rehearsal,
    sync::NamespacePlan,
};

/// The basis of the estimate, for readers of the object.
const BASIS: &str = "bytes of the documents in scope, without document filters, at bytesPerSecond; indexes are built beside \
                     the copy and may take longer";

pub(super) fn plan(options: Option<&StartOptions>, rehearsal: &Rehearsal) -> Value {
    let totals = Totals::of(rehearsal);
    let identities = rehearsal.identities.as_ref();
    let source = identities.map(|(source, _)| source);
    let destination = identities.map(|(_, destination)| destination);
    let refusals = rehearsal.refusals.iter().map(
        |refusal| json!({ "error": refusal.name.as_str(), "errorDescription": refusal.message }),
    );
    json!({
        "couldStart": rehearsal.refusals.is_empty(),
        "source": options.map(|options| cluster(options.source, source)),
        "destination": options.map(|options| cluster(options.destination, destination)),
        "namespaces": rehearsal.namespaces.as_ref().map(|all| all.iter().map(namespace).collect::<Value>()),
        "notInScope": rehearsal.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "totals": {
            "collections": totals.collections,
            "views": totals.views,
            "documents": totals.documents,
            "bytes": totals.bytes,
            "indexes": totals.indexes,
            "indexBytes": totals.index_bytes,
        },
        "estimate": {
            "copySeconds": rehearsal.copy_seconds(),
            "bytesPerSecond": Rehearsal::BYTES_PER_SECOND,
            "basis": BASIS,
        },
        "oplog": { "windowSeconds": rehearsal.oplog_window_seconds },
        "writeBlocking": rehearsal.write_blocks.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "components": rehearsal.components.iter().map(component).collect::<Value>(),
        "missingPrivileges": rehearsal.privileges.iter().map(privilege).collect::<Value>(),
        "warnings": rehearsal.warnings,
        "refusals": refusals.collect::<Value>(),
    })
}

fn cluster(name: ClusterName, identity: Option<&Identity>) -> Value {
    let version = |identity: &Identity| {
        let (major, minor, patch) = identity.version;
        format!("{major}.{minor}.{patch}")
    };
    json!({
        "cluster": name.as_str(),
        "setName": identity.map(|identity| &identity.set_name),
        "primary": identity.map(|identity| &identity.primary),
        "version": identity.map(version),
    })
}

fn namespace(namespace: &NamespacePlan) -> Value {
    json!({
        "source": namespace.source.to_string(),
        "destination": namespace.destination.to_string(),
        "type": match namespace.kind {
            NamespaceKind::Collection => "collection",
            NamespaceKind::View => "view",
        },
        "capped": namespace.capped,
        "documents": namespace.size.documents,
        "bytes": namespace.size.bytes,
        "indexBytes": namespace.size.index_bytes,
        "indexes": namespace.indexes,
    })
}

fn component(pinned: &PinnedComponent) -> Value {
    json!({
        "slot": pinned.slot, "name": pinned.name, "version": pinned.version, "semantics": pinned.semantics,
        "digest": pinned.digest,
    })
}

fn privilege(gap: &PrivilegeGap) -> Value {
    json!({
        "cluster": gap.cluster.as_str(),
        "resource": gap.resource,
        "actions": gap.actions,
        "required": gap.consequence.is_none(),
        "consequence": gap.consequence,
    })
}
