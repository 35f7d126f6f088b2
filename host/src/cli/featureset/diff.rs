//! `tidegate featureset diff`: the effect of a takeover by a host with another feature set on a running sync.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::plugin::{Adoption, ComponentInfo, FeatureSet, adoption};

use super::super::table::table;
use super::name_of;

/// A component name, with its builds in both feature sets.
struct Row<'a> {
    from: Option<&'a ComponentInfo>,
    to: Option<&'a ComponentInfo>,
    effect: Effect,
}

/// The effect of the takeover on a component.
#[derive(Clone, Copy)]
enum Effect {
    /// The sync is pinned to the component.
    Pinned(Adoption),
    /// The component is new: no running sync is pinned to it.
    New,
    /// A migration step: a host uses its own.
    OwnStep,
}

impl Effect {
    /// The word for scripts, and the description for people.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Pinned(Adoption::Unchanged) => ("unchanged", "unchanged"),
            Self::Pinned(Adoption::Swap) => ("swap", "swapped in"),
            Self::Pinned(Adoption::Deferred) => {
                ("deferred", "stays pinned: newer semantics (deferred)")
            }
            Self::Pinned(Adoption::Missing) => (
                "missing",
                "stays pinned: not installed, runs from the destination",
            ),
            Self::Pinned(Adoption::NotNewer) => ("notNewer", "stays pinned: not newer"),
            Self::New => ("new", "new"),
            Self::OwnStep => ("notPinned", "not pinned: a host uses its own"),
        }
    }
}

/// A row for each component of either feature set, those of `from` first.
fn rows<'a>(from: &'a FeatureSet, to: &'a FeatureSet) -> Vec<Row<'a>> {
    let named = |set: &'a FeatureSet, name: &str| {
        let mut components = set.components().iter();
        components.find(|info| info.name == name)
    };
    let pinned = from.components().iter().map(|info| {
        let to = named(to, &info.name);
        let effect = if info.is_pinned() {
            Effect::Pinned(adoption(info, to))
        } else {
            Effect::OwnStep
        };
        Row {
            from: Some(info),
            to,
            effect,
        }
    });
    let added = to.components().iter();
    let added = added.filter(|info| named(from, &info.name).is_none());
    let added = added.map(|info| Row {
        from: None,
        to: Some(info),
        effect: if info.is_pinned() {
            Effect::New
        } else {
            Effect::OwnStep
        },
    });
    pinned.chain(added).collect()
}

/// The effect of the takeover on the metadata.
fn metadata(from: &FeatureSet, to: &FeatureSet) -> (&'static str, &'static str) {
    match to.metadata_version().cmp(&from.metadata_version()) {
        Ordering::Equal => ("unchanged", "the metadata stays unchanged"),
        Ordering::Greater => ("migrated", "the metadata is migrated at the takeover"),
        Ordering::Less => (
            "refused",
            "the sync is refused (MetadataVersionNotSupported) until its metadata is rolled back",
        ),
    }
}

pub(super) fn text(from: &FeatureSet, to: &FeatureSet) -> String {
    let build = |info: Option<&ComponentInfo>| match info {
        Some(info) => format!("{} (semantics {})", info.version, info.semantics),
        None => "-".to_owned(),
    };
    let mut table_rows = vec![["role", "name", "pinned", "installed", "effect"].map(str::to_owned)];
    table_rows.extend(rows(from, to).iter().map(|row| {
        let info = row.from.or(row.to);
        [
            info.map_or("", |info| &info.role).to_owned(),
            info.map_or("", |info| &info.name).to_owned(),
            build(row.from),
            build(row.to),
            row.effect.words().1.to_owned(),
        ]
    }));
    format!(
        "pinned     {}\ninstalled  {}: {}\n\n{}",
        name_of(from),
        name_of(to),
        metadata(from, to).1,
        table(&table_rows)
    )
}

pub(super) fn json(from: &FeatureSet, to: &FeatureSet) -> String {
    let set = |set: &FeatureSet| {
        json!({
            "name": set.name(),
            "version": set.version(),
            "metadataVersion": set.metadata_version(),
        })
    };
    let components: Vec<Value> = rows(from, to)
        .iter()
        .map(|row| {
            let (word, reason) = row.effect.words();
            let name = row.from.or(row.to).map(|info| &info.name);
            json!({
                "name": name, "pinned": row.from, "installed": row.to, "outcome": word,
                "description": reason,
            })
        })
        .collect();
    let shown = json!({
        "pinned": set(from),
        "installed": set(to),
        "metadata": metadata(from, to).0,
        "components": components,
    });
    format!("{shown:#}\n")
}
