//! A rehearsal as text.

use super::super::table::table;
use super::Totals;
use crate::{
    metadata::NamespaceKind,
    model::{StartOptions, options::ClusterName},
    mongo::preflight::Identity,
    session::Rehearsal,
    sync::NamespacePlan,
};

/// Names of namespaces that are not in scope, before the others are only counted.
const LEFT_OUT_NAMED: usize = 20;

pub(super) fn plan(options: Option<&StartOptions>, rehearsal: &Rehearsal) -> String {
    let mut text = String::new();
    if let Some(options) = options {
        let identities = rehearsal.identities.as_ref();
        let (source, destination) = (options.source, options.destination);
        text += &cluster("Source", source, identities.map(|both| &both.0));
        text += &cluster("Destination", destination, identities.map(|both| &both.1));
        text += &namespaces(rehearsal);
        let blocked = rehearsal.write_blocks.iter();
        let blocked = blocked.map(|name| format!("user writes of {}", name.as_str()));
        text += &list("Blocked", blocked);
        text += &components(rehearsal);
        text += &privileges(rehearsal);
    }
    text += &list("Warnings", rehearsal.warnings.iter().cloned());
    let refusals = rehearsal.refusals.iter().map(ToString::to_string);
    text += &list("Refused", refusals);
    text += if rehearsal.refusals.is_empty() {
        "\nThe sync could start. Nothing was changed.\n"
    } else {
        "\nThe sync would be refused. Nothing was changed.\n"
    };
    text
}

fn cluster(title: &str, name: ClusterName, identity: Option<&Identity>) -> String {
    let shown = identity.map_or_else(String::new, |identity| {
        let (major, minor, patch) = identity.version;
        let Identity {
            set_name, primary, ..
        } = identity;
        format!(": replica set {set_name}, primary {primary}, MongoDB {major}.{minor}.{patch}")
    });
    format!("{title:<12} {}{shown}\n", name.as_str())
}

fn namespaces(rehearsal: &Rehearsal) -> String {
    let Some(namespaces) = &rehearsal.namespaces else {
        return "\nThe namespaces in scope are unknown.\n".to_owned();
    };
    let heading = [
        "source",
        "destination",
        "type",
        "documents",
        "bytes",
        "indexes",
    ];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(namespaces.iter().map(row));
    format!(
        "\n{}\n{}{}",
        table(&rows),
        totals(rehearsal),
        left_out(rehearsal)
    )
}

fn row(namespace: &NamespacePlan) -> [String; 6] {
    let kind = match (namespace.kind, namespace.capped) {
        (NamespaceKind::View, _) => "view",
        (NamespaceKind::Collection, true) => "capped",
        (NamespaceKind::Collection, false) => "collection",
    };
    let number = |number: u64| match namespace.kind {
        NamespaceKind::View => String::new(),
        NamespaceKind::Collection => number.to_string(),
    };
    [
        namespace.source.to_string(),
        namespace.destination.to_string(),
        kind.to_owned(),
        number(namespace.size.documents),
        number(namespace.size.bytes),
        namespace.indexes.join(", "),
    ]
}

fn totals(rehearsal: &Rehearsal) -> String {
    let totals = Totals::of(rehearsal);
    let speed = Rehearsal::BYTES_PER_SECOND / 1_000_000;
    let estimate = rehearsal.copy_seconds();
    let oplog = match rehearsal.oplog_window_seconds {
        None => "its window is unknown".to_owned(),
        Some(window) => format!(
            "holds {} of changes at its present rate; the copy takes {}",
            duration(window),
            duration(estimate)
        ),
    };
    format!(
        "Total        {} collections, {} views, {} documents of {} bytes, {} indexes ({} bytes with those on _id)\n\
         Copy         about {}: the bytes of these documents at {speed} MB/s, a cautious speed. Indexes are built beside \
         the copy, and may take longer\n\
         Oplog        {oplog}\n",
        totals.collections,
        totals.views,
        totals.documents,
        totals.bytes,
        totals.indexes,
        totals.index_bytes,
        duration(estimate),
    )
}

fn left_out(rehearsal: &Rehearsal) -> String {
    let all = &rehearsal.left_out;
    if all.is_empty() {
        return String::new();
    }
    let named = all.iter().take(LEFT_OUT_NAMED);
    let named: Vec<String> = named.map(ToString::to_string).collect();
    let more = match all.len().saturating_sub(LEFT_OUT_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("Not in scope {}{more}\n", named.join(", "))
}

fn components(rehearsal: &Rehearsal) -> String {
    let shown = rehearsal.components.iter();
    let shown = shown.map(|pinned| format!("{}: {} {}", pinned.slot, pinned.name, pinned.version));
    list("Components", shown)
}

fn privileges(rehearsal: &Rehearsal) -> String {
    let shown = rehearsal.privileges.iter().map(|gap| {
        let need = match gap.consequence {
            None => "required".to_owned(),
            Some(consequence) => format!("optional: without it, {consequence}"),
        };
        format!(
            "{}: {} on {} ({need})",
            gap.cluster.as_str(),
            gap.actions.join(", "),
            gap.resource
        )
    });
    list("Missing privileges", shown)
}

/// A titled list; empty for no lines.
fn list(title: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.map(|line| format!("  {line}\n")).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{title}\n{}", lines.concat())
}

/// A duration in words, as `90 minutes`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}
