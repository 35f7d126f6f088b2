use bson::Decimal128;
use proptest::prelude::*;

use super::table::{Owned, table};
use super::*;

fn order((kind, bytes): &Owned, (other, other_bytes): &Owned) -> Ordering {
    let left = Value { kind: *kind, bytes };
    let right = Value {
        kind: *other,
        bytes: other_bytes,
    };
    compare(left, right).unwrap()
}

#[test]
fn the_order_is_the_servers() {
    let rows = table();
    for (row, values) in rows.iter().enumerate() {
        for (other_row, others) in rows.iter().enumerate() {
            for (left, right) in values
                .iter()
                .flat_map(|l| others.iter().map(move |r| (l, r)))
            {
                assert_eq!(
                    order(left, right),
                    row.cmp(&other_row),
                    "{left:?} {right:?}"
                );
            }
        }
    }
}

/// A double and a decimal whose values are close.
fn close_numbers() -> impl Strategy<Value = (f64, Decimal128)> {
    let double = prop_oneof![
        any::<f64>().prop_filter("finite", |double| double.is_finite()),
        (-1e6..1e6),
        any::<i64>().prop_map(|integer| integer as f64),
    ];
    (double, -2..=2_i64, 1..=34_usize).prop_map(|(double, last, digits)| {
        // The double's own digits, truncated, with a changed last digit.
        let text = format!("{double:.*e}", digits - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap();
        let point = mantissa.find('.').map_or(0, |at| mantissa.len() - at - 1);
        let mut whole: i128 = mantissa.replace('.', "").parse().unwrap();
        if whole.unsigned_abs() < 10_u128.pow(34) - 3 {
            whole += i128::from(last);
        }
        let exponent: i64 = exponent.parse::<i64>().unwrap() - i64::try_from(point).unwrap();
        (double, format!("{whole}E{exponent}").parse().unwrap())
    })
}

/// The sign of `decimal - double`, by comparing all decimal digits.
fn exactly(decimal: &Decimal128, double: f64) -> Ordering {
    let digits = |text: &str| {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut places = vec![0_u8; 2400];
        let point = 1200 - exponent.parse::<i64>().unwrap();
        let first = point - i64::try_from(whole.len()).unwrap();
        for (at, digit) in (first..).zip(whole.bytes().chain(fraction.bytes())) {
            places[usize::try_from(at).unwrap()] = digit - b'0';
        }
        (negative && places.iter().any(|&digit| digit != 0), places)
    };
    let (l_negative, l) = digits(&decimal.to_string());
    let (r_negative, r) = digits(&format!("{double:.1100}"));
    match (l_negative, r_negative) {
        (false, false) => l.cmp(&r),
        (true, true) => r.cmp(&l),
        (l, r) => r.cmp(&l),
    }
}

proptest! {
    #[test]
    fn decimals_and_doubles_are_compared_to_the_last_digit((double, decimal) in close_numbers()) {
        let left = (kind::DECIMAL128, decimal.bytes().to_vec());
        let right = (kind::DOUBLE, double.to_le_bytes().to_vec());
        prop_assert_eq!(order(&left, &right), exactly(&decimal, double));
        prop_assert_eq!(order(&right, &left), exactly(&decimal, double).reverse());
    }

    #[test]
    fn integers_and_doubles_are_compared_as_whole_numbers(
        integer in any::<i64>(),
        near in -3_i64..=3,
        far in any::<f64>(),
    ) {
        let close = integer.saturating_add(near) as f64;
        for double in [close, far] {
            let left = (kind::INT64, integer.to_le_bytes().to_vec());
            let right = (kind::DOUBLE, double.to_le_bytes().to_vec());
            let expected = if double.is_nan() {
                Ordering::Greater
            } else if double.abs() < 1e30 {
                #[expect(clippy::cast_possible_truncation, reason = "128 bits hold it")]
                let whole = double.trunc() as i128;
                let rest = i128::from(double.fract() > 0.0) - i128::from(double.fract() < 0.0);
                (i128::from(integer) * 2).cmp(&(whole * 2 + rest))
            } else {
                0.0_f64.total_cmp(&double)
            };
            prop_assert_eq!(order(&left, &right), expected);
            prop_assert_eq!(order(&right, &left), expected.reverse());
        }
    }

    /// Decimals of the same scale compare as integers.
    #[test]
    fn decimals_are_compared_by_value(
        left in (any::<i64>(), -9..=7_i32),
        right in (any::<i64>(), -9..=9_i32),
        near in -2..=2_i64,
    ) {
        let decimal = |(digits, exponent): (i64, i32)| {
            let decimal: Decimal128 = format!("{digits}E{exponent}").parse().unwrap();
            (kind::DECIMAL128, decimal.bytes().to_vec())
        };
        let scaled = |(digits, exponent): (i64, i32)| {
            i128::from(digits) * 10_i128.pow(u32::try_from(exponent + 9).unwrap())
        };
        // The same number at another scale, or close to it.
        let (digits, exponent) = left;
        let close = (digits / 1_000 * 10 + near, exponent + 2);
        for other in [right, close] {
            let found = order(&decimal(left), &decimal(other));
            prop_assert_eq!(found, scaled(left).cmp(&scaled(other)), "{:?} {:?}", left, other);
        }
    }
}
