//! Why a document cannot be changed. Says where and what type, never what value.

use tidegate_plugin_sdk::bson::{Malformed, kind};
use tidegate_plugin_sdk::walk::WalkError;

use crate::convert::{Refusal, Target};

#[derive(Debug)]
pub(crate) enum Failure {
    Walk(WalkError),
    /// A field stands where another one is to be.
    Exists {
        path: String,
    },
    /// A path leads through an array to many places, or to none.
    ArrayOnTheWay {
        path: String,
    },
    /// A path leads through a value that has no fields.
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
            Self::Exists { path } => write!(
                f,
                "`{path}` exists already; say what happens to it with `ifExists` in the rule"
            ),
            Self::ArrayOnTheWay { path } => write!(
                f,
                "an array is on the way to `{path}`, and a field is moved or copied between documents alone"
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
                write!(
                    f,
                    "`{path}` is null; say what happens to it with `onNull` in the rule"
                )
            }
            Self::NotConverted {
                path,
                kind,
                to,
                refusal,
            } => write!(
                f,
                "`{path}` is a value of type {} that cannot be converted to {}: {}; say what happens to it with `{}` in the rule",
                kind::name_of(*kind),
                to.name(),
                refusal.reason(),
                refusal.option(),
            ),
        }
    }
}
