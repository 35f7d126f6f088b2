//! Strict reading of input (a request body, a configuration file) into a type. Errors name the field and its
//! place.
//!
//! Both formats arrive as a JSON value. serde knows the fields of a type. This deserializer keeps that list
//! instead of putting it into a text, so that an error about an unknown field can name the closest known field.

mod json;

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Value};

use super::ErrorName;
pub use json::parse as parse_json;

/// A refusal of input. `Display` is a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The place, such as `includeNamespaces[0].databaseRegex`; empty at the top.
    path: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Unknown {
        field: String,
        closest: Option<&'static str>,
    },
    Missing(&'static str),
    Invalid(String),
}

/// Reads a `T` from a value.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, InputError> {
    T::deserialize(Input(value))
}

impl InputError {
    /// The error's stable name.
    pub fn name(&self) -> ErrorName {
        match self.problem {
            Problem::Unknown { .. } => ErrorName::UnknownField,
            Problem::Missing(_) => ErrorName::MissingField,
            Problem::Invalid(_) => ErrorName::InvalidField,
        }
    }

    fn new(problem: Problem) -> Self {
        Self {
            path: String::new(),
            problem,
        }
    }

    /// The error with a longer path, from the level above.
    fn inside(mut self, segment: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{segment}{dot}{}", self.path);
        self
    }

    fn place_of(&self, field: &str) -> String {
        if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }
}

impl Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Unknown { field, closest } => {
                write!(f, "unknown field '{}'", self.place_of(field))?;
                closest.map_or(Ok(()), |known| write!(f, " (did you mean '{known}'?)"))
            }
            Problem::Missing(field) => {
                write!(
                    f,
                    "the required field '{}' is missing",
                    self.place_of(field)
                )
            }
            Problem::Invalid(why) if self.path.is_empty() => f.write_str(why),
            Problem::Invalid(why) => write!(f, "field '{}': {why}", self.path),
        }
    }
}

impl std::error::Error for InputError {}

impl serde::de::Error for InputError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Problem::Invalid(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "expected {}, found {}",
            plain(expected),
            describe(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let known = expected
            .iter()
            .map(|v| format!("'{v}'"))
            .collect::<Vec<_>>()
            .join(", ");
        Self::custom(format_args!("'{variant}' is not one of {known}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let closest = closest(field, expected);
        Self::new(Problem::Unknown {
            field: field.to_owned(),
            closest,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format_args!("'{field}' is given twice"))
    }
}

/// The most similar known word, if any is similar enough.
pub fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word, &candidate.to_lowercase()),
                *candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// serde's name of an expected type, in an operator's words.
fn plain(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "i64" | "u64" => "a whole number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(_) => "a string".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// A value, as a deserializer.
struct Input(Value);

/// Methods for fields of an integer type: `3.0` is the whole number 3 there, as JSON Schema has it.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
            Input(whole(self.0)).deserialize_any(visitor)
        })*
    };
}

/// The value, as an integer if it is a number without a fraction that a double holds exactly.
fn whole(value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "without a fraction, and within 2^53"
        )]
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() <= EXACT => {
            Value::from(number as i64)
        }
        _ => value,
    }
}

impl<'de> Deserializer<'de> for Input {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(value) => visitor.visit_string(value),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.into_iter(),
                index: 0,
            }),
            Value::Object(fields) => visitor.visit_map(Fields::new(fields)),
        }
    }

    /// `null` equals an absent field.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        match self.0 {
            Value::String(variant) => {
                StringDeserializer::new(variant).deserialize_enum(name, variants, visitor)
            }
            other => Input(other).deserialize_any(visitor),
        }
    }

    /// Only an object: by default, serde also accepts an array of the values.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        match self.0 {
            Value::Array(_) => Err(InputError::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = InputError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InputError> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let segment = format!("[{}]", self.index);
        self.index += 1;
        seed.deserialize(Input(item))
            .map(Some)
            .map_err(|error| error.inside(&segment))
    }
}

/// The fields of an object, and the current field for its value and the path of errors.
struct Fields {
    fields: serde_json::map::IntoIter,
    current: (String, Value),
}

impl Fields {
    fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields: fields.into_iter(),
            current: (String::new(), Value::Null),
        }
    }
}

impl<'de> MapAccess<'de> for Fields {
    type Error = InputError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, InputError> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        self.current = field;
        seed.deserialize(StringDeserializer::new(self.current.0.clone()))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, InputError> {
        seed.deserialize(Input(std::mem::take(&mut self.current.1)))
            .map_err(|error| error.inside(&self.current.0))
    }
}

#[cfg(test)]
mod tests;
