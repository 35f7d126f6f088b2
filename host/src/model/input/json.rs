//! Strict reading of JSON text: a duplicate name in an object is refused with its place.
//!
//! serde_json keeps the last of two values without an error. In a filter, that would drop a condition of the
//! operator.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a value. The error is a clause without a full stop, with line and column.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Place::Top
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| error.to_string())
}

/// A place in the text, linked from the inside out. `Display` is `filter.$or[1].a`.
#[derive(Clone, Copy)]
enum Place<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => f.write_str(name),
            Self::Field(outer, name) => write!(f, "{outer}.{name}"),
            Self::Item(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Place::Item(&self, array.len()))? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = Place::Field(&self, &name);
            if object.contains_key(&name) {
                return Err(de::Error::custom(format_args!(
                    "field '{place}' is given twice; give it once"
                )));
            }
            let value = fields.next_value_seed(place)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f48_a_name_that_is_given_twice_is_refused_at_any_depth() {
        for (text, place) in [
            (r#"{"a": 1, "a": 1}"#, "'a'"),
            (r#"{"f": {"a": {"$gt": 2}, "a": {"$lt": 5}}}"#, "'f.a'"),
            (r#"{"p": [{}, {"$or": [], "$or": []}]}"#, "'p[1].$or'"),
            (r#"[[{"a": null, "\u0061": 0}]]"#, "'[0][0].a'"),
        ] {
            let error = parse(text.as_bytes()).expect_err("refused");
            assert!(error.contains(place), "{error}");
            assert!(error.contains("given twice") && error.contains("line 1"));
        }
    }

    #[test]
    fn other_text_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"b": [1, -2, 2.5, 18446744073709551615, 1e3], "a": {"x": "é\n", "y": null, "z": true}}"#,
            "[]",
            "7",
            "{",
            "{}}",
            "{'a': 1}",
            "\u{feff}{}",
            "nul",
        ] {
            let read: Result<Value, _> = serde_json::from_str(text);
            let read = read.map_err(|error| error.to_string());
            assert_eq!(parse(text.as_bytes()), read, "{text}");
        }
        let deep = "[".repeat(200);
        assert!(parse(deep.as_bytes()).is_err_and(|error| error.contains("recursion")));
    }
}
