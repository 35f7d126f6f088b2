//! What a request carries, its body and its query, read strictly.

use std::collections::HashSet;

use axum::body::Body;
use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::body;
use super::error::Refusal;
use crate::model::{ErrorName, input};

/// Reads a JSON body, whatever its `Content-Type`: mongosync's documented curl
/// lines send another. No body is an empty object.
pub(super) async fn read_body<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let received = body::receive_json(body).await?;
    let bytes = received.bytes();
    let value = if bytes.trim_ascii().is_empty() {
        Value::Object(Map::new())
    } else {
        input::parse_json(bytes).map_err(|error| {
            Refusal::new(
                ErrorName::InvalidJson,
                format!("The request body is refused as JSON: {error}."),
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

/// Reads a query; every value is a string.
pub(super) fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
        Refusal::new(
            ErrorName::InvalidField,
            format!("The query is refused: {error}."),
        )
    })?;
    let mut names = HashSet::new();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !names.insert(name)) {
        return Err(Refusal::new(
            ErrorName::InvalidField,
            format!("The query is refused: '{name}' is given twice; give it once."),
        ));
    }
    input::read(pairs.into_iter().collect())
        .map_err(|error| Refusal::new(error.name(), format!("The query is refused: {error}.")))
}
