//! Numbers of all four types, compared by exact value, without rounding. NaN is less than all other numbers,
//! and equal to itself.

use std::cmp::Ordering;

use super::array;
use crate::decimal::Decimal;
use crate::{Malformed, Value, kind};

enum Number {
    Integer(i64),
    Double(f64),
    Decimal(Decimal),
}

/// Compares two numbers.
pub(super) fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Malformed> {
    Ok(match (read(left)?, read(right)?) {
        (Number::Integer(l), Number::Integer(r)) => l.cmp(&r),
        (Number::Double(l), Number::Double(r)) => doubles(l, r),
        (Number::Integer(l), Number::Double(r)) => integer_to_double(l, r),
        (Number::Double(l), Number::Integer(r)) => integer_to_double(r, l).reverse(),
        (Number::Decimal(l), Number::Decimal(r)) => l.compare(&r),
        (Number::Decimal(l), Number::Integer(r)) => l.compare(&Decimal::from_i64(r)),
        (Number::Integer(l), Number::Decimal(r)) => Decimal::from_i64(l).compare(&r),
        (Number::Decimal(l), Number::Double(r)) => l.compare_to_double(r),
        (Number::Double(l), Number::Decimal(r)) => r.compare_to_double(l).reverse(),
    })
}

fn read(value: Value<'_>) -> Result<Number, Malformed> {
    let bytes = value.bytes;
    Ok(match value.kind {
        kind::INT32 => Number::Integer(i32::from_le_bytes(array(bytes)?).into()),
        kind::INT64 => Number::Integer(i64::from_le_bytes(array(bytes)?)),
        kind::DOUBLE => Number::Double(f64::from_le_bytes(array(bytes)?)),
        kind::DECIMAL128 => Number::Decimal(Decimal::from_le_bytes(array(bytes)?)),
        _ => return Err(Malformed),
    })
}

fn doubles(left: f64, right: f64) -> Ordering {
    // An undefined order means that at least one side is NaN.
    left.partial_cmp(&right)
        .unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
}

fn integer_to_double(integer: i64, double: f64) -> Ordering {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() || double < -TWO_TO_63 {
        return Ordering::Greater;
    }
    if double >= TWO_TO_63 {
        return Ordering::Less;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the whole part fits; the rest is compared afterwards"
    )]
    let whole = double.trunc() as i64;
    integer
        .cmp(&whole)
        .then(doubles(0.0, double - double.trunc()))
}
