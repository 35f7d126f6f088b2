//! Commands for operators that need no running host: what a feature set holds and
//! would change, and what a sync persists.

mod featureset;
mod metadata;

pub use featureset::featureset;
pub use metadata::{Ended, metadata};
