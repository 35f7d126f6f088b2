//! Fields of a document; a field of an unexpected type is an error that names it.

use tidegate_plugin_sdk::DocumentFailure;
use tidegate_plugin_sdk::bson::find;
use tidegate_plugin_sdk::bson::kind::name_of;

/// A boolean field; `None` if it is missing.
pub(crate) fn flag(document: &[u8], name: &str) -> Result<Option<bool>, DocumentFailure> {
    let Some(element) = find(document, name)? else {
        return Ok(None);
    };
    let value = element.as_value().as_bool();
    value.map(Some).ok_or_else(|| {
        DocumentFailure::Document(format!(
            "{name} is of the type {}, and a host writes bool",
            name_of(element.kind)
        ))
    })
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
