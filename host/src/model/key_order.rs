//! The server's order of `_id`s: the order of the index of `_id`, and so of the bounds of partitions.

use std::cmp::Ordering;

use super::raw::{Value, compare, kind};

/// An `_id`: its BSON type and the bytes of its value.
pub type RawKey<'a> = (u8, &'a [u8]);

/// The order of two `_id`s on the server, under the simple collation. Equal `_id`s are the same `_id`, also if
/// their bytes differ (see [`DocumentKey`](super::document_key::DocumentKey)).
///
/// Under a collation the answer holds only where [`is_known`] for one of the two.
///
/// `None` = not known here: bytes that the server would not store. Invariant: any other answer is the server's.
pub fn compare((left_kind, left): RawKey<'_>, (right_kind, right): RawKey<'_>) -> Option<Ordering> {
    let value = |kind, bytes| Value { kind, bytes };
    compare::compare(value(left_kind, left), value(right_kind, right)).ok()
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
    use crate::model::raw::find;

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
    fn only_a_collation_hides_the_order_of_strings() {
        assert!(is_known(kind::STRING, false));
        assert!(is_known(kind::INT64, true));
        assert!(is_known(kind::OBJECT_ID, true));
        for kind in [kind::STRING, kind::SYMBOL, kind::DOCUMENT] {
            assert!(!is_known(kind, true));
        }
    }
}
