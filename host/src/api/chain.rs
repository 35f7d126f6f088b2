//! The options of `POST /start` that configure components: `plugins`, and mongosync's `documentFilter` and
//! `namespaceRemap`.
//!
//! Configurations are not checked here. The schema of the component is applied to its configuration before the sync
//! begins.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::Refusal;
use super::filter::{self, FilterField};
use crate::model::options::{Json, OnError, PluginOptions};

/// A stage of the chain: a component and its use.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[schema(as = Plugin)]
pub(super) struct PluginField {
    /// Name or digest of a component, or its place in a registry. A digest is `sha256:` and hex, a place
    /// `oci://REGISTRY/REPOSITORY@DIGEST`.
    #[schema(example = "field-mask")]
    component: String,
    /// Configuration of the component, valid by its schema; `{}` if absent.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// Source namespaces whose documents the component transforms; all if absent or empty.
    namespaces: Option<Vec<FilterField>>,
    /// Reaction to a document that the component cannot handle. "stop", the default, pauses the sync before the
    /// document, and `resume` tries it again. "quarantine" moves the document into quarantine.
    on_error: Option<OnErrorField>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", expecting = "a string")]
#[schema(as = OnError)]
enum OnErrorField {
    Stop,
    Quarantine,
}

/// A new name for a database with all its collections, or for a single collection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = NamespaceRemap)]
pub(super) struct RemapField {
    /// Name on the source.
    from: NameField,
    /// Name on the destination. Has a collection if and only if `from` has a collection.
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

/// The checked stages of the field `plugins`. An absent field is an empty chain.
///
/// # Errors
///
/// `InvalidField` or `InvalidRegex`, for the first fault in a stage's `namespaces`.
pub(super) fn stages(fields: Option<Vec<PluginField>>) -> Result<Vec<PluginOptions>, Refusal> {
    let fields = fields.unwrap_or_default().into_iter().enumerate();
    fields.map(|(index, field)| field.check(index)).collect()
}

/// The field `documentFilter` as the configuration of the component document-filter.
pub(super) fn document_filter(field: Option<Map<String, Value>>) -> Option<Json> {
    field.map(|filter| Json(filter.into()))
}

/// The field `namespaceRemap` as the configuration of the component namespace-remap. An empty list means no remap.
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
