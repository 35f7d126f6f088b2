//! The syntax tree.

use super::class::CharSet;

#[derive(Clone, Debug)]
pub(in super::super) enum Node {
    Empty,
    One(CharSet),
    Assert(Assertion),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Capture(usize, Box<Node>),
    /// A group without capture.
    Group(Box<Node>),
    Atomic(Box<Node>),
    /// Matches ahead from here, or from `back` characters before.
    Look {
        back: usize,
        negate: bool,
        node: Box<Node>,
    },
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    Backreference {
        group: usize,
        ignore_case: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Assertion {
    Start,
    LineStart,
    End,
    LineEnd,
    EndOrFinalNewline,
    WordBoundary,
    NotWordBoundary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

impl Node {
    /// The number of characters of every match of the node, if it is fixed.
    pub(in super::super) fn width(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::Assert(_) | Self::Look { .. } => Some(0),
            Self::One(_) => Some(1),
            Self::Concat(nodes) => nodes.iter().map(Self::width).sum(),
            Self::Alternate(nodes) => {
                let mut widths = nodes.iter().map(Self::width);
                let first = widths.next()??;
                widths.all(|width| width == Some(first)).then_some(first)
            }
            Self::Capture(_, node) | Self::Group(node) | Self::Atomic(node) => node.width(),
            // Servers do not know the width of a group with a maximum of zero.
            Self::Repeat {
                node, max: Some(0), ..
            } if matches!(**node, Self::Capture(..) | Self::Group(_)) => None,
            Self::Repeat { node, min, max, .. } if *max == Some(*min) => {
                node.width()?.checked_mul(usize::try_from(*min).ok()?)
            }
            Self::Repeat { .. } | Self::Backreference { .. } => None,
        }
    }
    /// Whether the node may match without consuming a character; true if unknown.
    pub(in super::super) fn can_be_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Concat(nodes) => nodes.iter().all(Self::can_be_empty),
            Self::Alternate(nodes) => nodes.iter().any(Self::can_be_empty),
            Self::Capture(_, node) | Self::Group(node) | Self::Atomic(node) => node.can_be_empty(),
            Self::Repeat { node, min, .. } => *min == 0 || node.can_be_empty(),
            Self::Empty | Self::Assert(_) | Self::Look { .. } | Self::Backreference { .. } => true,
        }
    }
}
