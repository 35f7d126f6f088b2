//! The reasons why a document cannot be changed. They name paths and types, never values.

use tidegate_plugin_sdk::bson::{Malformed, kind};
use tidegate_plugin_sdk::walk::WalkError;

use crate::convert::{Refusal, Target};

#[derive(Debug)]
pub(crate) enum Failure {
    Walk(WalkError),
    /// The destination of a field exists.
    Exists {
        path: String,
    },
    /// An array on a path leads to many places, or to none.
    ArrayOnTheWay {
        path: String,
    },
    /// A value without fields is on a path.
    NoDocument {
        path: String,
        kind: u8,
    },
    /// The elements of an array have no names.
    NoName {
        path: String,
    },
    IsNull {
        path: String,
    },
    NotConverted {
        path: String,
        kind: u8,
        to: Target,
        refusal: Refusal,
    },
}

impl From<WalkError> for Failure {
    fn from(error: WalkError) -> Self {
        Self::Walk(error)
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Walk(malformed.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Walk(error) => error.fmt(f),
            Self::Exists { path } => {
                write!(f, "`{path}` exists already; set `ifExists` in the rule")
            }
            Self::ArrayOnTheWay { path } => write!(
                f,
                "an array is on the way to `{path}`, and fields are moved and copied between documents only"
            ),
            Self::NoDocument { path, kind } => write!(
                f,
                "a value of type {} is on the way to `{path}`, which only a document can hold",
                kind::name_of(*kind)
            ),
            Self::NoName { path } => {
                write!(
                    f,
                    "`{path}` is an element of an array, which has no name to change"
                )
            }
            Self::IsNull { path } => {
                write!(f, "`{path}` is null; set `onNull` in the rule")
            }
            Self::NotConverted {
                path,
                kind,
                to,
                refusal,
            } => write!(
                f,
                "`{path}` is a value of type {} that cannot be converted to {}: {}; set `{}` in the rule",
                kind::name_of(*kind),
                to.name(),
                refusal.reason(),
                refusal.option(),
            ),
        }
    }
}
