//! Reads MongoDB Extended JSON, version 2, canonical and relaxed, into raw BSON.
//!
//! The form in which configurations contain MongoDB values. An object with the `$` name of a type is a value of
//! that type; any other object is a document, with its order of fields. Other `$` names are refused, because
//! they would silently become field names. The result is well-formed BSON.
//!
//! ```
//! use serde_json::json;
//! use tidegate_plugin_sdk::{bson::kind, ejson};
//!
//! let since = ejson::read(&json!({"$date": "1970-01-01T00:00:01Z"}), "since")?;
//! assert_eq!(since.value().as_date(), Some(1_000));
//!
//! let price = ejson::read(&json!({"amount": {"$numberDecimal": "9.90"}}), "price")?;
//! assert_eq!(price.value().kind, kind::DOCUMENT);
//!
//! // A refusal names the place in the configuration.
//! let error = ejson::read(&json!({"ids": [{"$oid": "5a"}]}), "only").unwrap_err();
//! assert_eq!(error.path, "only.ids[0]");
//! # Ok::<(), tidegate_plugin_sdk::ConfigError>(())
//! ```

mod forms;
mod text;

use serde_json::{Map, Number, Value as Json};

use crate::bson::{Value, Writer, kind};
use crate::{ConfigError, ConfigFault};
use forms::{FORMS, Form};

/// The fields of a DBRef.
const REFERENCE: [&str; 3] = ["$ref", "$id", "$db"];

/// An encoded value. Invariant: it is well-formed BSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    kind: u8,
    bytes: Vec<u8>,
}

impl Literal {
    fn new(kind: u8, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { kind, bytes }
    }

    /// The type and bytes.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        Value {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }
}

/// Whether an object represents a value of a type with a `$` name.
pub fn is_typed(object: &Map<String, Json>) -> bool {
    object
        .keys()
        .next()
        .is_some_and(|name| form(name).is_some())
}

/// Whether an object is a DBRef: a document, although its names begin with `$`.
pub fn is_reference(object: &Map<String, Json>) -> bool {
    object.contains_key("$ref") && object.contains_key("$id")
}

/// Reads the value at path `at` of the configuration. An integer gets the narrowest type that holds it; beyond
/// a long it is a double.
///
/// # Errors
///
/// The path and fault of the first part that is not Extended JSON.
pub fn read(json: &Json, at: &str) -> Result<Literal, ConfigError> {
    Ok(match json {
        Json::Null => Literal::new(kind::NULL, []),
        Json::Bool(truth) => Literal::new(kind::BOOLEAN, [u8::from(*truth)]),
        Json::Number(number) => read_number(number),
        Json::String(text) => Literal::new(kind::STRING, text::string(text)),
        Json::Array(values) => {
            let named = values.iter().enumerate();
            let named = named.map(|(n, value)| (n.to_string(), value, format!("{at}[{n}]")));
            Literal::new(kind::ARRAY, write(named)?)
        }
        Json::Object(object) => read_object(object, at)?,
    })
}

/// Integers get the narrowest type, as in the relaxed form.
fn read_number(number: &Number) -> Literal {
    let integer = number.as_i64();
    if let Some(small) = integer.and_then(|integer| i32::try_from(integer).ok()) {
        Literal::new(kind::INT32, small.to_le_bytes())
    } else if let Some(integer) = integer {
        Literal::new(kind::INT64, integer.to_le_bytes())
    } else {
        let double = number.as_f64().unwrap_or(f64::NAN);
        Literal::new(kind::DOUBLE, double.to_le_bytes())
    }
}

fn read_object(object: &Map<String, Json>, at: &str) -> Result<Literal, ConfigError> {
    if let Some(form) = object.keys().find_map(|name| form(name)) {
        return read_form(form, object, at);
    }
    let stray = |name: &&String| name.starts_with('$') && !REFERENCE.contains(&name.as_str());
    if let Some(name) = object.keys().find(stray) {
        return Err(invalid(
            &format!("{at}.{name}"),
            format!("`{name}` is no type of Extended JSON, and cannot stand within a value"),
        ));
    }
    if let Some(name) = object.keys().find(|name| name.contains('\0')) {
        let reason = format!("the name `{}` holds a NUL", name.escape_default());
        return Err(invalid(at, reason));
    }
    let named = object.iter();
    let named = named.map(|(name, value)| (name.clone(), value, format!("{at}.{name}")));
    Ok(Literal::new(kind::DOCUMENT, write(named)?))
}

fn form(name: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.name == name)
}

fn read_form(form: &Form, object: &Map<String, Json>, at: &str) -> Result<Literal, ConfigError> {
    if let (Some(code), Some(scope), 2) = (object.get("$code"), object.get("$scope"), object.len())
    {
        return read_scoped(code, scope, at);
    }
    let takes = || invalid(at, format!("`{}` takes {}", form.name, form.takes));
    let value = object.get(form.name).filter(|_| object.len() == 1);
    let bytes = value.and_then(form.read).ok_or_else(takes)?;
    Ok(Literal::new(form.kind, bytes))
}

fn read_scoped(code: &Json, scope: &Json, at: &str) -> Result<Literal, ConfigError> {
    let text = code.as_str().map(text::string);
    let text = text.ok_or_else(|| invalid(&format!("{at}.$code"), "this takes a string"))?;
    let scope = match read(scope, &format!("{at}.$scope"))? {
        Literal {
            kind: kind::DOCUMENT,
            bytes,
        } => bytes,
        _ => return Err(invalid(&format!("{at}.$scope"), "this takes a document")),
    };
    let length = text::length(text.len() + scope.len() + 4);
    let bytes = [&length[..], &text, &scope].concat();
    Ok(Literal::new(kind::SCOPED_JAVASCRIPT, bytes))
}

/// Encodes a document or array of named values, each with its path.
fn write<'a>(
    named: impl Iterator<Item = (String, &'a Json, String)>,
) -> Result<Vec<u8>, ConfigError> {
    let mut writer = Writer::new();
    for (name, value, at) in named {
        let Literal { kind, bytes } = read(value, &at)?;
        writer.value(kind, name.as_bytes(), &bytes);
    }
    Ok(writer.finish())
}

fn invalid(at: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::new(ConfigFault::InvalidValue, at, reason)
}

#[cfg(test)]
mod tests;
