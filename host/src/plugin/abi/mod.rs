//! The released versions of the plugin contract. The version of a component is read from its bytes, before anything is
//! compiled.

mod stamp;
pub(super) mod v1_0_0;

pub(super) use stamp::Stamp;
