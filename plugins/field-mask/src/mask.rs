//! Applies the rules to a document.

use std::sync::Arc;

use tidegate_plugin_sdk::bson::path::Path;
use tidegate_plugin_sdk::bson::{kind, range_in};
use tidegate_plugin_sdk::walk::{Paths, Place, Walk, WalkError, check_depth};

use crate::action::{Action, Change};
use crate::rules::{Fallback, Rule};

/// The reason why a document cannot be masked. Names paths and types, never values.
#[derive(Debug)]
pub(crate) enum Failure {
    Walk(WalkError),
    WrongType {
        path: Path,
        kind: u8,
        action: &'static str,
    },
}

impl From<WalkError> for Failure {
    fn from(error: WalkError) -> Self {
        Self::Walk(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Walk(error) => error.fmt(f),
            Self::WrongType { path, kind, action } => write!(
                f,
                "a value of type {} at `{path}` is not supported by `{action}`; set `otherwise` in the rule",
                kind::name_of(*kind)
            ),
        }
    }
}

/// Appends the masked document, unless nothing changes. Returns whether anything does.
pub(crate) fn mask(
    rules: &Paths<Arc<Rule>>,
    document: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let mut walk = Walk::new(document, out);
    walk.follow(rules, &mut |walk, place, rule| apply(walk, rule, &place))?;
    Ok(walk.finish())
}

fn apply<'a>(walk: &mut Walk<'a>, rule: &Rule, place: &Place<'a>) -> Result<(), Failure> {
    match &rule.action {
        Action::Drop => walk.remove(place),
        Action::Set(constant) => walk.put(&place.element, constant.value()),
        Action::Each(change) => return apply_change(walk, rule, change, place),
    }
    Ok(())
}

fn apply_change<'a>(
    walk: &mut Walk<'a>,
    rule: &Rule,
    change: &Change,
    place: &Place<'a>,
) -> Result<(), Failure> {
    check_depth(place.depth)?;
    let element = &place.element;
    match element.kind {
        kind::NULL => return Ok(()),
        kind::ARRAY => {
            return walk.each(element.value, |walk, _position, inner| {
                apply_change(walk, rule, change, &place.within(inner))
            });
        }
        _ => {}
    }
    let value = range_in(walk.document(), element.value);
    let write = |out: &mut Vec<u8>| change.write(element.as_value(), out);
    if walk.edit().replace(value, write) {
        return Ok(());
    }
    match rule.otherwise {
        Fallback::Keep => {}
        Fallback::Drop => walk.remove(place),
        Fallback::Null => walk.put_null(element),
        Fallback::Fail => {
            return Err(Failure::WrongType {
                path: rule.path.clone(),
                kind: element.kind,
                action: change.name(),
            });
        }
    }
    Ok(())
}
