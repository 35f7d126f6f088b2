//! Plugins for the data set: a filter of orders, and masks of personal data.

use anyhow::Result;
use document_filter::DocumentFilter;
use field_mask::FieldMask;
use serde_json::{Value, json};

use super::dataset;
use crate::chain::Chain;

fn not_returned() -> Value {
    json!({ "filter": { "status": { "$ne": "returned" } } })
}

fn people() -> Value {
    json!({
        "key": "a key of the tests, and 32 characters long",
        "rules": [
            { "path": "email", "action": "hash", "otherwise": "keep" },
            { "path": "name.last", "action": "keepFirst", "count": 1, "otherwise": "keep" },
            { "path": "since", "action": "truncateDate", "to": "year", "otherwise": "keep" },
        ],
    })
}

fn addresses() -> Value {
    json!({
        "rules": [
            { "path": "ship.to.street", "action": "set", "value": "a street" },
            { "path": "lines.note", "action": "drop" },
        ],
    })
}

/// Fails every review whose author is not a name.
fn authors() -> Value {
    json!({ "rules": [{ "path": "author", "action": "keepLast", "count": 2 }] })
}

fn of(database: &str, collection: &str) -> Value {
    json!([{ "database": database, "collections": [collection] }])
}

fn chain() -> Vec<Value> {
    vec![
        json!({ "component": "document-filter", "config": not_returned(), "namespaces": of("shop", "orders") }),
        json!({ "component": "field-mask", "config": people(), "namespaces": of("crm", "customers") }),
        json!({ "component": "field-mask", "config": addresses(), "namespaces": of("shop", "orders") }),
    ]
}

fn with_plugins(plugins: Vec<Value>) -> Value {
    let mut options = dataset::filters();
    if let Some(options) = options.as_object_mut() {
        options.insert("plugins".to_owned(), Value::Array(plugins));
    }
    options
}

/// [`dataset::filters`] and a chain of plugins.
pub fn filters() -> Value {
    with_plugins(chain())
}

/// [`filters`], and a plugin whose failures go into quarantine.
pub fn quarantining() -> Value {
    let mut plugins = chain();
    plugins.push(json!({ "component": "field-mask", "config": authors(),
        "namespaces": of("shop", "reviews"), "onError": "quarantine" }));
    with_plugins(plugins)
}

fn is(
    database: &'static str,
    collection: &'static str,
) -> impl Fn(&str, &str) -> bool + Send + Sync {
    move |of, name| (of, name) == (database, collection)
}

/// The expected result of [`filters`] for the set.
pub fn expected() -> Result<Chain> {
    Chain::of(dataset::in_scope)
        .then_in::<DocumentFilter>(&not_returned(), is("shop", "orders"))?
        .then_in::<FieldMask>(&people(), is("crm", "customers"))?
        .then_in::<FieldMask>(&addresses(), is("shop", "orders"))
}

/// The expected result of [`quarantining`] for the set.
pub fn expected_with_quarantine() -> Result<Chain> {
    expected()?.then_or_absent_in::<FieldMask>(&authors(), is("shop", "reviews"))
}
