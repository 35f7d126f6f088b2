//! The call that compares collections with the source again.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Control;
use super::answer::run_to_completion;
use super::error::{Failure, Refusal};
use super::request::read_body;
use crate::model::ErrorName;
use crate::model::plugins::NamespaceSelection;

/// Collections to compare again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RecopyRequest {
    namespaces: Vec<SelectionField>,
}

/// A collection, or all collections of a database.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = NamespaceSelection)]
struct SelectionField {
    /// Name on the source.
    #[schema(example = "sales")]
    database: String,
    /// Name on the source; all collections of the database if absent.
    collection: Option<String>,
}

/// Answer of `POST /recopy`.
#[derive(Serialize, ToSchema)]
pub(super) struct RecopyAnswer {
    success: bool,
    /// Number of collections that are compared.
    collections: u64,
}

/// Compares collections with the source again, and writes the documents that differ, while the sync goes on. Answers
/// when that is persisted.
#[utoipa::path(
    post, path = "/api/v1/recopy", tag = "control",
    request_body = RecopyRequest,
    responses(
        (status = 200, description = "Persisted.", body = RecopyAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate or a component has failed.", body = Failure),
    ),
)]
pub(super) async fn recopy<C: Control>(
    State(control): State<Arc<C>>,
    body: Body,
) -> Result<Json<RecopyAnswer>, Refusal> {
    let selections = read_body::<RecopyRequest>(body).await?.check()?;
    let collections = run_to_completion(async move { control.recopy(selections).await }).await?;
    Ok(Json(RecopyAnswer {
        success: true,
        collections,
    }))
}

impl RecopyRequest {
    /// # Errors
    ///
    /// `InvalidField` for an empty list.
    fn check(self) -> Result<Vec<NamespaceSelection>, Refusal> {
        if self.namespaces.is_empty() {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                "Field 'namespaces': the array is empty; name at least one collection or database.",
            ));
        }
        let selection = |SelectionField {
                             database,
                             collection,
                         }| NamespaceSelection {
            database,
            collection,
        };
        Ok(self.namespaces.into_iter().map(selection).collect())
    }
}
