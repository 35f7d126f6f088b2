//! Walker, writer and validation against the `bson` crate, on random documents of every type.

use bson::raw::RawDocument;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, JavaScriptCodeWithScope, Regex, doc};
use proptest::prelude::*;

use crate::compare::compare;
use crate::{
    DocumentWriter, MAX_DEPTH, Writer, elements, find, kind, range_in, sequence, validate,
    validate_layout,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,3}", "\\PC{0,20}", "[a-z\0]{0,12}"]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", "[a-z]{0,30}", "[^\0]{0,9}"]
}

fn leaf() -> impl Strategy<Value = Bson> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let subtype = prop_oneof![Just(0), Just(2), Just(4), Just(9), 128..=255_u8];
    prop_oneof![
        any::<f64>().prop_map(Bson::Double),
        text().prop_map(Bson::String),
        (subtype, bytes()).prop_map(|(subtype, bytes)| Bson::Binary(Binary {
            subtype: BinarySubtype::from(subtype),
            bytes,
        })),
        Just(Bson::Undefined),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(bytes.into())),
        any::<bool>().prop_map(Bson::Boolean),
        any::<i64>().prop_map(|at| Bson::DateTime(bson::DateTime::from_millis(at))),
        Just(Bson::Null),
        (name(), "[imsx]{0,4}").prop_map(|(pattern, options)| {
            let options = options.try_into().unwrap();
            let pattern = pattern.try_into().unwrap();
            Bson::RegularExpression(Regex { pattern, options })
        }),
        (text(), any::<[u8; 12]>()).prop_map(|(namespace, id)| db_pointer(&namespace, id)),
        text().prop_map(Bson::JavaScriptCode),
        text().prop_map(Bson::Symbol),
        any::<i32>().prop_map(Bson::Int32),
        any::<(u32, u32)>()
            .prop_map(|(time, increment)| Bson::Timestamp(bson::Timestamp { time, increment })),
        any::<i64>().prop_map(Bson::Int64),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(bson::Decimal128::from_bytes(bytes))),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
    ]
}

/// The `bson` crate reads these values, but cannot build them.
fn db_pointer(namespace: &str, id: [u8; 12]) -> Bson {
    let mut value = i32::try_from(namespace.len() + 1)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    value.extend_from_slice(namespace.as_bytes());
    value.push(0);
    value.extend_from_slice(&id);
    let mut writer = Writer::new();
    writer.value(kind::DB_POINTER, b"p", &value);
    let mut document = Document::from_reader(writer.finish().as_slice()).unwrap();
    document.remove("p").unwrap()
}

fn value() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(5, 60, 6, |inner| {
        let document = prop::collection::vec((name(), inner.clone()), 0..6)
            .prop_map(|fields| fields.into_iter().collect::<Document>())
            .boxed();
        prop_oneof![
            document.clone().prop_map(Bson::Document),
            prop::collection::vec(inner, 0..6).prop_map(Bson::Array),
            (text(), document).prop_map(|(code, scope)| {
                Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
            }),
        ]
    })
}

fn document() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((name(), value()), 0..12)
        .prop_map(|fields| fields.into_iter().collect::<Document>().to_vec().unwrap())
}

/// Appends the elements of a document, rewriting nested documents.
fn rewrite(document: &[u8], writer: &mut DocumentWriter<'_>) {
    for element in elements(document).unwrap() {
        let element = element.unwrap();
        if matches!(element.kind, kind::DOCUMENT | kind::ARRAY) {
            let mark = writer.begin(element.kind, element.name);
            rewrite(element.value, writer);
            writer.end(mark);
        } else {
            writer.value(element.kind, element.name, element.value);
        }
    }
}

fn is_read_by_bson(bytes: &[u8]) -> bool {
    RawDocument::from_bytes(bytes).is_ok_and(|raw| Document::try_from(raw).is_ok())
}

proptest! {
    #[test]
    fn the_walker_finds_the_elements_of_the_bson_crate(document in document()) {
        let raw = RawDocument::from_bytes(&document).unwrap();
        let ours: Vec<_> = elements(&document).unwrap().map(Result::unwrap).collect();
        let theirs: Vec<_> = raw.iter_elements().map(Result::unwrap).collect();
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert_eq!(ours.name, theirs.key().as_str().as_bytes());
            prop_assert_eq!(ours.kind, theirs.element_type() as u8);
            prop_assert_eq!(ours.value.len(), theirs.size());
            prop_assert!(ours.is_named(theirs.key().as_str().as_bytes()));
            let first = find(&document, theirs.key().as_str()).unwrap().unwrap();
            prop_assert!(first.name == ours.name && range_in(&document, first.raw).start >= 4);
        }
        prop_assert!(find(&document, "no field is called this").unwrap().is_none());
    }

    #[test]
    fn a_rewritten_document_is_the_same(document in document(), before in document()) {
        let mut batch = before.clone();
        let mut writer = DocumentWriter::append_to(&mut batch);
        rewrite(&document, &mut writer);
        prop_assert_eq!(writer.len() + 1, document.len());
        writer.finish();
        let documents: Vec<_> = sequence(&batch).collect();
        prop_assert_eq!(documents, vec![Ok(&before[..]), Ok(&document[..])]);
    }

    #[test]
    fn runs_and_copies_are_the_same(document in document(), copied in any::<u16>()) {
        let mut writer = Writer::new();
        let mut walk = elements(&document).unwrap();
        let mut run = walk.rest();
        let mut at = 0;
        while let Some(element) = walk.next() {
            if copied >> at & 1 == 1 {
                writer.copy_until(run, &element.unwrap());
                writer.copy(&element.unwrap());
                run = walk.rest();
            }
            at += 1;
        }
        writer.raw(run);
        prop_assert_eq!(writer.finish(), document);
    }

    #[test]
    fn a_document_is_valid_and_any_other_length_is_not(document in document()) {
        prop_assert!(validate(&document).is_ok() && validate_layout(&document).is_ok());
        let longer = [&document[..], &[0]].concat();
        prop_assert!(validate(&longer).is_err());
        prop_assert!(validate(&document[..document.len() - 1]).is_err());
    }

    #[test]
    fn changed_bytes_are_valid_when_the_bson_crate_reads_them(
        document in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), byte()), 1..4),
    ) {
        let mut changed = document;
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        prop_assert_eq!(validate(&changed).is_ok(), is_read_by_bson(&changed), "{:?}", changed);
        if validate(&changed).is_ok() {
            prop_assert!(validate_layout(&changed).is_ok());
        }
        if validate_layout(&changed).is_ok() {
            let mut again = Vec::new();
            let mut writer = DocumentWriter::append_to(&mut again);
            rewrite(&changed, &mut writer);
            writer.finish();
            prop_assert_eq!(again, changed);
        }
    }

    #[test]
    fn values_have_one_order(left in value(), right in value()) {
        let document = doc! { "l": left, "r": right }.to_vec().unwrap();
        let value = |name| find(&document, name).unwrap().unwrap().as_value();
        let order = compare(value("l"), value("r")).unwrap();
        prop_assert_eq!(compare(value("r"), value("l")).unwrap(), order.reverse());
        prop_assert!(compare(value("l"), value("l")).unwrap().is_eq());
    }
}

/// Bytes with a meaning in BSON: types, NULs, booleans, small lengths.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![0..=0x14_u8, Just(0x7F), any::<u8>()]
}

#[test]
fn nesting_has_an_end() {
    let nested = |levels: usize| {
        (0..levels).fold(Writer::new().finish(), |inner, _| {
            let mut writer = Writer::new();
            writer.value(kind::DOCUMENT, b"a", &inner);
            writer.finish()
        })
    };
    assert!(validate(&nested(MAX_DEPTH)).is_ok());
    assert!(validate(&nested(MAX_DEPTH + 1)).is_err());
    let deep = nested(50_000);
    let value = find(&deep, "a").unwrap().unwrap().as_value();
    assert!(validate_layout(&deep).is_err() && compare(value, value).is_err());
}
