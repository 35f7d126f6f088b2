//! Generated documents for checks and benchmarks: of every BSON type, or of a typical size.
//!
//! A configuration names fields and values. So each of its strings is used as a field of the documents, and each of its
//! scalars as a value of those fields in some documents.

use std::collections::BTreeSet;

use anyhow::Result;
use bson::{Bson, Document, RawDocumentBuf, doc};
use serde_json::Value;

/// A value of every BSON type and of every length of number, as Extended JSON.
const VALUES: &str = include_str!("samples.json");

/// Number of documents in which the named fields have different values.
const MIXED: usize = 100;

/// The types that the server refuses as `_id`.
const NO_IDS: [&str; 3] = ["array", "regex", "undefined"];

/// Size of a generated document for a benchmark.
const GENERATED_BYTES: usize = 1024;

/// Documents with each value in all fields, with each value as `_id`, and with different values in the fields that the
/// configuration names.
pub(super) fn of_every_type(config: &Value) -> Result<Vec<RawDocumentBuf>> {
    let values = values(config)?;
    let paths = paths(config);
    let mut documents = vec![doc! { "_id": 0 }];
    for (position, (name, value)) in values.iter().enumerate() {
        let number = i32::try_from(position)?;
        let mut document = doc! { "_id": number };
        if !NO_IDS.contains(&name.as_str()) {
            documents.push(doc! { "_id": value.clone(), "name": name });
        }
        document.insert("value", value.clone());
        document.insert("list", vec![value.clone(), Bson::Null, value.clone()]);
        document.insert("inner", doc! { "value": value.clone() });
        for path in &paths {
            put(&mut document, path, value);
        }
        documents.push(document);
    }
    if paths.len() > 1 {
        documents.extend((0..MIXED).map(|number| mixed(&paths, &values, number)));
    }
    raw(&documents)
}

/// Values of every type, typical texts, and the scalars of the configuration.
fn values(config: &Value) -> Result<Vec<(String, Bson)>> {
    let known = serde_json::from_str::<serde_json::Map<_, _>>(VALUES)?;
    let known = known
        .into_iter()
        .map(|(name, value)| Ok((name, Bson::try_from(value)?)));
    let mut values = known.collect::<Result<Vec<_>>>()?;
    let mut scalars = Vec::new();
    collect_scalars(config, &mut scalars);
    let mut own = 0..;
    for scalar in scalars {
        let value = Bson::try_from(scalar)?;
        if values.iter().all(|(_, known)| *known != value) {
            values.push((format!("configured {}", own.next().unwrap_or(0)), value));
        }
    }
    Ok(values)
}

/// Collects the scalars of a configuration.
fn collect_scalars(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_scalars(value, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|value| collect_scalars(value, found)),
        Value::Null => {}
        scalar => found.push(scalar.clone()),
    }
}

/// A document with a different value in each field. Consecutive numbers give different pairs.
fn mixed(paths: &BTreeSet<String>, values: &[(String, Bson)], number: usize) -> Document {
    let mut document = doc! { "_id": format!("mixed {number}") };
    for (place, path) in paths.iter().enumerate() {
        // Co-prime steps, so that pairs of fields take many pairs of values.
        let at = (number * (2 * place + 1) + number / values.len().max(1) + 7 * place)
            % values.len().max(1);
        if let Some((_, value)) = values.get(at) {
            put(&mut document, path, value);
        }
    }
    document
}

/// Generates different documents of 1 KiB.
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
        // A generated name, mail address or date is more typical.
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

/// The strings of a configuration that may be dotted paths.
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

/// Sets a value at a dotted path, and replaces other values on the path by documents.
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

    /// Finding 47: no document had the values of the configuration.
    #[test]
    fn f47_there_is_what_the_configuration_says() -> Result<()> {
        let config = json!({ "set": "card", "where": { "region": "EMEA", "level": 7 } });
        let documents = of_every_type(&config)?;
        let has = |field: &str, value: &str| {
            let text = |document: &&RawDocumentBuf| document.get_str(field).ok() == Some(value);
            documents.iter().filter(text).count()
        };
        assert!(has("card", "EMEA") > 0 && has("card", "ann@example.com") > 0);
        let pairs: BTreeSet<String> = documents
            .iter()
            .filter_map(|document| {
                Some(format!(
                    "{:?} {:?}",
                    document.get("card").ok()??,
                    document.get("EMEA").ok()??
                ))
            })
            .collect();
        assert!(pairs.len() > 100, "{}", pairs.len());
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
