//! The released versions of the plugin contract: which a component was built for
//! is read from its bytes, before any of it is compiled.

mod stamp;
pub(super) mod v1_0_0;

pub(super) use stamp::Stamp;
