//! Comparisons of two clusters, shared by the verifier of a sync and by `tidegate verify`: documents in the order of
//! their `_id`s, the path at which two documents differ, and the forms of collections. Nothing here reads a cluster.

mod catalog;
mod difference;
mod matching;
mod merge;

pub(crate) use catalog::{CollectionForm, Strictness, compare_forms};
pub(crate) use difference::first_difference;
pub(crate) use matching::{OwnedKey, RangeMatch};
pub(crate) use merge::{MergeStep, RangeMerge, Side};
