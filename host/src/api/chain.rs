//! The options of `POST /start` that make the chain: `plugins`, and mongosync's
//! `documentFilter` and `namespaceRemap`, each a component's configuration.
//!
//! What a configuration may hold is not known here: the component's own schema
//! says so, before anything has begun.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::Refusal;
use super::filter::{self, FilterField};
use crate::model::options::{Json, OnError, PluginOptions};

/// One stage of the chain: a component and how it is used.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[schema(as = Plugin)]
pub(super) struct PluginField {
    /// A component's name, or its digest: `sha256:` and hex.
    #[schema(example = "field-mask")]
    component: String,
    /// The component's configuration, as its schema has it; `{}` if absent.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// The source namespaces whose documents it sees; all if absent or empty.
    namespaces: Option<Vec<FilterField>>,
    /// What happens when it cannot handle a document: "stop", or absent, pauses the sync,
    /// resumably and not past the document; "quarantine" puts the document aside.
    on_error: Option<OnErrorField>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", expecting = "a string")]
#[schema(as = OnError)]
enum OnErrorField {
    Stop,
    Quarantine,
}

/// A new name for a database with all its collections, or for one collection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = NamespaceRemap)]
pub(super) struct RemapField {
    /// On the source.
    from: NameField,
    /// On the destination. It has a collection if `from` has one.
    to: NameField,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = NamespaceRemapName)]
struct NameField {
    #[schema(example = "sales")]
    database: String,
    collection: Option<String>,
}

/// The stages of the field `plugins`, or the first thing that is wrong with them.
pub(super) fn stages(fields: Option<Vec<PluginField>>) -> Result<Vec<PluginOptions>, Refusal> {
    let fields = fields.unwrap_or_default().into_iter().enumerate();
    fields.map(|(index, field)| field.check(index)).collect()
}

/// The configuration that the field `documentFilter` is.
pub(super) fn document_filter(field: Option<Map<String, Value>>) -> Option<Json> {
    field.map(|filter| Json(filter.into()))
}

/// The list that the field `namespaceRemap` is; an empty one asks for nothing.
pub(super) fn namespace_remap(field: Option<Vec<RemapField>>) -> Option<Json> {
    let entries = field.filter(|entries| !entries.is_empty())?;
    Some(Json(entries.into_iter().map(Value::from).collect()))
}

impl PluginField {
    fn check(self, index: usize) -> Result<PluginOptions, Refusal> {
        Ok(PluginOptions {
            component: self.component,
            config: Json(self.config.unwrap_or_default().into()),
            namespaces: filter::check(&format!("plugins[{index}].namespaces"), self.namespaces)?,
            on_error: self.on_error.map(OnError::from).unwrap_or_default(),
        })
    }
}

impl From<OnErrorField> for OnError {
    fn from(field: OnErrorField) -> Self {
        match field {
            OnErrorField::Stop => Self::Stop,
            OnErrorField::Quarantine => Self::Quarantine,
        }
    }
}

impl From<RemapField> for Value {
    fn from(field: RemapField) -> Self {
        [("from", field.from), ("to", field.to)]
            .into_iter()
            .collect()
    }
}

impl From<NameField> for Value {
    fn from(field: NameField) -> Self {
        let collection = field.collection.map(|name| ("collection", name));
        [("database", field.database)]
            .into_iter()
            .chain(collection)
            .collect()
    }
}
