//! Handlers of shadows: begin, show and end. The contents of documents have a path of their own, which needs another
//! role.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Control;
use super::answer::{CallResult, Success, run_to_completion};
use super::error::{Failure, Refusal};
use super::progress::Shadow;
use super::request::read_body;
use crate::model::ErrorName;
use crate::model::shadow::{ShadowReport, ShadowRequest, ShadowSample};

/// A build to compare with a component in use.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = ShadowRequest)]
pub(super) struct ShadowFields {
    /// Name of a component that transforms documents of the sync.
    #[schema(example = "field-mask")]
    name: String,
    /// Digest of the other build: `sha256:` and hex. Either this or `component`.
    digest: Option<String>,
    /// Digest of the other build, or its place in a registry: `oci://REGISTRY/REPOSITORY@DIGEST`.
    component: Option<String>,
    /// true: keeps both answers of the sampled documents, for `GET /shadow/contents`; false if absent.
    contents: Option<bool>,
}

/// Answer of `GET /shadow`.
#[derive(Serialize, ToSchema)]
pub(super) struct ShadowAnswer {
    success: bool,
    shadows: Vec<ReportBody>,
}

/// A shadow, with the documents that it answers differently.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowReport)]
struct ReportBody {
    #[serde(flatten)]
    progress: Shadow,
    /// Documents by the paths at which both answers differ; 50 paths at most.
    paths: BTreeMap<String, u64>,
    /// The first documents with different answers; 20 at most.
    samples: Vec<SampleBody>,
}

/// A document with different answers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowSample)]
struct SampleBody {
    /// Namespace on the source.
    #[schema(example = "sales.EMEA")]
    namespace: String,
    /// `_id` of the document, as relaxed Extended JSON.
    document_id: Value,
    /// Answer of the component in use: `kept`, `dropped`, `replaced` or `quarantined`.
    current: &'static str,
    /// Answer of the shadow.
    shadow: &'static str,
    /// Paths at which the answers differ; empty unless both are documents.
    paths: Vec<String>,
}

/// Answer of `GET /shadow/contents`.
#[derive(Serialize, ToSchema)]
pub(super) struct ShadowContentsAnswer {
    success: bool,
    documents: Vec<ContentsBody>,
}

/// Both answers about a document, as relaxed Extended JSON.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowContents)]
struct ContentsBody {
    /// Use of the component: `documentFilter`, `plugins[0]`, ….
    slot: String,
    /// Namespace on the source.
    namespace: String,
    document_id: Value,
    /// Null for an answer without a document, for a document of more than 64 KiB, and without `contents` in the request.
    current: Option<Value>,
    shadow: Option<Value>,
}

/// Begins a shadow: another build is given the documents of a component, and its answers are compared and never written.
#[utoipa::path(
    post, path = "/api/v1/shadow", tag = "plugins", operation_id = "beginShadow",
    request_body = ShadowFields,
    responses(
        (status = 200, description = "Begun.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn begin<C: Control>(State(control): State<Arc<C>>, body: Body) -> CallResult {
    let request = read_body::<ShadowFields>(body).await?.check()?;
    run_to_completion(async move { control.begin_shadow(request).await })
        .await
        .map(Success::json)
}

/// The shadows, with samples of the documents that they answer differently. No contents.
#[utoipa::path(
    get, path = "/api/v1/shadow", tag = "plugins", operation_id = "listShadows",
    responses(
        (status = 200, description = "The shadows.", body = ShadowAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn list<C: Control>(
    State(control): State<Arc<C>>,
) -> Result<Json<ShadowAnswer>, Refusal> {
    let reports = control.shadows().await?;
    Ok(Json(ShadowAnswer {
        success: true,
        shadows: reports.into_iter().map(ReportBody::from).collect(),
    }))
}

/// Both answers of the sampled documents.
#[utoipa::path(
    get, path = "/api/v1/shadow/contents", tag = "plugins", operation_id = "listShadowContents",
    responses(
        (status = 200, description = "The answers.", body = ShadowContentsAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn contents<C: Control>(
    State(control): State<Arc<C>>,
) -> Result<Json<ShadowContentsAnswer>, Refusal> {
    let reports = control.shadows().await?.into_iter();
    let documents = reports.flat_map(
        |ShadowReport {
             progress, samples, ..
         }| {
            let contents = move |sample: ShadowSample| ContentsBody {
                slot: progress.slot.clone(),
                namespace: sample.namespace.to_string(),
                document_id: sample.document_id,
                current: sample.current.content,
                shadow: sample.shadow.content,
            };
            samples.into_iter().map(contents)
        },
    );
    Ok(Json(ShadowContentsAnswer {
        success: true,
        documents: documents.collect(),
    }))
}

/// Ends all shadows.
#[utoipa::path(
    delete, path = "/api/v1/shadow", tag = "plugins", operation_id = "endShadows",
    responses(
        (status = 200, description = "Carried out.", body = Success),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn end<C: Control>(State(control): State<Arc<C>>) -> CallResult {
    run_to_completion(async move { control.end_shadows().await })
        .await
        .map(Success::json)
}

impl ShadowFields {
    fn check(self) -> Result<ShadowRequest, Refusal> {
        let component = match (self.digest, self.component) {
            (Some(component), None) | (None, Some(component)) => component,
            (None, None) => {
                return Err(Refusal::new(
                    ErrorName::MissingField,
                    "Field 'digest' is missing, and so is 'component'.",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    ErrorName::InvalidField,
                    "Field 'digest': give 'digest' or 'component', not both.",
                ));
            }
        };
        Ok(ShadowRequest {
            name: self.name,
            component,
            contents: self.contents.unwrap_or_default(),
        })
    }
}

impl From<ShadowReport> for ReportBody {
    fn from(report: ShadowReport) -> Self {
        Self {
            progress: report.progress.into(),
            paths: report.paths,
            samples: report.samples.into_iter().map(SampleBody::from).collect(),
        }
    }
}

impl From<ShadowSample> for SampleBody {
    fn from(sample: ShadowSample) -> Self {
        Self {
            namespace: sample.namespace.to_string(),
            document_id: sample.document_id,
            current: sample.current.outcome,
            shadow: sample.shadow.outcome,
            paths: sample.paths,
        }
    }
}
