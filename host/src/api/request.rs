//! Strict readers of request bodies and queries: unknown fields, repeated fields and wrong types are refused.

use std::collections::HashSet;

use axum::body::Body;
use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::body;
use super::error::Refusal;
use super::parameters;
use crate::model::{ErrorName, input};

/// Reads a JSON object from a body. A missing body is an empty object.
///
/// `Content-Type` is ignored: mongosync's documented curl lines send `application/x-www-form-urlencoded`.
///
/// # Errors
///
/// `InvalidJson`, `UnknownField`, `MissingField`, `InvalidField`, and the errors of `receive_json`.
pub(super) async fn read_body<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let received = body::receive_json(body).await?;
    read_object(received.bytes())
}

/// Reads a JSON object from the bytes of a body. No bytes are an empty object.
///
/// # Errors
///
/// `InvalidJson`, `UnknownField`, `MissingField` and `InvalidField`.
pub(super) fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
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
            "The request body is JSON, but not an object. Send an object, or no body.",
        ));
    }
    let noted = parameters::of_body(&value);
    let read = input::read(value)?;
    parameters::note(noted);
    Ok(read)
}

/// Reads the query of `uri`. Every value is a string.
///
/// # Errors
///
/// `UnknownField` and `InvalidField`; a repeated name is an `InvalidField`.
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
