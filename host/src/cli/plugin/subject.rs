//! The subject of a command: a plugin, loaded as a host loads it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::model::options::{ClusterName, Json, OnError, PluginOptions};
use crate::model::{Namespace, OperatorError, StartOptions, input};
use crate::plugin::{Chain, InstalledComponent, NamespaceChain, Registry, Router, WasiPolicy};

use super::command;
use super::usage_error::usage_error;

/// A loaded plugin.
pub(super) struct Subject {
    pub(super) plugin: InstalledComponent,
    registry: Registry,
}

impl Subject {
    /// Loads a component.
    pub(super) fn of(component: &[u8]) -> Result<Self> {
        let registry = Registry::load(None, WasiPolicy::ShowOutput)?;
        let plugin = registry.add(component)?;
        Ok(Self { plugin, registry })
    }

    /// Loads a component file, or a shipped component by name.
    pub(super) fn open(file: &str) -> Result<Self> {
        let path = Path::new(file);
        if path.is_file() {
            return Self::of(&read(path)?);
        }
        let registry = Registry::load(None, WasiPolicy::ShowOutput)?;
        let plugin = {
            let shipped = registry.feature_set().components().iter();
            let names: Vec<&str> = shipped.map(|info| info.name.as_str()).collect();
            if !names.contains(&file) {
                return Err(usage_error(format!(
                    "{file} is neither a file nor the name of a shipped plugin. Shipped plugins: {}.",
                    names.join(", ")
                )));
            }
            registry.find(file)?
        };
        Ok(Self { plugin, registry })
    }

    pub(super) fn exports(&self, interface: &str) -> bool {
        self.plugin.exports(interface)
    }

    /// A chain of this plugin alone, for the documents of `namespace`.
    pub(super) fn chain(
        &self,
        config: &Value,
        on_error: OnError,
        namespace: &Namespace,
    ) -> Result<NamespaceChain> {
        let (options, registry) = (self.options(config, on_error), &self.registry);
        let pins = registry.pins(&options)?;
        let chain = Chain::new(registry, &options, &pins).map_err(unprefixed)?;
        let of_namespace = chain.of(namespace)?;
        of_namespace.with_context(|| {
            format!(
                "{} does not export transform, so it does not decide about documents; give names with --names",
                self.plugin.info.name
            )
        })
    }

    /// A router of this plugin alone.
    pub(super) fn router(&self, config: &Value) -> Result<Router> {
        let (options, registry) = (self.options(config, OnError::Stop), &self.registry);
        let pins = registry.pins(&options)?;
        Ok(Router::new(registry, &options, &pins).map_err(unprefixed)?)
    }

    fn options(&self, config: &Value, on_error: OnError) -> StartOptions {
        StartOptions {
            plugins: vec![PluginOptions {
                component: self.plugin.info.digest.clone(),
                config: Json(config.clone()),
                namespaces: Vec::new(),
                on_error,
            }],
            ..StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1)
        }
    }
}

/// Removes the position of the plugin in the options: a command has a single plugin.
fn unprefixed(error: OperatorError) -> OperatorError {
    OperatorError::new(
        error.name,
        error.message.replace("plugins[0].config", "config"),
    )
}

/// Reads a component file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file)
        .map_err(|error| usage_error(format!("{} cannot be read: {error}.", file.display())))
}

/// The configuration of `--config`, if given.
pub(super) fn config(subject: &command::SubjectArgs) -> Result<Option<Value>> {
    subject.config.as_deref().map(read_config).transpose()
}

/// Reads a configuration: a file, or a JSON object.
pub(super) fn read_config(given: &str) -> Result<Value> {
    let (place, text) = if given.trim_start().starts_with('{') {
        ("The configuration".to_owned(), given.to_owned())
    } else {
        let text = std::fs::read_to_string(given).map_err(|error| {
            usage_error(format!(
                "The configuration file {given} cannot be read: {error}. Give a file, or a JSON object."
            ))
        })?;
        (format!("The configuration file {given}"), text)
    };
    let value = input::parse_json(text.as_bytes())
        .map_err(|error| usage_error(format!("{place} is refused as JSON: {error}.")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(usage_error(format!("{place} is not a JSON object.")))
    }
}

/// The configuration of `--config`, or `{}`.
pub(super) fn config_or_empty(subject: &command::SubjectArgs) -> Result<Value> {
    Ok(config(subject)?.unwrap_or_else(|| json!({})))
}
