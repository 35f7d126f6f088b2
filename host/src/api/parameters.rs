//! Parameters of a call for its record: names of fields, and values that are no secrets.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

/// Most parameters of a record, and most characters of a value.
const MAX_PARAMETERS: usize = 32;
const MAX_CHARACTERS: usize = 256;

/// Fields whose text is shown. Texts of all other fields are left out: a configuration of a plugin can hold keys.
const SHOWN_TEXTS: [&str; 10] = [
    "source",
    "destination",
    "sync",
    "buildIndexes",
    "enableUserWriteBlocking",
    "onIncompatible",
    "onChangeEventTooLarge",
    "digest",
    "name",
    "component",
];

tokio::task_local! {
    static NOTED: RefCell<BTreeMap<String, String>>;
}

/// Runs a call. Returns its answer and the parameters that it has noted.
pub(super) async fn collect<T>(call: impl Future<Output = T>) -> (T, BTreeMap<String, String>) {
    let collecting = async {
        let answer = call.await;
        (answer, NOTED.with(|noted| noted.take()))
    };
    NOTED.scope(RefCell::default(), collecting).await
}

/// The parameters of a body.
pub(super) fn of_body(body: &Value) -> Vec<(String, String)> {
    let fields = body.as_object().into_iter().flatten().take(MAX_PARAMETERS);
    fields
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), text(name, value)))
        .collect()
}

/// Notes parameters for the record of the call, after its body was read: their names are known to this release.
pub(super) fn note(parameters: Vec<(String, String)>) {
    // Outside a recorded call, as in a test of a handler, there is no record.
    _ = NOTED.try_with(|noted| noted.borrow_mut().extend(parameters));
}

fn text(name: &str, value: &Value) -> String {
    let text = match (name, value) {
        (_, Value::Bool(_) | Value::Number(_)) => value.to_string(),
        (_, Value::String(text)) if SHOWN_TEXTS.contains(&name) => text.clone(),
        ("namespaces" | "includeNamespaces" | "excludeNamespaces", Value::Array(values)) => {
            listed(values, namespaces)
        }
        ("components", Value::Array(values)) => listed(values, |value| {
            vec![format!(
                "{} {}",
                field(value, "name"),
                field(value, "digest")
            )]
        }),
        ("plugins", Value::Array(values)) => {
            listed(values, |value| vec![field(value, "component").to_owned()])
        }
        (_, Value::Array(values)) => format!("{} entries", values.len()),
        _ => "given".to_owned(),
    };
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(MAX_CHARACTERS)
        .collect()
}

fn listed(values: &[Value], names: impl Fn(&Value) -> Vec<String>) -> String {
    let names: Vec<String> = values.iter().take(MAX_PARAMETERS).flat_map(names).collect();
    names.join(", ")
}

fn field<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `database.collection` for each collection of a filter; a pattern is not shown.
fn namespaces(filter: &Value) -> Vec<String> {
    let database = filter
        .get("database")
        .and_then(Value::as_str)
        .unwrap_or("(pattern)");
    let collections = filter.get("collections").and_then(Value::as_array);
    match collections {
        Some(collections) => (collections.iter().filter_map(Value::as_str))
            .take(MAX_PARAMETERS)
            .map(|collection| format!("{database}.{collection}"))
            .collect(),
        None => match field(filter, "collection") {
            "" => vec![database.to_owned()],
            collection => vec![format!("{database}.{collection}")],
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_shown_and_configurations_are_not() {
        let body = json!({
            "source": "cluster0",
            "reversible": true,
            "level": 2,
            "includeNamespaces": [{ "database": "sales", "collections": ["EMEA"] }, { "database": "x" }],
            "plugins": [{ "component": "field-mask", "config": "s3cret" }],
            "namespaceRemap": [{ "from": "s3cret" }],
            "documentFilter": { "s3cret": 1 },
            "verification": null,
        });
        let parameters: BTreeMap<_, _> = of_body(&body).into_iter().collect();
        let shown = format!("{parameters:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(parameters["includeNamespaces"], "sales.EMEA, x");
        assert_eq!(parameters["plugins"], "field-mask");
        assert_eq!(parameters["documentFilter"], "given");
        assert_eq!(parameters["level"], "2");
        assert!(!parameters.contains_key("verification"));
    }
}
