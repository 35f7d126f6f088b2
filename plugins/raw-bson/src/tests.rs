use bson::{
    Binary, DateTime, Decimal128, Regex, Timestamp, doc, oid::ObjectId, rawdoc, spec::BinarySubtype,
};

use super::*;

fn every_type() -> Vec<u8> {
    let document = doc! {
        "double": 1.5, "string": "x", "document": { "a": 1 }, "array": [1, { "b": 2 }],
        "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
        "undefined": bson::Bson::Undefined, "oid": ObjectId::new(), "bool": true, "date": DateTime::MIN,
        "null": bson::Bson::Null, "regex": bson::Bson::RegularExpression(Regex { pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() }),
        "code": bson::Bson::JavaScriptCode("f".into()), "symbol": bson::Bson::Symbol("s".into()),
        "scope": bson::Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "x": 1 } }),
        "i32": 7, "timestamp": Timestamp { time: 9, increment: 4 }, "i64": 7_i64,
        "decimal": "1.0".parse::<Decimal128>().unwrap(), "min": bson::Bson::MinKey, "max": bson::Bson::MaxKey,
    };
    document.to_vec().unwrap()
}

#[test]
fn every_type_is_walked_and_rewritten_to_the_same_bytes() {
    let document = every_type();
    let mut writer = Writer::continuing(vec![0; 5]);
    for element in elements(&document).unwrap() {
        let element = element.unwrap();
        writer.value(element.kind, element.name, element.value);
    }
    assert_eq!(writer.finish(), document);
}

#[test]
fn no_cut_or_changed_length_panics() {
    let document = every_type();
    for cut in 0..document.len() {
        if let Ok(walk) = elements(&document[..cut]) {
            walk.for_each(drop);
        }
        for value in [0, 1, 0x7F, 0xFF] {
            let mut changed = document.clone();
            changed[cut] = value;
            if let Ok(walk) = elements(&changed) {
                walk.for_each(drop);
            }
        }
    }
}

#[test]
fn values_are_read_by_type() {
    let document =
        rawdoc! { "s": "text", "t": Timestamp { time: 5, increment: 6 }, "d": { "x": 1 } };
    let find = |name| find(document.as_bytes(), name).unwrap().unwrap();
    assert_eq!(find("s").as_str(), Some("text"));
    assert_eq!(find("t").as_timestamp(), Some((5 << 32) | 6));
    assert!(find("d").as_document().is_some() && find("d").as_str().is_none());
}

#[test]
fn nested_documents_are_written_with_their_lengths() {
    let mut writer = Writer::continuing(rawdoc! { "update": "c" }.into_bytes());
    let array = writer.begin(kind::ARRAY, b"updates");
    let first = writer.begin(kind::DOCUMENT, b"0");
    writer.value(kind::INT32, b"x", &7_i32.to_le_bytes());
    writer.end(first);
    writer.end(array);
    assert_eq!(
        writer.finish(),
        rawdoc! { "update": "c", "updates": [{ "x": 7 }] }.into_bytes()
    );
}

/// Finding 51: values had to be encoded by hand.
#[test]
fn f51_each_type_is_written_as_it_is_read() {
    let mut writer = Writer::new();
    writer.int32(b"int", -7);
    writer.int64(b"long", i64::MIN);
    writer.double(b"double", 1.5);
    writer.boolean(b"bool", true);
    writer.date(b"date", -1);
    writer.null(b"null");
    writer.object_id(b"oid", [7; 12]);
    let document = writer.finish();
    let value = |name: &str| find(&document, name).expect("BSON").expect(name);
    assert_eq!(value("int").as_value().as_i32(), Some(-7));
    assert_eq!(value("long").as_value().as_i64(), Some(i64::MIN));
    assert_eq!(value("double").as_value().as_f64(), Some(1.5));
    assert_eq!(value("bool").as_value().as_bool(), Some(true));
    assert_eq!(value("date").as_value().as_date(), Some(-1));
    assert_eq!(value("null").kind, kind::NULL);
    assert_eq!(
        (value("oid").kind, value("oid").value),
        (kind::OBJECT_ID, &[7; 12][..])
    );
    let names = elements(&document)
        .expect("BSON")
        .map(|element| element.expect("BSON").kind);
    assert_eq!(names.count(), 7);
}
