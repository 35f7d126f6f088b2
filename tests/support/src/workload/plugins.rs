//! Plugins for the data set: a filter of orders, and masks of what names people.

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

/// [`dataset::filters`] and a chain of plugins.
pub fn filters() -> Value {
    let of = |database: &str, collection: &str| json!([{ "database": database, "collections": [collection] }]);
    let plugins = json!([
        { "component": "document-filter", "config": not_returned(), "namespaces": of("shop", "orders") },
        { "component": "field-mask", "config": people(), "namespaces": of("crm", "customers") },
        { "component": "field-mask", "config": addresses(), "namespaces": of("shop", "orders") },
    ]);
    let mut options = dataset::filters();
    if let Some(options) = options.as_object_mut() {
        options.insert("plugins".to_owned(), plugins);
    }
    options
}

/// What [`filters`] make of the set.
pub fn expected() -> Result<Chain> {
    let is = |database: &'static str, collection: &'static str| {
        move |of: &str, name: &str| (of, name) == (database, collection)
    };
    Chain::of(dataset::in_scope)
        .then_in::<DocumentFilter>(&not_returned(), is("shop", "orders"))?
        .then_in::<FieldMask>(&people(), is("crm", "customers"))?
        .then_in::<FieldMask>(&addresses(), is("shop", "orders"))
}
