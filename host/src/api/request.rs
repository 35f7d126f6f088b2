//! What a request carries, its body and its query, read strictly.

use axum::body::{self, Body, Bytes, HttpBody};
use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::Refusal;
use crate::model::{ErrorName, input};

/// Ample for filters that name thousands of collections.
const JSON_LIMIT_BYTES: usize = 1024 * 1024;

/// Reads a JSON body, whatever its `Content-Type`: mongosync's documented curl
/// lines send another. No body is an empty object.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = bytes(body, JSON_LIMIT_BYTES).await?;
    let value = if bytes.trim_ascii().is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::new(
                ErrorName::InvalidJson,
                format!("The request body is not JSON: {error}."),
            )
        })?
    };
    if !value.is_object() {
        return Err(Refusal::new(
            ErrorName::InvalidJson,
            "The request body is JSON, but not an object. Send an object, or nothing.",
        ));
    }
    Ok(input::read(value)?)
}

/// Reads a body of any content. One that announces more than `limit` bytes is
/// refused before it is read: curl asks first, and sends nothing then.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let refusal = || {
        Refusal::new(
            ErrorName::BodyTooLarge,
            format!("The request body is not complete within {limit} bytes, the limit."),
        )
    };
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced <= limit) {
        body::to_bytes(body, limit)
            .await
            .map_err(|_longer_or_broken_off| refusal())
    } else {
        Err(refusal())
    }
}

/// Reads a query; every value is a string.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
        Refusal::new(
            ErrorName::InvalidField,
            format!("The query is refused: {error}."),
        )
    })?;
    input::read(pairs.into_iter().collect())
        .map_err(|error| Refusal::new(error.name(), format!("The query is refused: {error}.")))
}
