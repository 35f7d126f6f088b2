//! Actions on a value.

use tidegate_plugin_sdk::bson::{Value, append};
use tidegate_plugin_sdk::ejson::Literal;

use crate::date::Unit;
use crate::hash::Hasher;

/// The action of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Drop,
    Set(Literal),
    Each(Change),
}

/// A change to another value of the same type; in an array, of each element.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Hash(Hasher),
    Keep(PartialMask),
    Truncate(Unit),
}

/// Keeps some characters of a string and masks the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialMask {
    pub(crate) side: Side,
    pub(crate) count: usize,
    /// Replaces each character that is not kept.
    pub(crate) mask: char,
    /// The number of characters of the result; by default the number before.
    pub(crate) length: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Last,
}

impl Change {
    /// Appends the bytes of the new value. Returns false for a type that the change does not support; the
    /// appended bytes are then meaningless.
    #[inline]
    pub(crate) fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Hash(hasher) => hasher.write(value, out),
            Self::Keep(kept) => kept.write(value, out),
            Self::Truncate(unit) => match value.as_date() {
                Some(date) => {
                    out.extend_from_slice(&unit.truncate(date).to_le_bytes());
                    true
                }
                None => false,
            },
        }
    }

    /// The name of the action in a configuration.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hash(_) => "hash",
            Self::Keep(kept) if kept.side == Side::First => "keepFirst",
            Self::Keep(_) => "keepLast",
            Self::Truncate(_) => "truncateDate",
        }
    }
}

impl PartialMask {
    fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        let Some(text) = value.as_str() else {
            return false;
        };
        let characters = text.chars().count();
        let kept = self.part(text, characters);
        let kept_characters = if kept.is_empty() { 0 } else { self.count };
        let masked = self.length.unwrap_or(characters) - kept_characters;
        let bytes = kept.len() + masked * self.mask.len_utf8() + 1;
        out.extend_from_slice(&i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes());
        match self.side {
            Side::First => {
                append(out, kept.as_bytes());
                self.append_mask(masked, out);
            }
            Side::Last => {
                self.append_mask(masked, out);
                append(out, kept.as_bytes());
            }
        }
        out.push(0);
        true
    }

    /// The kept part of a text; empty if that would be all of it.
    fn part<'a>(&self, text: &'a str, characters: usize) -> &'a str {
        if characters <= self.count {
            return "";
        }
        let before = match self.side {
            Side::First => self.count,
            Side::Last => characters - self.count,
        };
        let at = if text.len() == characters {
            before
        } else {
            text.char_indices()
                .nth(before)
                .map_or(text.len(), |(at, _)| at)
        };
        let (first, last) = text.split_at_checked(at).unwrap_or_default();
        match self.side {
            Side::First => first,
            Side::Last => last,
        }
    }

    fn append_mask(&self, count: usize, out: &mut Vec<u8>) {
        let mut bytes = [0; 4];
        match self.mask.encode_utf8(&mut bytes).as_bytes() {
            [byte] => out.resize(out.len() + count, *byte),
            mask => (0..count).for_each(|_| out.extend_from_slice(mask)),
        }
    }
}
