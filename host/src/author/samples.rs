//! Documents for a plugin that is given none: of every BSON type, or of the size
//! of a document as one meets it.
//!
//! A configuration names fields; so every string in it is taken for the name of
//! one, and the documents have it.

use std::collections::BTreeSet;

use anyhow::Result;
use bson::{Bson, Document, RawDocumentBuf, doc};
use serde_json::Value;

/// One value of every BSON type and of every length of number, as Extended JSON.
const VALUES: &str = include_str!("samples.json");

/// The types that the server takes no `_id` of.
const NO_IDS: [&str; 3] = ["array", "regex", "undefined"];

/// What a generated document for the bench has, about.
const GENERATED_BYTES: usize = 1024;

/// A document for each value, which has it everywhere, and one for each `_id`.
pub(super) fn of_every_type(config: &Value) -> Result<Vec<RawDocumentBuf>> {
    let values: Vec<(String, Value)> = serde_json::from_str::<serde_json::Map<_, _>>(VALUES)?
        .into_iter()
        .collect();
    let paths = paths(config);
    let mut documents = vec![doc! { "_id": 0 }];
    for (position, (name, value)) in values.into_iter().enumerate() {
        let value = Bson::try_from(value)?;
        let number = i32::try_from(position)?;
        let mut document = doc! { "_id": number };
        if !NO_IDS.contains(&name.as_str()) {
            documents.push(doc! { "_id": value.clone(), "name": name.clone() });
        }
        document.insert("value", value.clone());
        document.insert("list", vec![value.clone(), Bson::Null, value.clone()]);
        document.insert("inner", doc! { "value": value.clone() });
        for path in &paths {
            put(&mut document, path, &value);
        }
        documents.push(document);
    }
    raw(&documents)
}

/// Different documents of about 1 KiB.
pub(super) fn generated(config: &Value, count: usize) -> Result<Vec<RawDocumentBuf>> {
    let paths = paths(config);
    let documents: Vec<Document> = (0..count).map(|number| generate(&paths, number)).collect();
    raw(&documents)
}

fn generate(paths: &BTreeSet<String>, number: usize) -> Document {
    let id = i64::try_from(number).unwrap_or_default();
    let mut document = doc! {
        "_id": id,
        "name": format!("Person {number}"),
        "email": format!("person{number}@example.com"),
        "status": if number.is_multiple_of(2) { "active" } else { "gone" },
        "balance": f64::from(u16::try_from(number % 1000).unwrap_or_default()) / 8.0,
        "created": bson::DateTime::from_millis(1_700_000_000_000 + id * 1000),
        "address": { "street": format!("{number} High Street"), "city": "Exeter", "zip": "EX4" },
        "orders": (0..4).map(|order| doc! { "sku": format!("sku-{order}"), "count": order }).collect::<Vec<_>>(),
    };
    for path in paths {
        // A name, a mail address or a date that is there already does better.
        if !document.contains_key(path.split('.').next().unwrap_or(path)) {
            let value = Bson::String(format!("value {number}"));
            put(&mut document, path, &value);
        }
    }
    let size = RawDocumentBuf::try_from(&document).map_or(0, |raw| raw.as_bytes().len());
    let padding = GENERATED_BYTES.saturating_sub(size + b"\x02text\0\0\0\0\0\0".len());
    document.insert("text", "x".repeat(padding));
    document
}

fn raw(documents: &[Document]) -> Result<Vec<RawDocumentBuf>> {
    let raw = |document| Ok(RawDocumentBuf::try_from(document)?);
    documents.iter().map(raw).collect()
}

/// Every string in a configuration that could be a dotted path.
fn paths(config: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(config, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let is_name = |name: &str| !name.is_empty() && !name.starts_with('$') && name != "_id";
            if text.len() <= 100 && !text.contains('\0') && text.split('.').all(is_name) {
                found.insert(text.clone());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// Puts a value at a dotted path, in place of what stands on the way.
fn put(document: &mut Document, path: &str, value: &Bson) {
    let Some((first, rest)) = path.split_once('.') else {
        document.insert(path, value.clone());
        return;
    };
    if document.get_document(first).is_err() {
        document.insert(first, Document::new());
    }
    if let Ok(inner) = document.get_document_mut(first) {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_is_every_type_at_every_named_path() -> Result<()> {
        let documents =
            of_every_type(&json!({ "rules": [{ "path": "a.b", "n": 1 }], "x": "_id" }))?;
        let mut kinds = BTreeSet::new();
        for document in &documents {
            if let Ok(inner) = document.get_document("a") {
                let element = inner.get("b")?.map(|value| value.element_type() as u8);
                kinds.extend(element);
            }
        }
        assert_eq!(kinds.len(), 21, "{kinds:x?}");
        Ok(())
    }

    #[test]
    fn generated_documents_are_of_one_kibibyte() -> Result<()> {
        for document in generated(&json!({ "field": "status" }), 20)? {
            assert_eq!(document.as_bytes().len(), GENERATED_BYTES);
        }
        Ok(())
    }
}
