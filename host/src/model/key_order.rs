//! The server's order of `_id`s: the order of the index of `_id`, and so of the bounds of partitions.

use std::cmp::Ordering;

use super::raw::{Value, compare, elements, kind};

/// An `_id`: its BSON type and the bytes of its value.
pub type RawKey<'a> = (u8, &'a [u8]);

/// The order of two `_id`s on the server, under the simple collation. Equal `_id`s are the same `_id`, also if
/// their bytes differ (see [`DocumentKey`](super::document_key::DocumentKey)).
///
/// Under a collation the answer holds only where [`is_known`] for one of the two.
///
/// `None` = not known here: bytes that the server would not store, or a namespace that its index cuts off.
/// Invariant: any other answer is the server's.
pub fn compare((left_kind, left): RawKey<'_>, (right_kind, right): RawKey<'_>) -> Option<Ordering> {
    let value = |kind, bytes| Value { kind, bytes };
    let (left, right) = (value(left_kind, left), value(right_kind, right));
    if may_be_cut(left, MAX_DEPTH) || may_be_cut(right, MAX_DEPTH) {
        return None;
    }
    compare::compare(left, right).ok()
}

/// Levels of documents in an `_id`. The server accepts no more.
const MAX_DEPTH: usize = 200;

/// Whether the value holds a dbPointer with a NUL in its namespace: an index has the namespace up to it
/// (6.0.5), unlike comparisons of stored values.
fn may_be_cut(value: Value<'_>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return true;
    };
    match value.kind {
        kind::DB_POINTER => namespace(value.bytes).is_none_or(|it| it.contains(&0)),
        kind::DOCUMENT | kind::ARRAY => any_may_be_cut(value.bytes, depth),
        kind::SCOPED_JAVASCRIPT => {
            scope(value.bytes).is_none_or(|scope| any_may_be_cut(scope, depth))
        }
        _ => false,
    }
}

fn any_may_be_cut(document: &[u8], depth: usize) -> bool {
    elements(document).is_ok_and(|elements| {
        let mut elements = elements.flatten();
        elements.any(|element| may_be_cut(element.as_value(), depth))
    })
}

/// The namespace of a dbPointer: between its length, and its NUL and object id.
fn namespace(pointer: &[u8]) -> Option<&[u8]> {
    pointer.get(4..pointer.len().checked_sub(13)?)
}

/// The scope of code: after the length of both, and the code's length and text.
fn scope(code: &[u8]) -> Option<&[u8]> {
    let length = code.get(4..8)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    code.get(length.checked_add(8)?..)
}

/// Whether [`compare()`] knows the order of an `_id` of this type among all `_id`s of its collection. A collation
/// orders strings, on all levels, by rules that only the server has.
pub fn is_known(id_kind: u8, collated: bool) -> bool {
    !collated || !can_hold_a_string(id_kind)
}

fn can_hold_a_string(id_kind: u8) -> bool {
    matches!(
        id_kind,
        kind::STRING
            | kind::SYMBOL
            | kind::DOCUMENT
            | kind::ARRAY
            | kind::JAVASCRIPT
            | kind::SCOPED_JAVASCRIPT
    )
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson, doc};

    use super::*;
    use crate::model::raw::{Writer, find};

    fn order(left: impl Into<Bson>, right: impl Into<Bson>) -> Option<Ordering> {
        let document = doc! { "l": left, "r": right }.to_vec().unwrap();
        let key = |name| {
            let element = find(&document, name).unwrap().unwrap();
            (element.kind, element.value)
        };
        compare(key("l"), key("r"))
    }

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(text.parse().unwrap())
    }

    #[test]
    fn numbers_are_ordered_by_exact_value() {
        let at_53_bits = 1_i64 << 53;
        for (left, right) in [
            (Bson::Double(f64::NAN), Bson::Double(f64::NEG_INFINITY)),
            (
                Bson::Double(9_007_199_254_740_992.0),
                Bson::Int64(at_53_bits + 1),
            ),
            (
                Bson::Int64(i64::MAX),
                Bson::Double(9_223_372_036_854_775_808.0),
            ),
            (Bson::Int32(-1), Bson::Double(-0.0)),
            (decimal("0.1"), Bson::Double(0.1)),
        ] {
            assert_eq!(
                order(left.clone(), right.clone()),
                Some(Ordering::Less),
                "{left} {right}"
            );
            assert_eq!(order(right, left), Some(Ordering::Greater));
        }
        assert_eq!(order(5, 5.0), Some(Ordering::Equal));
        assert_eq!(order(decimal("5.00"), 5_i64), Some(Ordering::Equal));
        assert_eq!(order(-0.0, 0), Some(Ordering::Equal));
    }

    #[test]
    fn types_are_ordered_before_values() {
        let ordered: [Bson; 8] = [
            Bson::MinKey,
            Bson::Null,
            i64::MAX.into(),
            "".into(),
            bson!({ "b": 1 }),
            bson!({ "a": "" }),
            false.into(),
            Bson::MaxKey,
        ];
        for pair in ordered.windows(2) {
            assert_eq!(
                order(pair[0].clone(), pair[1].clone()),
                Some(Ordering::Less)
            );
        }
    }

    #[test]
    fn malformed_keys_have_no_order() {
        assert_eq!(compare((kind::INT32, &[1]), (kind::INT64, &[0; 8])), None);
        assert_eq!(
            compare((kind::DOCUMENT, &[9]), (kind::DOCUMENT, &[9])),
            None
        );
        assert_eq!(compare((0x77, &[]), (0x77, &[])), None);
    }

    #[test]
    fn a_namespace_that_the_index_cuts_off_has_no_order() {
        let pointer = |namespace: &[u8]| {
            let length = u32::try_from(namespace.len() + 1).unwrap();
            [&length.to_le_bytes(), namespace, &[0], &[7; 12]].concat()
        };
        let (whole, cut) = (pointer(b"a.b"), pointer(b"a\0b"));
        fn key(bytes: &[u8]) -> RawKey<'_> {
            (kind::DB_POINTER, bytes)
        }
        assert_eq!(
            compare(key(&whole), key(&pointer(b"a.c"))),
            Some(Ordering::Less)
        );
        assert_eq!(compare(key(&whole), key(&cut)), None);
        assert_eq!(compare(key(&cut), (kind::INT32, &[0; 4])), None);
        for (pointer, order) in [(&whole, Some(Ordering::Equal)), (&cut, None)] {
            let mut document = Writer::new();
            document.value(kind::DB_POINTER, b"p", pointer);
            let document = document.finish();
            let mut code = u32::try_from(9 + document.len())
                .unwrap()
                .to_le_bytes()
                .to_vec();
            code.extend([1, 0, 0, 0, 0]);
            code.extend(&document);
            for key in [
                (kind::DOCUMENT, &document[..]),
                (kind::SCOPED_JAVASCRIPT, &code),
            ] {
                assert_eq!(compare(key, key), order);
            }
        }
    }

    #[test]
    fn only_a_collation_hides_the_order_of_strings() {
        assert!(is_known(kind::STRING, false));
        assert!(is_known(kind::INT64, true));
        assert!(is_known(kind::OBJECT_ID, true));
        for kind in [kind::STRING, kind::SYMBOL, kind::DOCUMENT] {
            assert!(!is_known(kind, true));
        }
    }
}
