//! Fields of a document; a field of an unexpected type is an error that names it.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::kind::name_of;
use tidegate_plugin_sdk::bson::{Element, find};

/// A boolean field; false if it is missing, as hosts leave it out then.
pub(crate) fn flag(document: &[u8], name: &str) -> Result<bool, DocumentFailure> {
    let Some(element) = find(document, name)? else {
        return Ok(false);
    };
    let value = element.as_value().as_bool();
    value.ok_or_else(|| wrong(&element, name, "bool"))
}

/// A boolean field that every host writes.
pub(crate) fn required_flag(document: &[u8], name: &str) -> Result<bool, DocumentFailure> {
    if find(document, name)?.is_none() {
        return Err(missing(name));
    }
    flag(document, name)
}

/// A text field that every host writes.
pub(crate) fn required_text<'a>(
    document: &'a [u8],
    name: &str,
) -> Result<&'a str, DocumentFailure> {
    let element = find(document, name)?.ok_or_else(|| missing(name))?;
    let value = element.as_value().as_str();
    value.ok_or_else(|| wrong(&element, name, "string"))
}

/// The documents in the array `name`; empty if the field is missing.
pub(crate) fn documents<'a>(
    document: &'a [u8],
    name: &str,
) -> Result<Vec<&'a [u8]>, DocumentFailure> {
    let Some(element) = find(document, name)? else {
        return Ok(Vec::new());
    };
    let array = element.as_value().as_array();
    let array = array.ok_or_else(|| wrong(&element, name, "array"))?;
    tidegate_plugin_sdk::bson::elements(array)?
        .map(|entry| {
            let entry = entry?;
            let document = entry.as_value().as_document();
            document.ok_or_else(|| wrong(&entry, name, "object"))
        })
        .collect()
}

/// A text field for a message; `unknown` if it is missing.
pub(crate) fn text<'a>(document: &'a [u8], name: &str) -> &'a str {
    let element = find(document, name).ok().flatten();
    element
        .and_then(|element| element.as_value().as_str())
        .unwrap_or("unknown")
}

/// A namespace field for a message, as `database.collection`, or `database` for a whole database.
pub(crate) fn namespace(document: &[u8], name: &str) -> String {
    let element = find(document, name).ok().flatten();
    let Some(namespace) = element.and_then(|element| element.as_value().as_document()) else {
        return "unknown".to_owned();
    };
    match (text(namespace, "database"), text(namespace, "collection")) {
        (database, "" | "unknown") => database.to_owned(),
        (database, collection) => format!("{database}.{collection}"),
    }
}

pub(crate) fn missing(name: &str) -> DocumentFailure {
    DocumentFailure::Document(format!("it has no {name}, which every host writes"))
}

pub(crate) fn wrong(element: &Element<'_>, name: &str, expected: &str) -> DocumentFailure {
    DocumentFailure::Document(format!(
        "{name} is of the type {}, and a host writes {expected}",
        name_of(element.kind)
    ))
}
