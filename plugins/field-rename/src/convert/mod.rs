//! Conversion of values to other types.

mod value;

#[cfg(test)]
mod tests;

use serde::Deserialize;
use tidegate_plugin_sdk::bson::kind;
use tidegate_plugin_sdk::walk::{Paths, Place, Walk, check_depth, write_head};

pub(crate) use value::Refusal;

use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct ConvertRule {
    pub(crate) path: String,
    pub(crate) paths: Paths<()>,
    pub(crate) to: Target,
    pub(crate) on_error: ErrorPolicy,
    pub(crate) on_null: NullPolicy,
    pub(crate) lossy: LossPolicy,
}

/// The type to convert to, by its name in `$convert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    String,
    Int,
    Long,
    Double,
    Decimal,
    Bool,
    Date,
    ObjectId,
}

/// The fate of a value that cannot be converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ErrorPolicy {
    #[default]
    Fail,
    Keep,
    Null,
    Drop,
}

/// The fate of null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NullPolicy {
    #[default]
    Keep,
    Fail,
    Drop,
}

/// Whether a conversion may lose digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LossPolicy {
    /// A loss is an error.
    #[default]
    Fail,
    /// Digits are dropped, as by `$convert`.
    Allow,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::ObjectId => "objectId",
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::String => kind::STRING,
            Self::Int => kind::INT32,
            Self::Long => kind::INT64,
            Self::Double => kind::DOUBLE,
            Self::Decimal => kind::DECIMAL128,
            Self::Bool => kind::BOOLEAN,
            Self::Date => kind::DATE,
            Self::ObjectId => kind::OBJECT_ID,
        }
    }
}

impl ConvertRule {
    pub(crate) fn apply(&self, document: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut walk = Walk::new(document, out);
        walk.follow(&self.paths, &mut |walk, place, ()| self.value(walk, &place))?;
        Ok(walk.finish())
    }

    /// Converts a value, or each element of an array.
    fn value<'a>(&self, walk: &mut Walk<'a>, place: &Place<'a>) -> Result<(), Failure> {
        check_depth(place.depth)?;
        match place.element.kind {
            kind::ARRAY => walk.each(place.element.value, |walk, _position, inner| {
                self.value(walk, &place.within(inner))
            }),
            kind::NULL | kind::UNDEFINED => self.null(walk, place),
            _ => self.scalar(walk, place),
        }
    }

    fn null<'a>(&self, walk: &mut Walk<'a>, place: &Place<'a>) -> Result<(), Failure> {
        match self.on_null {
            NullPolicy::Keep => {}
            NullPolicy::Drop => walk.remove(place),
            NullPolicy::Fail => {
                return Err(Failure::IsNull {
                    path: self.path.clone(),
                });
            }
        }
        Ok(())
    }

    fn scalar<'a>(&self, walk: &mut Walk<'a>, place: &Place<'a>) -> Result<(), Failure> {
        let element = place.element;
        let mut refused = None;
        walk.replace(&element, |out| {
            write_head(self.to.kind(), element.name, out);
            refused = value::write(element.as_value(), self.to, self.lossy, out).err();
            refused.is_none()
        });
        let Some(refusal) = refused else {
            return Ok(());
        };
        match self.on_error {
            ErrorPolicy::Keep => {}
            ErrorPolicy::Drop => walk.remove(place),
            ErrorPolicy::Null => walk.put_null(&element),
            ErrorPolicy::Fail => {
                return Err(Failure::NotConverted {
                    path: self.path.clone(),
                    kind: element.kind,
                    to: self.to,
                    refusal,
                });
            }
        }
        Ok(())
    }
}
