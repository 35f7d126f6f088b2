//! Validates a configuration against the JSON Schema of its component. Errors have the path of the invalid field.
//!
//! Invariant: errors quote no value, because a configuration may hold a key.

use jsonschema::Validator;
use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

use crate::model::ErrorName;

use super::super::error::{Error, Result};

/// The compiled schema of a component.
pub(in super::super) struct Schema(Validator);

impl Schema {
    /// Compiles a schema. The error is a clause for the operator.
    pub(in super::super) fn new(text: &str) -> std::result::Result<Self, String> {
        let schema: Value = serde_json::from_str(text)
            .map_err(|error| format!("its configuration schema is not JSON: {error}"))?;
        jsonschema::options()
            .offline()
            .build(&schema)
            .map(Self)
            .map_err(|error| format!("its configuration schema is not a JSON Schema: {error}"))
    }

    /// Refuses the first invalid field.
    pub(in super::super) fn check(&self, config: &Value) -> Result<()> {
        self.0.validate(config).map_err(|error| refusal(&error))
    }
}

fn refusal(error: &ValidationError<'_>) -> Error {
    // If no alternative of a schema matches, report the alternative that matches furthest: most likely the intended one.
    if let Kind::OneOfNotValid { context } | Kind::AnyOf { context } = error.kind() {
        let furthest = context.iter().flatten().max_by_key(|inner| depth(inner));
        if let Some(inner) = furthest.filter(|inner| depth(inner) > depth(error)) {
            return refusal(inner);
        }
    }
    let path = path(error.instance_path());
    let (name, path, reason) = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let field = unexpected.first().cloned().unwrap_or_default();
            let dot = if path.is_empty() { "" } else { "." };
            let reason = "the plugin does not know this field; remove it".to_owned();
            (
                ErrorName::UnknownField,
                format!("{path}{dot}{field}"),
                reason,
            )
        }
        Kind::Required { property } => {
            let reason = format!("the field {property} is missing");
            (ErrorName::MissingField, path, reason)
        }
        Kind::Enum { options } => {
            let options = options.as_array().into_iter().flatten();
            let options: Vec<String> = options.map(Value::to_string).collect();
            let reason = format!("the value is not one of {}", options.join(", "));
            (ErrorName::InvalidField, path, reason)
        }
        _ => (ErrorName::InvalidField, path, error.masked().to_string()),
    };
    Error::Refused { name, path, reason }
}

fn depth(error: &ValidationError<'_>) -> usize {
    error.instance_path().segments().count()
}

/// A path such as `rules[0].path`, from the root of the configuration.
fn path(location: &Location) -> String {
    location
        .segments()
        .fold(String::new(), |path, segment| match segment {
            LocationSegment::Index(index) => format!("{path}[{index}]"),
            LocationSegment::Property(name) if path.is_empty() => name.to_string(),
            LocationSegment::Property(name) => format!("{path}.{name}"),
        })
}
