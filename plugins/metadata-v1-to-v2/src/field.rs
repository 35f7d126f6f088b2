//! Typed fields of a document. A field of a type that no host writes is an error that names the field.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::kind::name_of;
use tidegate_plugin_sdk::bson::{Element, Value, find};

/// The versions before and after the step.
const VERSIONS: [i32; 2] = [1, 2];

/// A type: its reader and its name.
pub(crate) struct FieldType<'a, T> {
    read: fn(&Value<'a>) -> Option<T>,
    name: &'static str,
}

pub(crate) fn text<'a>() -> FieldType<'a, &'a str> {
    FieldType {
        read: Value::as_str,
        name: "string",
    }
}

pub(crate) fn long<'a>() -> FieldType<'a, i64> {
    FieldType {
        read: Value::as_i64,
        name: "long",
    }
}

pub(crate) fn flag<'a>() -> FieldType<'a, bool> {
    FieldType {
        read: Value::as_bool,
        name: "bool",
    }
}

pub(crate) fn array<'a>() -> FieldType<'a, &'a [u8]> {
    FieldType {
        read: Value::as_array,
        name: "array",
    }
}

pub(crate) fn document<'a>() -> FieldType<'a, &'a [u8]> {
    FieldType {
        read: Value::as_document,
        name: "object",
    }
}

impl<'a, T> FieldType<'a, T> {
    /// The value of an element, which errors call `place`.
    pub(crate) fn of(&self, element: &Element<'a>, place: &str) -> Result<T, DocumentFailure> {
        (self.read)(&element.as_value()).ok_or_else(|| {
            DocumentFailure::Document(format!(
                "{place} is of the type {}, and a host writes {}",
                name_of(element.kind),
                self.name
            ))
        })
    }
}

/// An optional field.
pub(crate) fn optional<'a, T>(
    document: &'a [u8],
    name: &str,
    of_type: &FieldType<'a, T>,
) -> Result<Option<T>, DocumentFailure> {
    let element = find(document, name)?;
    element
        .map(|element| of_type.of(&element, name))
        .transpose()
}

/// A field that every host writes.
pub(crate) fn required<'a, T>(
    document: &'a [u8],
    name: &str,
    of_type: &FieldType<'a, T>,
) -> Result<T, DocumentFailure> {
    optional(document, name, of_type)?.ok_or_else(|| {
        DocumentFailure::Document(format!("it has no {name}, which every host writes"))
    })
}

/// The elements of the array `name`; empty if the field is missing.
pub(crate) fn entries<'a, T>(
    document: &'a [u8],
    name: &str,
    of_type: &FieldType<'a, T>,
) -> Result<Vec<T>, DocumentFailure> {
    let Some(array) = optional(document, name, &array())? else {
        return Ok(Vec::new());
    };
    entries_of(array, name, of_type)
}

/// The elements of an array that errors call `name`.
pub(crate) fn entries_of<'a, T>(
    array: &'a [u8],
    name: &str,
    of_type: &FieldType<'a, T>,
) -> Result<Vec<T>, DocumentFailure> {
    let elements = tidegate_plugin_sdk::bson::elements(array)?;
    elements
        .enumerate()
        .map(|(at, element)| of_type.of(&element?, &format!("{name}[{at}]")))
        .collect()
}

/// Refuses a session whose version is neither before nor after the step.
pub(crate) fn check_version(session: &[u8]) -> Result<(), DocumentFailure> {
    let int = FieldType {
        read: Value::as_i32,
        name: "int",
    };
    let version = required(session, "metadataVersion", &int)?;
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(DocumentFailure::Document(format!(
        "it is of metadata version {version}, and this is the step between 1 and 2"
    )))
}
