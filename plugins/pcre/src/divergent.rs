//! Patterns with different or wrong answers on some servers. They are refused: a name that matches on one
//! version only is lost data. Each shape was found by comparing random patterns with mongod 6.0 (PCRE 8.42).

use super::class;
use super::parse::{Assertion, Greed, Node};

/// Refuses divergent patterns, and a few more.
///
/// # Errors
///
/// A sentence that states the fault, and the way around it if there is any.
pub(super) fn check(pattern: &Node) -> Result<(), String> {
    if anchored(pattern, false) == Some(true) {
        return Err(
            "it begins with a look-ahead that begins with `.*`, which some servers try at the \
             start of a name alone; put `^` before it"
                .to_owned(),
        );
    }
    if wants_letter_twice(pattern) {
        return Err(
            "it begins with a look-ahead for a letter that stands again behind it, which some \
             servers look for twice; put `^` before it, or leave the look-ahead out"
                .to_owned(),
        );
    }
    check_atomic(pattern)
}

/// Whether some servers treat the pattern as anchored to the start of a name (`Some`), and whether a look-ahead
/// is the reason.
fn anchored(node: &Node, in_look: bool) -> Option<bool> {
    match node {
        Node::Assert(Assertion::Start) => Some(false),
        Node::Repeat {
            node,
            min: 0,
            max: None,
            ..
        } => match &**node {
            Node::One(set) => class::is_any(set).then_some(in_look),
            _ => None,
        },
        Node::Repeat { node, min: 1.., .. } => anchored(node, in_look),
        Node::Concat(nodes) => anchored(first(nodes)?, in_look),
        Node::Capture(_, node) | Node::Group(node) | Node::Atomic(node) => anchored(node, in_look),
        Node::Look {
            back: 0,
            negate: false,
            node,
        } => anchored(node, true),
        Node::Alternate(nodes) => {
            let mut by_look = false;
            for node in nodes {
                by_look |= anchored(node, in_look)?;
            }
            Some(by_look)
        }
        _ => None,
    }
}

/// The first node that is not empty.
fn first(nodes: &[Node]) -> Option<&Node> {
    nodes.iter().find(|node| !matches!(node, Node::Empty))
}

/// Whether the pattern starts with a look-ahead for a letter, and the letter occurs again, except directly
/// after the look-ahead.
fn wants_letter_twice(pattern: &Node) -> bool {
    let Some((letter, asserted)) = asserted(pattern, false) else {
        return false;
    };
    if let Node::Concat(nodes) = pattern
        && let Some(Node::One(_)) = nodes.get(1)
    {
        return false;
    }
    count(pattern, letter) > asserted
}

/// The letter that the leading look-ahead starts with, in any case, and its number of occurrences in the
/// alternatives.
fn asserted(node: &Node, in_look: bool) -> Option<(char, usize)> {
    match node {
        Node::One(set) if in_look => Some((class::single(set)?, 1)),
        Node::Repeat { node, min: 1.., .. } => asserted(node, in_look),
        Node::Concat(nodes) => asserted(first(nodes)?, in_look),
        Node::Capture(_, node) | Node::Group(node) | Node::Atomic(node) => asserted(node, in_look),
        Node::Look {
            back: 0,
            negate: false,
            node,
        } => asserted(node, true),
        Node::Alternate(nodes) => {
            let mut found: Option<(char, usize)> = None;
            for node in nodes {
                let (letter, count) = asserted(node, in_look)?;
                found = match found {
                    Some((known, _)) if known != letter => return None,
                    Some((_, sum)) => Some((letter, sum + count)),
                    None => Some((letter, count)),
                };
            }
            found
        }
        _ => None,
    }
}

/// The number of occurrences of a letter in the pattern, in any case.
fn count(node: &Node, letter: char) -> usize {
    match node {
        Node::One(set) => usize::from(class::single(set) == Some(letter)),
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().map(|node| count(node, letter)).sum()
        }
        Node::Capture(_, node)
        | Node::Group(node)
        | Node::Atomic(node)
        | Node::Look { node, .. }
        | Node::Repeat { node, .. } => count(node, letter),
        Node::Empty | Node::Assert(_) | Node::Backreference { .. } => 0,
    }
}

/// On some servers the part before an atomic group that can be skipped gives nothing back to the group:
/// `b+(?:a)?+b` does not match `bb`.
fn check_atomic(node: &Node) -> Result<(), String> {
    let refused = match node {
        Node::Atomic(node) => is_optional(node),
        Node::Repeat {
            node,
            min,
            max,
            greed: Greed::Possessive,
        } => {
            let is_loop = max.is_none() && *min < 2;
            !is_loop && (*min == 0 && is_group(node) || is_optional(node))
        }
        _ => false,
    };
    if refused {
        return Err(
            "it has an atomic group, or a possessive repeat of a group, which may match nothing; some \
             servers get it wrong"
                .to_owned(),
        );
    }
    match node {
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().try_for_each(check_atomic),
        Node::Capture(_, node)
        | Node::Group(node)
        | Node::Atomic(node)
        | Node::Look { node, .. }
        | Node::Repeat { node, .. } => check_atomic(node),
        _ => Ok(()),
    }
}

/// Whether the node can be skipped as a whole: by its leading group, or by an alternative that can be empty.
fn is_optional(node: &Node) -> bool {
    match node {
        Node::Repeat { node, min: 0, .. } => is_group(node),
        Node::Concat(nodes) => node.can_be_empty() && first(nodes).is_some_and(is_optional),
        Node::Alternate(nodes) => nodes.iter().any(|node| match node {
            // Part of a look-behind with alternatives, which servers answer correctly.
            Node::Look { .. } => false,
            node => node.can_be_empty() || is_optional(node),
        }),
        Node::Capture(_, node) | Node::Group(node) => is_optional(node),
        _ => false,
    }
}

fn is_group(node: &Node) -> bool {
    !matches!(node, Node::One(_) | Node::Backreference { .. })
}
