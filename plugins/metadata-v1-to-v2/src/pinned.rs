//! The components that a sync is pinned to.
//!
//! Version 1 pins a component for each of the options' `plugins`, in their order, and identifies nothing but
//! the component. Version 2 pins a component for each use, and names the use.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::{DocumentWriter, Element, elements, find, kind};

use crate::back::refused;
use crate::field::{document, entries_of, long, required, text};

/// The contract version of all components of metadata version 1.
const ABI: &str = "1.0.0";

/// The semantics of the components embedded in hosts of version 1.
const BUILT_IN_SEMANTICS: i64 = 1;

/// Uses that version 1 did not pin: its hosts run their embedded components.
const BUILT_IN: [&str; 3] = ["namespaceFilter", "namespaceRemap", "documentFilter"];

/// Fields of a component that version 2 adds.
const ADDED: [&[u8]; 4] = [b"slot", b"role", b"abi", b"since"];

/// Appends `pinned`, each component with its slot.
pub(crate) fn forward(
    pinned: &[u8],
    writer: &mut DocumentWriter<'_>,
) -> Result<(), DocumentFailure> {
    let list = writer.begin(kind::ARRAY, b"pinned");
    for (at, component) in entries(pinned)?.into_iter().enumerate() {
        let mark = writer.begin(kind::DOCUMENT, at.to_string().as_bytes());
        if find(component, "slot")?.is_some() {
            writer.splice(component);
        } else {
            with_slot(at, component, writer)?;
        }
        writer.end(mark);
    }
    writer.end(list);
    Ok(())
}

fn with_slot(
    at: usize,
    component: &[u8],
    writer: &mut DocumentWriter<'_>,
) -> Result<(), DocumentFailure> {
    for name in ["name", "version", "digest"] {
        within(at, required(component, name, &text()))?;
    }
    within(at, required(component, "semantics", &long()))?;
    writer.string(b"slot", &format!("plugins[{at}]"));
    writer.string(b"role", "transform");
    for element in elements(component)? {
        let element = element?;
        writer.copy(&element);
        if element.is_named(b"digest") {
            writer.string(b"abi", ABI);
        }
    }
    Ok(())
}

/// The components of the options' `plugins`, in their order. Other uses are served by the components embedded
/// in a host of version 1. Refused where such a host could not run the same.
pub(crate) fn back(pinned: &[u8]) -> Result<Vec<&[u8]>, DocumentFailure> {
    let mut plugins = BTreeMap::new();
    for (at, component) in entries(pinned)?.into_iter().enumerate() {
        let position = match find(component, "slot")? {
            // Already of version 1.
            None => Some(at),
            Some(slot) => within(at, plugin_of(&slot, component))?,
        };
        if let Some(position) = position {
            put(&mut plugins, position, component)?;
        }
    }
    for (at, position) in plugins.keys().enumerate() {
        if at != *position {
            return Err(DocumentFailure::Document(format!(
                "it pins a component for plugins[{position}] and none for plugins[{at}]"
            )));
        }
    }
    Ok(plugins.into_values().collect())
}

/// The index in the options' `plugins` that a slot denotes, if any.
fn plugin_of<'a>(
    slot: &Element<'a>,
    component: &'a [u8],
) -> Result<Option<usize>, DocumentFailure> {
    let slot = text().of(slot, "slot")?;
    if BUILT_IN.contains(&slot) {
        let semantics = required(component, "semantics", &long())?;
        if semantics == BUILT_IN_SEMANTICS {
            return Ok(None);
        }
        return Err(refused(&format!(
            "{slot} runs on {} with semantics {semantics}, and a host of version 1 has one of \
             semantics {BUILT_IN_SEMANTICS}, which gives other answers",
            named(component)?
        )));
    }
    let position = slot
        .strip_prefix("plugins[")
        .and_then(|rest| rest.strip_suffix(']'));
    let Some(position) = position.and_then(|position| position.parse().ok()) else {
        return Err(refused(&format!(
            "{} is used as {slot}, which version 1 does not have",
            named(component)?
        )));
    };
    let abi = required(component, "abi", &text())?;
    if abi == ABI {
        return Ok(Some(position));
    }
    Err(refused(&format!(
        "{slot} runs on {}, which was built for tidegate:plugin {abi}, and a host of version 1 \
         runs components for {ABI} only",
        named(component)?
    )))
}

/// A component with two uses is pinned twice in version 2, and once in version 1.
fn put<'a>(
    plugins: &mut BTreeMap<usize, &'a [u8]>,
    position: usize,
    component: &'a [u8],
) -> Result<(), DocumentFailure> {
    let digest = |component| required(component, "digest", &text());
    match plugins.entry(position) {
        Entry::Vacant(vacant) => {
            vacant.insert(component);
            Ok(())
        }
        Entry::Occupied(first) if digest(first.get())? == digest(component)? => Ok(()),
        Entry::Occupied(_) => Err(DocumentFailure::Document(format!(
            "it pins two components for plugins[{position}]"
        ))),
    }
}

/// Appends `pinned` in the form of version 1.
pub(crate) fn write_back(
    plugins: &[&[u8]],
    writer: &mut DocumentWriter<'_>,
) -> Result<(), DocumentFailure> {
    let list = writer.begin(kind::ARRAY, b"pinned");
    for (at, component) in plugins.iter().enumerate() {
        let mark = writer.begin(kind::DOCUMENT, at.to_string().as_bytes());
        let is_version_1 = find(component, "slot")?.is_none();
        for element in elements(component)? {
            let element = element?;
            if is_version_1 || !ADDED.contains(&element.name) {
                writer.copy(&element);
            }
        }
        writer.end(mark);
    }
    writer.end(list);
    Ok(())
}

fn entries(pinned: &[u8]) -> Result<Vec<&[u8]>, DocumentFailure> {
    entries_of(pinned, "pinned", &document())
}

/// A component, named for an operator.
fn named(component: &[u8]) -> Result<String, DocumentFailure> {
    let field = |name| required(component, name, &text());
    Ok(format!("{} {}", field("name")?, field("version")?))
}

/// Adds the component to the message of an error.
fn within<T>(at: usize, read: Result<T, DocumentFailure>) -> Result<T, DocumentFailure> {
    read.map_err(|failure| match failure {
        DocumentFailure::Document(reason) => {
            DocumentFailure::Document(format!("in pinned[{at}], {reason}"))
        }
        fatal => fatal,
    })
}
