//! The condition on a value, with the server's semantics of comparison.
//!
//! Modelled after `ComparisonMatchExpression` in the server's `matcher`: a value is compared only with values
//! of its own type, where all numbers are of the same type; MinKey and MaxKey are below and above every type,
//! and a missing value counts as undefined.

use std::cmp::Ordering;

use tidegate_plugin_sdk::bson::{
    Malformed, Value,
    compare::{canonical_type, compare},
    kind,
};
use tidegate_plugin_sdk::ejson::Literal;

#[derive(Debug)]
pub(crate) enum Condition {
    Compare(Comparison, Literal),
    In(ValueSet),
    Exists,
    /// The types that match.
    Type(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The sorted values of `$in`, without undefined.
#[derive(Debug)]
pub(crate) struct ValueSet {
    values: Vec<Literal>,
    has_null: bool,
    /// Whether all values are strings, and few. A string is then compared by its bytes.
    few_strings: bool,
}

/// Up to this number, a linear search is faster than a binary search.
const FEW: usize = 8;

impl Condition {
    /// Tests a value at the end of a path, or its absence.
    #[inline]
    pub(crate) fn takes(&self, value: Option<Value<'_>>) -> Result<bool, Malformed> {
        match self {
            Self::Compare(comparison, operand) => {
                let missing = Value {
                    kind: kind::UNDEFINED,
                    bytes: &[],
                };
                comparison.holds(value.unwrap_or(missing), operand.value())
            }
            Self::In(set) => set.holds(value),
            Self::Exists => Ok(value.is_some()),
            Self::Type(kinds) => Ok(value.is_some_and(|value| kinds.contains(&value.kind))),
        }
    }
}

impl Comparison {
    #[inline]
    fn holds(self, value: Value<'_>, operand: Value<'_>) -> Result<bool, Malformed> {
        if value == operand {
            Ok(self.allows(Ordering::Equal))
        } else if canonical_type(value.kind) != canonical_type(operand.kind) {
            Ok(self.holds_across_types(value.kind, operand.kind))
        } else if is_nan(value) || is_nan(operand) {
            Ok(is_nan(value) && is_nan(operand) && self.allows(Ordering::Equal))
        } else {
            Ok(self.allows(compare(value, operand)?))
        }
    }

    fn allows(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    fn holds_across_types(self, value: u8, operand: u8) -> bool {
        match operand {
            kind::NULL => value == kind::UNDEFINED && self.allows(Ordering::Equal),
            kind::MIN_KEY => self.allows(Ordering::Greater),
            kind::MAX_KEY => self.allows(Ordering::Less),
            _ => false,
        }
    }
}

impl ValueSet {
    pub(crate) fn new(mut values: Vec<Literal>) -> Self {
        // Literals are well-formed BSON.
        values.sort_by(|a, b| compare(a.value(), b.value()).unwrap_or(Ordering::Equal));
        let has_null = values.iter().any(|value| value.value().kind == kind::NULL);
        let few_strings = values.len() <= FEW
            && values
                .iter()
                .all(|value| value.value().kind == kind::STRING);
        Self {
            values,
            has_null,
            few_strings,
        }
    }

    fn holds(&self, value: Option<Value<'_>>) -> Result<bool, Malformed> {
        let Some(value) = value.filter(|value| value.kind != kind::UNDEFINED) else {
            return Ok(self.has_null);
        };
        if self.few_strings && value.kind == kind::STRING {
            return Ok(self.values.iter().any(|known| known.value() == value));
        }
        let mut malformed = None;
        let found = self.values.binary_search_by(|known| {
            compare(known.value(), value).unwrap_or_else(|error| {
                malformed = Some(error);
                Ordering::Equal
            })
        });
        malformed.map_or(Ok(found.is_ok()), Err)
    }
}

/// NaN has no place in the order of numbers: it equals itself, and every other comparison is false.
fn is_nan(value: Value<'_>) -> bool {
    const DECIMAL_NAN: u8 = 0x7C;
    match value.kind {
        kind::DOUBLE => value.as_f64().is_some_and(f64::is_nan),
        kind::DECIMAL128 => value
            .bytes
            .last()
            .is_some_and(|high| high & DECIMAL_NAN == DECIMAL_NAN),
        _ => false,
    }
}
