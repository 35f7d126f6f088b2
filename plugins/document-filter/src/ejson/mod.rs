//! MongoDB Extended JSON, version 2, into raw BSON: canonical and relaxed.
//!
//! An object with one of the `$` names of [`forms`] is a value of a type that
//! JSON does not have, any other object a document, whose order of fields counts.
//! A `$` name that is neither is refused: it would be compared with a field of
//! that name, which nobody wants.

mod date;
mod decimal;
mod forms;
mod text;
mod types;

use serde_json::{Map, Number, Value as Json};
use tidegate_plugin_sdk::bson::{Value, Writer, kind};
use tidegate_plugin_sdk::{ConfigError, ConfigFault};

use forms::{FORMS, Form};
pub(crate) use types::types_called;

/// The fields of a reference to a document, a DBRef.
const REFERENCE: [&str; 3] = ["$ref", "$id", "$db"];

/// A value that a filter holds: well-formed BSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    kind: u8,
    bytes: Vec<u8>,
}

impl Literal {
    fn new(kind: u8, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { kind, bytes }
    }

    /// The value of a number, decimals apart.
    pub(crate) fn as_number(&self) -> Option<f64> {
        let value = self.value();
        let integer = value.as_i32().map(i64::from).or_else(|| value.as_i64());
        value.as_f64().or_else(|| Some(integer? as f64))
    }

    #[inline]
    pub(crate) fn value(&self) -> Value<'_> {
        Value {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }
}

/// True for an object that stands for a value of some type.
pub(crate) fn is_typed(object: &Map<String, Json>) -> bool {
    object
        .keys()
        .next()
        .is_some_and(|name| form(name).is_some())
}

/// True for a DBRef: a document, although its names begin with `$`.
pub(crate) fn is_reference(object: &Map<String, Json>) -> bool {
    object.contains_key("$ref") && object.contains_key("$id")
}

/// Reads the value that stands at `at` in the configuration.
pub(crate) fn read(json: &Json, at: &str) -> Result<Literal, ConfigError> {
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

/// Integers by the width they need, as the relaxed form has it.
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

/// A document or array of named values, each with where it stands.
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
