//! Components in OCI registries: pushed, pulled by tag or digest, and signed.
//!
//! A component is an artifact in the media types of the WebAssembly ecosystem (CNCF: "Wasm OCI Artifact layout"), so other tools
//! read it. Signatures lie where cosign 1 and 2 put them: a second artifact, under a tag made of the digest of the first.

mod artifact;
mod credentials;
mod key;
mod reference;
mod refusals;
mod registry_client;
mod resolution;
mod signature;
mod trust;

pub use key::{PublicKey, SigningKey};
pub use reference::ArtifactReference;
pub use registry_client::{PulledComponent, RegistryClient};
pub use resolution::fetch_components;
pub use trust::admit_unsigned;
