//! Handlers of components: list, upload, deletion, and the swap of pinned components.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, Success, run_to_completion};
use super::body;
use super::error::{Failure, Refusal};
use super::parameters;
use super::request::read_body;
use crate::model::ErrorName;
use crate::model::plugins::{ComponentSwap, IncompatibilityPolicy, SwapRequest};
use crate::plugin::{ComponentInfo, InstalledComponent, InstalledPlugin};

/// Answer of `GET /plugins`.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginsAnswer {
    success: bool,
    plugins: Vec<PluginBody>,
}

/// Answer of `POST /plugins`.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginAnswer {
    success: bool,
    plugin: PluginBody,
}

/// A component that this host can run.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstalledPlugin)]
struct PluginBody {
    name: String,
    version: String,
    /// `sha256:` and hex.
    digest: String,
    /// Version of the plugin contract that the component was built for.
    abi: String,
    /// Increases when the component answers the same input differently.
    semantics: u32,
    /// Interfaces of the contract that the component exports.
    exports: Vec<String>,
    /// "document" or "delta".
    scope: &'static str,
    /// JSON Schema of the configuration.
    #[schema(value_type = Object)]
    config_schema: Value,
    /// Whether the component imports WASI. It gets a WASI that grants nothing.
    wasi: bool,
    /// Whether the component imports `observe`: it may count, and log where pluginLogs allows it.
    observes: bool,
    /// Whether the component is part of this release. Otherwise it was uploaded, or the sync began with it on another release.
    shipped: bool,
    /// The key of pluginTrust that has signed the component in the registry from which this host has fetched it. Null otherwise.
    signed_by: Option<String>,
    /// Size of the component.
    bytes: u64,
    /// Whether the sync uses the component.
    in_use: bool,
}

/// The components that this host can run.
#[utoipa::path(
    get, path = "/api/v1/plugins", tag = "plugins", operation_id = "listPlugins",
    responses(
        (status = 200, description = "The components.", body = PluginsAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn list<C: Control>(
    State(control): State<Arc<C>>,
) -> Result<Json<PluginsAnswer>, Refusal> {
    let plugins = control.plugins().await?;
    Ok(Json(PluginsAnswer {
        success: true,
        plugins: plugins.into_iter().map(PluginBody::from).collect(),
    }))
}

/// Checks a component and stores it under its digest, without activating it.
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins", operation_id = "addPlugin",
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The bytes of the component, at most 64 MiB."),
    responses(
        (status = 200, description = "The stored component.", body = PluginAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn add<C: Control>(
    State(control): State<Arc<C>>,
    body: Body,
) -> Result<Json<PluginAnswer>, Refusal> {
    let mut received = body::receive_component(body).await?;
    let plugin = run_to_completion(async move {
        // Moved into the task: the share of the budget is held until the component is stored.
        control.add_plugin(received.take()).await
    })
    .await?;
    let info = &plugin.component.info;
    parameters::note(vec![
        ("name".to_owned(), info.name.clone()),
        ("digest".to_owned(), info.digest.clone()),
    ]);
    Ok(Json(PluginAnswer {
        success: true,
        plugin: plugin.into(),
    }))
}

/// Deletes an uploaded component that the sync does not use.
#[utoipa::path(
    delete, path = "/api/v1/plugins/{digest}", tag = "plugins", operation_id = "deletePlugin",
    params(("digest" = String, Path, description = "`sha256:` and hex")),
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn remove<C: Control>(
    State(control): State<Arc<C>>,
    Path(digest): Path<String>,
) -> CallResult {
    run_to_completion(async move { control.remove_plugin(digest).await })
        .await
        .map(Success::json)
}

impl From<InstalledPlugin> for PluginBody {
    fn from(plugin: InstalledPlugin) -> Self {
        let InstalledComponent {
            info:
                ComponentInfo {
                    name,
                    version,
                    digest,
                    abi,
                    semantics,
                    ..
                },
            exports,
            scope,
            config_schema,
            wasi,
            observes,
            shipped,
            signed_by,
            bytes,
        } = plugin.component;
        Self {
            name,
            version,
            digest,
            abi,
            semantics,
            exports,
            scope: scope.as_str(),
            // Invariant: the schema is JSON. Other components are not installed.
            config_schema: serde_json::from_str(&config_schema).unwrap_or_default(),
            wasi,
            observes,
            shipped,
            signed_by,
            bytes: bytes as u64,
            in_use: plugin.in_use,
        }
    }
}

/// Swaps of pinned components.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub(super) struct UpgradeRequest {
    components: Vec<SwapField>,
    /// Reaction to a component with other semantics; "refuse" if absent.
    on_incompatible: Option<OnIncompatibleField>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Swap)]
struct SwapField {
    /// Name of a pinned component.
    #[schema(example = "field-mask")]
    name: String,
    /// Digest of the replacement: `sha256:` and hex. Either this or `component`.
    digest: Option<String>,
    /// Digest of the replacement, or its place in a registry: `oci://REGISTRY/REPOSITORY@DIGEST`.
    component: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", expecting = "a string")]
#[schema(as = OnIncompatible)]
enum OnIncompatibleField {
    Refuse,
    /// Copies the component's namespaces again before the next change event is applied.
    Recopy,
}

/// Swaps components of a sync between two batches: all of them, or none.
#[utoipa::path(
    post, path = "/api/v1/upgrade", tag = "plugins",
    request_body = UpgradeRequest,
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn upgrade<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    let upgrade = read_body::<UpgradeRequest>(body).await?.check()?;
    run_to_completion(async move { control.upgrade(upgrade).await })
        .await
        .map(Success::json)
}

impl SwapField {
    fn check(self, index: usize) -> Result<ComponentSwap, Refusal> {
        match (self.digest, self.component) {
            (Some(component), None) | (None, Some(component)) => Ok(ComponentSwap {
                name: self.name,
                component,
            }),
            (None, None) => Err(Refusal::new(
                ErrorName::MissingField,
                format!("Field 'components[{index}].digest' is missing, and so is 'component'."),
            )),
            (Some(_), Some(_)) => Err(Refusal::new(
                ErrorName::InvalidField,
                format!("Field 'components[{index}]': give 'digest' or 'component', not both."),
            )),
        }
    }
}

impl UpgradeRequest {
    /// The swaps of this request, at least one, of different components.
    ///
    /// # Errors
    ///
    /// `InvalidField`.
    fn check(self) -> Result<SwapRequest, Refusal> {
        if self.components.is_empty() {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                "Field 'components': the array is empty; name at least one component.",
            ));
        }
        let mut names = HashSet::new();
        let twice = self
            .components
            .iter()
            .position(|swap| !names.insert(&swap.name));
        if let Some(index) = twice {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                format!("Field 'components[{index}].name': the component is named twice."),
            ));
        }
        let swaps = self.components.into_iter().enumerate();
        let swaps = swaps.map(|(index, field)| field.check(index));
        Ok(SwapRequest {
            components: swaps.collect::<Result<_, _>>()?,
            on_incompatible: match self.on_incompatible {
                Some(OnIncompatibleField::Recopy) => IncompatibilityPolicy::Recopy,
                Some(OnIncompatibleField::Refuse) | None => IncompatibilityPolicy::Refuse,
            },
        })
    }
}
