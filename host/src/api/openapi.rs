//! The OpenAPI document, generated from the handlers and types of the API.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::protection::needed_role;
use super::{
    audit, commit, load_level, metrics, plugins, quarantine, recopy, routes, shadow, users,
    verification,
};
use crate::model::options::ThrottleOptions;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tidegate",
        description = "Controls one sync. Compatible with mongosync's API."
    ),
    paths(
        routes::start,
        routes::pause,
        routes::resume,
        commit::commit,
        routes::reverse,
        routes::handover,
        load_level::set,
        routes::progress,
        plugins::list,
        plugins::add,
        plugins::remove,
        plugins::upgrade,
        shadow::begin,
        shadow::list,
        shadow::contents,
        shadow::end,
        recopy::recopy,
        quarantine::list,
        quarantine::retry,
        verification::progress,
        verification::mismatches,
        verification::repair,
        verification::restart,
        users::show,
        audit::list::list,
        routes::healthz,
        routes::readyz,
        metrics::scrape,
        document,
    )
)]
struct Document;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    for (place, more) in edits() {
        merge(&mut document, place, more);
    }
    protect(&mut document);
    document.to_string()
});

/// Adds the credentials to all calls but probes, and the statuses of their absence.
fn protect(document: &mut Value) {
    let schemes = json!({ "securitySchemes": {
        "bearer": { "type": "http", "scheme": "bearer", "description": "A token of tokensFile." },
        "basic": { "type": "http", "scheme": "basic", "description": "Any user, and a token as the password." },
        "certificate": { "type": "mutualTLS", "description": "A client certificate whose subject has a role." },
    } });
    merge(document, "/components", schemes);
    // The empty entry: a host on a loopback address without tokensFile asks for none.
    let security = json!([{ "bearer": [] }, { "basic": [] }, { "certificate": [] }, {}]);
    merge(document, "", json!({ "security": security }));
    let failure = |description: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Failure" });
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    };
    let refusals = json!({
        "401": failure("The call has no valid credentials."),
        "403": failure("The role of the caller does not permit the call, or the Host or Origin header is not this server's."),
        "429": failure("Too many wrong credentials, or too many bytes of bodies in transfer. Retry-After tells the wait after wrong credentials."),
    });
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, call) in paths.into_iter().flatten() {
        let calls = call.as_object_mut().into_iter().flatten();
        for (method, call) in calls {
            let method = method.to_uppercase().parse().unwrap_or_default();
            if needed_role(&method, path).is_some() {
                merge(call, "/responses", refusals.clone());
            } else {
                merge(call, "", json!({ "security": [] }));
                merge(
                    call,
                    "/responses",
                    json!({ "403": failure("The Host header is not a name of this server.") }),
                );
            }
        }
    }
}

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "control",
    responses((status = 200, description = "The document.", body = Object, content_type = "application/json")),
)]
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// Constraints that the types cannot express: JSON pointers into the document, and the fields to add to the objects
/// there.
fn edits() -> Vec<(&'static str, Value)> {
    let edits = [request_body_edits(), start_request_edits(), schema_edits()];
    edits.into_iter().flatten().collect()
}

fn request_body_edits() -> Vec<(&'static str, Value)> {
    let optional = || json!({ "required": false });
    vec![
        ("/paths/~1api~1v1~1pause/post/requestBody", optional()),
        ("/paths/~1api~1v1~1resume/post/requestBody", optional()),
        ("/paths/~1api~1v1~1commit/post/requestBody", optional()),
        ("/paths/~1api~1v1~1reverse/post/requestBody", optional()),
        ("/paths/~1api~1v1~1handover/post/requestBody", optional()),
        (
            "/paths/~1api~1v1~1quarantine~1retry/post/requestBody",
            optional(),
        ),
        (
            "/paths/~1api~1v1~1verification~1repair/post/requestBody",
            optional(),
        ),
        (
            "/paths/~1api~1v1~1verification~1restart/post/requestBody",
            optional(),
        ),
    ]
}

/// Generators of clients turn an object with a `oneOf` beside its `properties` into types without fields. So a condition on several fields
/// is an `if`, and a field of several types is a `oneOf` without a `type` of its own.
fn start_request_edits() -> Vec<(&'static str, Value)> {
    let cluster = || json!({ "enum": ["cluster0", "cluster1"] });
    vec![
        (
            "/components/schemas/StartRequest/properties/source",
            cluster(),
        ),
        (
            "/components/schemas/StartRequest/properties/destination",
            cluster(),
        ),
        (
            "/components/schemas/StartRequest",
            json!({
                "if": { "properties": { "source": { "const": "cluster0" } } },
                "then": { "properties": { "destination": { "const": "cluster1" } } },
                "else": { "properties": { "destination": { "const": "cluster0" } } },
            }),
        ),
        (
            "/components/schemas/StartRequest/properties/enableUserWriteBlocking",
            one_of(&json!([
                { "type": "string", "enum": ["none", "destinationOnly", "sourceAndDestination"] },
                { "type": "boolean" },
                { "type": "null" },
            ])),
        ),
        (
            "/components/schemas/StartRequest/properties/copyInNaturalOrder",
            one_of(&json!([
                { "type": "array", "items": { "$ref": "#/components/schemas/NamespaceFilter" }, "maxItems": 0 },
                { "const": false },
                { "type": "null" },
            ])),
        ),
        (
            "/components/schemas/StartRequest/properties/preExistingDestinationData",
            not_asked(),
        ),
        (
            "/components/schemas/StartRequest/properties/sharding",
            json!({ "type": "null" }),
        ),
        (
            "/components/schemas/StartRequest/properties/verification",
            json!({ "oneOf": [{ "$ref": "#/components/schemas/Verification" }, { "const": false }, { "type": "null" }] }),
        ),
        (
            "/components/schemas/StartRequest/properties/usersAndRoles",
            json!({ "oneOf": [{ "$ref": "#/components/schemas/UsersAndRoles" }, { "type": "boolean" }, { "type": "null" }] }),
        ),
    ]
}

fn schema_edits() -> Vec<(&'static str, Value)> {
    vec![
        (
            "/components/schemas/BuildIndexesField",
            json!({ "enum": ["afterDataCopy", "beforeDataCopy", "never"] }),
        ),
        (
            "/components/schemas/Verification/properties/enabled",
            not_asked(),
        ),
        (
            "/components/schemas/NamespaceFilter",
            json!({
                "if": { "required": ["database"] },
                "then": { "not": { "required": ["databaseRegex"] } },
                "else": { "required": ["databaseRegex"] },
                "not": { "required": ["collections", "collectionsRegex"] },
            }),
        ),
        (
            "/components/schemas/NamespaceFilter/properties/collections",
            json!({ "minItems": 1 }),
        ),
        (
            "/components/schemas/Regex/properties/options",
            json!({ "pattern": "^[imsx]*$" }),
        ),
        (
            "/components/schemas/UpgradeRequest/properties/components",
            json!({ "minItems": 1 }),
        ),
        (
            "/components/schemas/RecopyRequest/properties/namespaces",
            json!({ "minItems": 1 }),
        ),
        (
            "/components/schemas/LoadLevelRequest/properties/level",
            json!({ "minimum": 1, "maximum": 4 }),
        ),
        (
            "/components/schemas/Throttle/properties/maxReplicationLagSeconds",
            json!({ "maximum": ThrottleOptions::MAX_SECONDS }),
        ),
    ]
}

/// Schema of a field of an unsupported feature: false, null or absent.
fn not_asked() -> Value {
    one_of(&json!([{ "const": false }, { "type": "null" }]))
}

/// Schema of a field of several types, in place of those of the field's own type.
fn one_of(schemas: &Value) -> Value {
    json!({ "type": null, "items": null, "oneOf": schemas })
}

/// Adds the fields of `more` to the object at the JSON pointer `place`. A null removes a field.
fn merge(document: &mut Value, place: &str, more: Value) {
    let object = document.pointer_mut(place).and_then(Value::as_object_mut);
    if let (Some(object), Value::Object(more)) = (object, more) {
        object.extend(more);
        object.retain(|_, value| !value.is_null());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema is that of the OpenAPI 3.1 specification.
    #[test]
    fn f57_the_document_is_valid_and_each_edit_finds_its_place() {
        let document: Value = serde_json::from_str(&TEXT).expect("JSON");
        for (place, more) in edits() {
            let edited = document.pointer(place).expect(place);
            for (field, value) in more.as_object().expect("fields") {
                assert_eq!(&edited[field], value, "{place}");
            }
        }
        let schema = include_str!("../../../tests/fixtures/openapi/schema-3.1.json");
        let schema: Value = serde_json::from_str(schema).expect("a schema");
        let validator = jsonschema::options().offline().build(&schema);
        let validator = validator.expect("a schema");
        let faults: Vec<String> = validator
            .iter_errors(&document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
        let mut broken = document;
        merge(
            &mut broken,
            "/paths/~1healthz/get/responses",
            json!({ "200": {} }),
        );
        assert!(
            !validator.is_valid(&broken),
            "the schema asks for descriptions"
        );
    }
}
