//! Requests to a registry about one artifact.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use rustls::crypto::ring;

use super::artifact::{Artifact, MANIFEST, component_layer};
use super::credentials::credentials;
use super::key::{PublicKey, SigningKey};
use super::reference::ArtifactReference;
use super::refusals::{is_not_found, not_a_component, refusal, refuse};
use super::signature::{SignaturesArtifact, SignedMessage, message, signed_layers};
use crate::config::RegistryAccess;
use crate::model::{ErrorName, OperatorError};
use crate::plugin::digest;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of a registry.
const SILENCE: Duration = Duration::from_secs(30);

/// A component from a registry.
#[derive(Clone, Debug)]
pub struct PulledComponent {
    /// The artifact, by its digest.
    pub place: ArtifactReference,
    /// The bytes of the component.
    pub bytes: Vec<u8>,
}

/// A registry, and the artifact there that requests are about.
pub struct RegistryClient {
    client: Client,
    auth: RegistryAuth,
    place: ArtifactReference,
}

impl RegistryClient {
    /// The registry of `place`. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for credentials or authorities that cannot be read.
    pub async fn of(
        place: ArtifactReference,
        access: &RegistryAccess,
    ) -> Result<Self, OperatorError> {
        let auth = credentials(access.auth_file.as_deref(), place.registry())?;
        // Fails if another provider has been installed, which then serves as well.
        _ = ring::default_provider().install_default();
        let client = Client::try_from(configuration(&place, access)?)
            .map_err(|error| refusal(&place, &error))?;
        client.store_auth_if_needed(place.registry(), &auth).await;
        Ok(Self {
            client,
            auth,
            place,
        })
    }

    /// Stores a component as an artifact, and returns it by its digest. Equal components are equal artifacts.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if the reference has a digest; `RegistryFailed`.
    pub async fn push(
        &self,
        component: Vec<u8>,
        (exports, imports): (&[String], &[String]),
        (name, version): (&str, &str),
    ) -> Result<ArtifactReference, OperatorError> {
        if self.place.digest().is_some() {
            return Err(refuse(
                ErrorName::InvalidConfig,
                format!("{} has a digest. Give a tag to push to.", self.place),
            ));
        }
        let annotations = [
            ("org.opencontainers.image.title", name),
            ("org.opencontainers.image.version", version),
        ];
        let artifact = Artifact::of(&component, (exports, imports), annotations).map_err(bug)?;
        let layer = component_layer(&self.place, &artifact.manifest)?;
        self.put_blob(component, &layer.digest).await?;
        let pushed = self.put_manifest(&self.place, artifact.configuration, &artifact.manifest);
        Ok(self.place.at(&pushed.await?))
    }

    /// Reads the component of the artifact, and compares it with every digest on the way to it.
    ///
    /// # Errors
    ///
    /// `PluginNotFound` without such an artifact, `PluginNotSupported` for an artifact that is not a component,
    /// `RegistryFailed`.
    pub async fn pull(&self) -> Result<PulledComponent, OperatorError> {
        let (manifest, manifest_digest) = self.manifest().await?;
        let layer = component_layer(&self.place, &manifest)?;
        let bytes = self.blob(&self.place, layer).await?;
        Ok(PulledComponent {
            place: self.place.at(&manifest_digest),
            bytes,
        })
    }

    /// Adds a signature of the artifact, and returns the artifact by its digest. A key signs an artifact once.
    ///
    /// # Errors
    ///
    /// `PluginNotFound` without such an artifact, `RegistryFailed`.
    pub async fn sign(&self, key: &SigningKey) -> Result<ArtifactReference, OperatorError> {
        let (_, signed) = self.manifest().await?;
        let place = self.place.at(&signed);
        let public = key.public();
        let others = self.signatures(&signed).await?;
        if others
            .iter()
            .any(|(_, other)| other.proves(&public, &signed))
        {
            return Ok(place);
        }
        let layers = others.into_iter().map(|(layer, _)| layer).collect();
        let message = message(&self.place, &signed).map_err(bug)?;
        let signature = key.sign(&message)?;
        let message_digest = digest(&message);
        let artifact = SignaturesArtifact::with(layers, &message, &signature).map_err(bug)?;
        self.put_blob(message, &message_digest).await?;
        let signatures = self.place.of_signatures(&signed);
        self.put_manifest(&signatures, artifact.configuration, &artifact.manifest)
            .await?;
        Ok(place)
    }

    /// For each of `keys` whether it has signed the artifact with this digest.
    ///
    /// # Errors
    ///
    /// `RegistryFailed`.
    pub async fn have_signed(
        &self,
        signed: &str,
        keys: &[&PublicKey],
    ) -> Result<Vec<bool>, OperatorError> {
        let signatures = self.signatures(signed).await?;
        let has_signed = |key: &&PublicKey| {
            let mut messages = signatures.iter().map(|(_, message)| message);
            messages.any(|message| message.proves(key, signed))
        };
        Ok(keys.iter().map(has_signed).collect())
    }

    /// The signed messages about the artifact with this digest, with their layers.
    async fn signatures(
        &self,
        signed: &str,
    ) -> Result<Vec<(OciDescriptor, SignedMessage)>, OperatorError> {
        let place = self.place.of_signatures(signed);
        let read = self.client.pull_image_manifest(place.inner(), &self.auth);
        let manifest = match read.await {
            Ok((manifest, _)) => manifest,
            Err(error) if is_not_found(&error) => return Ok(Vec::new()),
            Err(error) => return Err(refusal(&place, &error)),
        };
        let mut signatures = Vec::new();
        for (layer, signature) in signed_layers(&manifest) {
            let message = self.blob(&place, layer).await?;
            let signed = SignedMessage { message, signature };
            signatures.push((layer.clone(), signed));
        }
        Ok(signatures)
    }

    async fn manifest(&self) -> Result<(OciImageManifest, String), OperatorError> {
        let place = self.place.inner();
        let read = self.client.pull_image_manifest(place, &self.auth).await;
        let (manifest, found) = read.map_err(|error| refusal(&self.place, &error))?;
        match self.place.digest() {
            Some(wanted) if wanted != found => Err(not_a_component(
                &self.place,
                "its manifest has another digest",
            )),
            _ => Ok((manifest, found)),
        }
    }

    /// The bytes of a layer: as many as its descriptor says, with the digest that it says.
    async fn blob(
        &self,
        place: &ArtifactReference,
        layer: &OciDescriptor,
    ) -> Result<Vec<u8>, OperatorError> {
        let size = usize::try_from(layer.size).unwrap_or_default();
        let stream = self.client.pull_blob_stream(place.inner(), layer).await;
        let mut stream = stream.map_err(|error| refusal(place, &error))?.stream;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|error| refusal(place, &OciDistributionError::IoError(error)))?;
            if bytes.len() + chunk.len() > size {
                return Err(not_a_component(
                    place,
                    "a layer is longer than its manifest says",
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        match digest(&bytes) == layer.digest {
            true => Ok(bytes),
            false => Err(not_a_component(
                place,
                "a layer has another digest than its manifest says",
            )),
        }
    }

    async fn put_blob(&self, bytes: Vec<u8>, digest: &str) -> Result<(), OperatorError> {
        let pushed = self.client.push_blob(self.place.inner(), bytes, digest);
        pushed.await.map_err(|error| refusal(&self.place, &error))?;
        Ok(())
    }

    /// Stores a configuration and its manifest. Returns the manifest's digest.
    async fn put_manifest(
        &self,
        place: &ArtifactReference,
        configuration: Vec<u8>,
        manifest: &OciImageManifest,
    ) -> Result<String, OperatorError> {
        self.put_blob(configuration, &manifest.config.digest)
            .await?;
        let body = serde_json::to_vec(manifest).map_err(bug)?;
        let stored = digest(&body);
        let media_type = MANIFEST.parse().map_err(bug)?;
        let pushed = self
            .client
            .push_manifest_raw(place.inner(), body, media_type);
        pushed.await.map_err(|error| refusal(place, &error))?;
        Ok(stored)
    }
}

fn bug(error: impl std::fmt::Display) -> OperatorError {
    refuse(ErrorName::InternalError, error.to_string())
}

fn configuration(
    place: &ArtifactReference,
    access: &RegistryAccess,
) -> Result<ClientConfig, OperatorError> {
    let protocol = match place.is_local() {
        true => ClientProtocol::Http,
        false => ClientProtocol::Https,
    };
    let authority = access.ca_file.as_deref().map(authority).transpose()?;
    Ok(ClientConfig {
        protocol,
        extra_root_certificates: authority.into_iter().collect(),
        platform_resolver: None,
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("tidegate/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
}

fn authority(file: &Path) -> Result<Certificate, OperatorError> {
    let data = std::fs::read(file).map_err(|error| {
        let reason = format!("{} cannot be read: {error}.", file.display());
        refuse(ErrorName::InvalidConfig, reason)
    })?;
    Ok(Certificate {
        encoding: CertificateEncoding::Pem,
        data,
    })
}
