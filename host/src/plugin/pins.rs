//! The pins of a sync: the digest of the component in each slot. Names are resolved once, when the sync begins. From
//! then on the component of a slot is found by its digest, whatever is installed under its name.

use std::fmt;

use crate::model::StartOptions;

/// The component for all lists of namespaces.
const NAMESPACE_FILTER: &str = "namespace-filter";

/// The component for `namespaceRemap`.
const NAMESPACE_REMAP: &str = "namespace-remap";

/// The component for `documentFilter`.
const DOCUMENT_FILTER: &str = "document-filter";

/// A place in a sync where a component is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The include and exclude lists, and the `namespaces` of every plugin.
    NamespaceFilter,
    /// The option `namespaceRemap`.
    NamespaceRemap,
    /// The option `documentFilter`.
    DocumentFilter,
    /// An element of `plugins`, by its position.
    Plugin(usize),
}

impl Slot {
    /// Every slot that `options` use, with the name or digest of the component that they ask for.
    pub fn all(options: &StartOptions) -> Vec<(Self, &str)> {
        let mut slots = vec![(Self::NamespaceFilter, NAMESPACE_FILTER)];
        if options.namespace_remap.is_some() {
            slots.push((Self::NamespaceRemap, NAMESPACE_REMAP));
        }
        if options.document_filter.is_some() {
            slots.push((Self::DocumentFilter, DOCUMENT_FILTER));
        }
        let plugins = options.plugins.iter().enumerate();
        slots.extend(plugins.map(|(at, plugin)| (Self::Plugin(at), plugin.component.as_str())));
        slots
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamespaceFilter => f.write_str("namespaceFilter"),
            Self::NamespaceRemap => f.write_str("namespaceRemap"),
            Self::DocumentFilter => f.write_str("documentFilter"),
            Self::Plugin(position) => write!(f, "plugins[{position}]"),
        }
    }
}

/// The digest of the component in each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(Vec<(Slot, String)>);

impl Pins {
    /// The digest of the component in a slot.
    pub fn digest(&self, slot: Slot) -> Option<&str> {
        let (_, digest) = self.0.iter().find(|(pinned, _)| *pinned == slot)?;
        Some(digest)
    }
}

impl FromIterator<(Slot, String)> for Pins {
    fn from_iter<T: IntoIterator<Item = (Slot, String)>>(pins: T) -> Self {
        Self(pins.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::options::{ClusterName, Json, OnError, PluginOptions};

    #[test]
    fn every_use_has_its_slot_and_the_lists_of_namespaces_always_one() {
        let mut options = StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1);
        let names = |options: &StartOptions| {
            let slots = Slot::all(options).into_iter();
            let named = slots.map(|(slot, component)| format!("{slot}: {component}"));
            named.collect::<Vec<_>>()
        };
        assert_eq!(names(&options), ["namespaceFilter: namespace-filter"]);
        options.namespace_remap = Some(Json(json!([])));
        options.document_filter = Some(Json(json!({})));
        options.plugins = ["field-mask", "sha256:ab"]
            .map(|component| PluginOptions {
                component: component.to_owned(),
                config: Json(json!({})),
                namespaces: Vec::new(),
                on_error: OnError::Stop,
            })
            .into();
        let wanted = [
            "namespaceFilter: namespace-filter",
            "namespaceRemap: namespace-remap",
            "documentFilter: document-filter",
            "plugins[0]: field-mask",
            "plugins[1]: sha256:ab",
        ];
        assert_eq!(names(&options), wanted);
    }
}
