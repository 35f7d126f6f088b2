//! A compiled filter: a tree of conditions, walked for each document.
//!
//! Evaluation allocates nothing.

use tidegate_plugin_sdk::bson::{
    Malformed,
    path::{Path, any_match},
};

use crate::condition::Condition;

#[derive(Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    /// Matches a document if the condition holds for any of the values at the path.
    Field(Path, Condition),
}

impl Filter {
    /// All of these filters; a single filter stands for itself.
    pub(crate) fn all(mut filters: Vec<Self>) -> Self {
        match filters.pop() {
            Some(only) if filters.is_empty() => only,
            last => {
                filters.extend(last);
                Self::All(filters)
            }
        }
    }

    pub(crate) fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    pub(crate) fn takes(&self, document: &[u8]) -> Result<bool, Malformed> {
        match self {
            Self::All(filters) => none_answers(filters, false, document),
            Self::Any(filters) => Ok(!none_answers(filters, true, document)?),
            Self::Not(filter) => Ok(!filter.takes(document)?),
            Self::Field(path, condition) => field_takes(path, condition, document),
        }
    }
}

fn none_answers(filters: &[Filter], answer: bool, document: &[u8]) -> Result<bool, Malformed> {
    for filter in filters {
        if filter.takes(document)? == answer {
            return Ok(false);
        }
    }
    Ok(true)
}

fn field_takes(path: &Path, condition: &Condition, document: &[u8]) -> Result<bool, Malformed> {
    let mut malformed = None;
    let taken = any_match(document, path, &mut |value| {
        condition.takes(value).unwrap_or_else(|error| {
            malformed = Some(error);
            true
        })
    })?;
    malformed.map_or(Ok(taken), Err)
}
