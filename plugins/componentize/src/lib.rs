//! Encodes core WebAssembly modules as components, and reads the imports and exports of a component.
//!
//! The single encoder of this repository: shared by `tidegate plugin build`, by the build of the shipped
//! components, and by the guests of tests. It is a package of its own because the components are built before the
//! host, which embeds them.

mod no_system;

use std::path::Path;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Encodes a core module, which names its world in a custom section, as a component, and validates the result.
///
/// # Errors
///
/// The module is malformed, has no world, or does not export the functions of its world.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}

/// Encodes a core module of a compiler that knows neither worlds nor components, such as those of C and Go.
///
/// `wit` is the folder of the contract, of which the module implements `world`. What the module imports of WASI is put
/// into the component, and does nothing: the component imports nothing.
///
/// # Errors
///
/// The contract does not hold the world; or as [`componentize`].
pub fn componentize_for(module: &[u8], wit: &Path, world: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let id = resolve.select_world(&[package], Some(world))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8, false)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?;
    if let Some(system) = no_system::module(&module)? {
        encoder.adapter(no_system::WASI, &system)?;
    }
    encoder.encode()
}

/// The interfaces of a component, such as `tidegate:plugin/route@1.0.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Interfaces {
    /// Reads the interfaces of a component.
    ///
    /// # Errors
    ///
    /// The bytes are malformed, or are a WIT package instead of a component.
    pub fn of(component: &[u8]) -> Result<Self> {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
            bail!("the file is a WIT package, not a component");
        };
        let world = resolve
            .worlds
            .get(world)
            .context("the component has no world")?;
        let imports = world.imports.keys();
        let exports = world.exports.keys();
        Ok(Self {
            imports: imports.map(|key| resolve.name_world_key(key)).collect(),
            exports: exports.map(|key| resolve.name_world_key(key)).collect(),
        })
    }
}
