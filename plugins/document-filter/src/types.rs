//! Types by their names and numbers in `$type`.

use tidegate_plugin_sdk::bson::kind;
use tidegate_plugin_sdk::ejson::Literal;

#[rustfmt::skip]
const TYPES: [(&str, Option<i32>, &[u8]); 22] = [
    ("double", Some(1), &[kind::DOUBLE]),
    ("string", Some(2), &[kind::STRING]),
    ("object", Some(3), &[kind::DOCUMENT]),
    ("array", Some(4), &[kind::ARRAY]),
    ("binData", Some(5), &[kind::BINARY]),
    ("undefined", Some(6), &[kind::UNDEFINED]),
    ("objectId", Some(7), &[kind::OBJECT_ID]),
    ("bool", Some(8), &[kind::BOOLEAN]),
    ("date", Some(9), &[kind::DATE]),
    ("null", Some(10), &[kind::NULL]),
    ("regex", Some(11), &[kind::REGEX]),
    ("dbPointer", Some(12), &[kind::DB_POINTER]),
    ("javascript", Some(13), &[kind::JAVASCRIPT]),
    ("symbol", Some(14), &[kind::SYMBOL]),
    ("javascriptWithScope", Some(15), &[kind::SCOPED_JAVASCRIPT]),
    ("int", Some(16), &[kind::INT32]),
    ("timestamp", Some(17), &[kind::TIMESTAMP]),
    ("long", Some(18), &[kind::INT64]),
    ("decimal", Some(19), &[kind::DECIMAL128]),
    ("minKey", Some(-1), &[kind::MIN_KEY]),
    ("maxKey", Some(127), &[kind::MAX_KEY]),
    ("number", None, &[kind::DOUBLE, kind::INT32, kind::INT64, kind::DECIMAL128]),
];

/// The value of a number that is not a decimal.
pub(crate) fn as_number(literal: &Literal) -> Option<f64> {
    let value = literal.value();
    let integer = value.as_i32().map(i64::from).or_else(|| value.as_i64());
    value.as_f64().or_else(|| Some(integer? as f64))
}

/// The types with this name or number.
pub(crate) fn types_called(literal: &Literal) -> Option<&'static [u8]> {
    let name = literal.value().as_str();
    let number = as_number(literal);
    let (_, _, kinds) = TYPES.iter().find(|(known, code, _)| {
        name == Some(known) || (number.is_some() && number == code.map(f64::from))
    })?;
    Some(kinds)
}
