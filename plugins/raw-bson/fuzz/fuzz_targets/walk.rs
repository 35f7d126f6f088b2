//! Walker, validation, paths and comparison never panic, and a valid document keeps its bytes when it is
//! rewritten.

#![no_main]

use libfuzzer_sys::fuzz_target;
use raw_bson::compare::{canonical_type, compare};
use raw_bson::path::{Path, any_match};
use raw_bson::{
    DocumentWriter, Element, Malformed, Value, Writer, documents, elements, find, kind, sequence,
    validate, validate_layout,
};

fuzz_target!(|data: &[u8]| {
    sequence(data).for_each(|document| drop(document.map(documents)));
    let _ = walk(data);
    let _ = follow(data);
    let _ = order(data);
    if validate(data).is_ok() {
        assert_eq!(validate_layout(data), Ok(()));
    }
    if validate_layout(data).is_ok() {
        assert_eq!(rewritten(data).as_deref(), Ok(data));
        assert_eq!(copied_in_runs(data).as_deref(), Ok(data));
        assert_eq!(follow(data).err().or(order(data).err()), None);
    }
});

/// Reads every element by name and by type.
fn walk(document: &[u8]) -> Result<(), Malformed> {
    for element in elements(document)? {
        let element = element?;
        let value = element.as_value();
        let _ = (value.as_str(), value.as_string_bytes(), value.as_binary());
        let _ = (value.as_i32(), value.as_i64(), value.as_f64());
        let _ = (value.as_bool(), value.as_date(), element.as_timestamp());
        let _ = (element.as_uuid(), element.as_document());
        if let Ok(name) = std::str::from_utf8(element.name) {
            let first = find(document, name)?;
            assert!(first.is_some_and(|first| first.is_named(element.name)));
        }
    }
    Ok(())
}

/// Follows a few paths; no path visits more values than the document has.
fn follow(document: &[u8]) -> Result<(), Malformed> {
    for path in ["a", "a.b", "a.0", "a.b.c", "a.0.b", "0.0.0"] {
        let Ok(path) = Path::parse(path) else {
            return Err(Malformed);
        };
        let mut values = 0;
        any_match(document, &path, &mut |value| {
            values += 1;
            value.is_some_and(|value| value.bytes.len() > document.len())
        })?;
        assert!(values <= 8 * document.len());
    }
    Ok(())
}

/// Compares each element with the previous element, both ways.
fn order(document: &[u8]) -> Result<(), Malformed> {
    let mut before: Option<Value<'_>> = None;
    for element in elements(document)? {
        let value = element?.as_value();
        assert!(
            compare(value, value).is_ok_and(|order| order.is_eq())
                || validate_layout(document).is_err()
        );
        if let Some(before) = before.replace(value) {
            let order = compare(before, value)?;
            assert_eq!(compare(value, before)?, order.reverse());
            let by_type = canonical_type(before.kind).cmp(&canonical_type(value.kind));
            assert!(by_type.is_eq() || by_type == order);
        }
    }
    Ok(())
}

fn rewritten(document: &[u8]) -> Result<Vec<u8>, Malformed> {
    fn append(document: &[u8], writer: &mut DocumentWriter<'_>) -> Result<(), Malformed> {
        for element in elements(document)? {
            let Element {
                kind, name, value, ..
            } = element?;
            if matches!(kind, kind::DOCUMENT | kind::ARRAY) {
                let mark = writer.begin(kind, name);
                append(value, writer)?;
                writer.end(mark);
            } else {
                writer.value(kind, name, value);
            }
        }
        Ok(())
    }
    let mut bytes = Vec::new();
    let mut writer = DocumentWriter::append_to(&mut bytes);
    append(document, &mut writer)?;
    writer.finish();
    Ok(bytes)
}

/// Copies every third element by itself, and the elements between them as runs.
fn copied_in_runs(document: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut writer = Writer::new();
    let mut walk = elements(document)?;
    let mut run = walk.rest();
    let mut at = 0;
    while let Some(element) = walk.next() {
        at += 1;
        if at % 3 == 0 {
            let element = element?;
            writer.copy_until(run, &element);
            writer.copy(&element);
            run = walk.rest();
        }
    }
    writer.raw(run);
    Ok(writer.finish())
}
