//! Signatures of artifacts, as cosign 1 and 2 write them.
//!
//! The signed message is a JSON document that names the digest of the artifact's manifest ("simple signing"). It is a layer of
//! the artifact of signatures; its signature is an annotation of that layer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde::{Deserialize, Serialize};

use super::artifact::{MANIFEST, descriptor};
use super::key::PublicKey;
use super::reference::ArtifactReference;

/// Media type of a layer with a signed message.
const MESSAGE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of the configuration of an artifact of signatures.
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
/// Annotation of a layer with the signature of its message.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What a message is about.
const KIND: &str = "cosign container image signature";

/// Largest message: it holds a reference and a digest.
pub(super) const MAX_MESSAGE: i64 = 64 << 10;

/// Signatures of an artifact that are looked at.
pub(super) const MAX_SIGNATURES: usize = 100;

/// The signed message.
#[derive(Serialize, Deserialize)]
struct Message {
    critical: Critical,
    optional: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// The message that signs the artifact with this digest.
pub(super) fn message(signed: &ArtifactReference, digest: &str) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Message {
        critical: Critical {
            identity: Identity {
                docker_reference: format!("{}/{}", signed.registry(), signed.repository()),
            },
            image: Image {
                docker_manifest_digest: digest.to_owned(),
            },
            kind: KIND.to_owned(),
        },
        optional: None,
    })
}

/// Whether a message is about the artifact with this digest. The name in it is not compared: an artifact may be copied to
/// another registry with its signatures, and the digest says what it is.
pub(super) fn is_about(message: &[u8], digest: &str) -> bool {
    let message: serde_json::Result<Message> = serde_json::from_slice(message);
    message.is_ok_and(|Message { critical, .. }| {
        critical.kind == KIND && critical.image.docker_manifest_digest == digest
    })
}

/// The layers with signed messages, with their signatures (DER).
pub(super) fn signed_layers(manifest: &OciImageManifest) -> Vec<(&OciDescriptor, Vec<u8>)> {
    let layers = manifest
        .layers
        .iter()
        .filter(|layer| layer.media_type == MESSAGE && (1..=MAX_MESSAGE).contains(&layer.size));
    let signed = layers.filter_map(|layer| {
        let signature = layer.annotations.as_ref()?.get(SIGNATURE)?;
        Some((layer, STANDARD.decode(signature).ok()?))
    });
    signed.take(MAX_SIGNATURES).collect()
}

/// An artifact of signatures: what it has held, and one more.
pub(super) struct SignaturesArtifact {
    pub(super) configuration: Vec<u8>,
    pub(super) manifest: OciImageManifest,
}

impl SignaturesArtifact {
    /// Adds a signed message to the layers of an artifact of signatures.
    pub(super) fn with(
        mut layers: Vec<OciDescriptor>,
        message: &[u8],
        signature: &[u8],
    ) -> serde_json::Result<Self> {
        let annotation = (SIGNATURE.to_owned(), STANDARD.encode(signature));
        layers.push(OciDescriptor {
            annotations: Some([annotation].into()),
            ..descriptor(MESSAGE, message)
        });
        let configuration = configuration(&layers)?;
        let manifest = OciImageManifest {
            media_type: Some(MANIFEST.to_owned()),
            config: descriptor(CONFIGURATION, &configuration),
            layers,
            ..OciImageManifest::default()
        };
        Ok(Self {
            configuration,
            manifest,
        })
    }
}

/// The configuration of an image with these layers, without times.
fn configuration(layers: &[OciDescriptor]) -> serde_json::Result<Vec<u8>> {
    let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    serde_json::to_vec(&serde_json::json!({
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{ "created": "0001-01-01T00:00:00Z" }],
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": digests },
        "config": {},
    }))
}

/// A signed message of an artifact.
pub(super) struct SignedMessage {
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl SignedMessage {
    /// Whether `key` has signed the artifact with this digest.
    pub(super) fn proves(&self, key: &PublicKey, digest: &str) -> bool {
        is_about(&self.message, digest) && key.has_signed(&self.message, &self.signature)
    }
}
