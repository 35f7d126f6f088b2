//! The artifact of a component: media types, configuration and manifest.
//!
//! Source of the layout: CNCF TAG Runtime, "Wasm OCI Artifact layout".

use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde::Serialize;

use super::reference::ArtifactReference;
use super::refusals::not_a_component;
use crate::model::OperatorError;
use crate::plugin::digest;

/// Media type of the manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the configuration.
const CONFIGURATION: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the layer, which is the component.
const LAYER: &str = "application/wasm";

/// Largest component, as for an upload.
const MAX_BYTES: i64 = 64 << 20;

/// The configuration of the artifact. It has no time, so that equal components are equal artifacts: `created` is the
/// beginning of the epoch, as in reproducible images.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Interfaces<'a>,
}

#[derive(Serialize)]
struct Interfaces<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// A component as an artifact.
pub(super) struct Artifact {
    pub(super) configuration: Vec<u8>,
    pub(super) manifest: OciImageManifest,
}

impl Artifact {
    /// The artifact of a component with these exports and imports. `annotations` say name and version.
    pub(super) fn of(
        component: &[u8],
        (exports, imports): (&[String], &[String]),
        annotations: [(&str, &str); 2],
    ) -> serde_json::Result<Self> {
        let layer_digest = digest(component);
        let configuration = serde_json::to_vec(&Configuration {
            created: "1970-01-01T00:00:00Z",
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [&layer_digest],
            component: Interfaces { exports, imports },
        })?;
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let manifest = OciImageManifest {
            media_type: Some(MANIFEST.to_owned()),
            config: descriptor(CONFIGURATION, &configuration),
            layers: vec![descriptor(LAYER, component)],
            annotations: Some(annotations.into()),
            ..OciImageManifest::default()
        };
        Ok(Self {
            configuration,
            manifest,
        })
    }
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest(bytes),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

/// The layer of a manifest that holds the component.
pub(super) fn component_layer<'m>(
    place: &ArtifactReference,
    manifest: &'m OciImageManifest,
) -> Result<&'m OciDescriptor, OperatorError> {
    let [layer] = manifest.layers.as_slice() else {
        let reason = format!("it has {} layers in place of one", manifest.layers.len());
        return Err(not_a_component(place, &reason));
    };
    if layer.media_type != LAYER {
        let reason = format!("its layer is {} in place of {LAYER}", layer.media_type);
        return Err(not_a_component(place, &reason));
    }
    if !(1..=MAX_BYTES).contains(&layer.size) {
        let reason = format!("it has {} bytes, and {MAX_BYTES} are allowed", layer.size);
        return Err(not_a_component(place, &reason));
    }
    Ok(layer)
}
