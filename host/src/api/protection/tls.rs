//! The configuration of TLS, from files in PEM.

use std::fmt::Display;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::TlsOptions;
use crate::model::{ErrorName, OperatorError};

/// TLS, as of its files.
pub(super) struct TlsFiles {
    /// The configuration of the next connections.
    pub(super) config: Arc<ServerConfig>,
    /// Hash of the authorities of client certificates.
    pub(super) client_authorities: u64,
}

/// Reads the files.
///
/// # Errors
///
/// `InvalidConfig` with the file.
pub(super) fn read(options: &TlsOptions) -> Result<TlsFiles, OperatorError> {
    let file = &options.certificate_key_file;
    let refused = |why: &dyn Display| refused("tlsCertificateKeyFile", file, why);
    let pem = fs::read(file).map_err(|error| refused(&error))?;
    let chain = certificates(&pem).map_err(|error| refused(&error))?;
    if chain.is_empty() {
        return Err(refused(&"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_contents| refused(&"it holds no key in PEM without a password"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let (builder, client_authorities) = match &options.client_ca_file {
        None => (builder.with_no_client_auth(), 0),
        Some(file) => {
            let (verifier, authorities) = client_verifier(file, provider)?;
            (builder.with_client_cert_verifier(verifier), authorities)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| refused(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsFiles {
        config: Arc::new(config),
        client_authorities,
    })
}

/// Verifies client certificates where a client sends one: probes of an orchestrator have none, and other callers can
/// have tokens. The admission refuses calls without credentials.
fn client_verifier(
    file: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<(Arc<dyn ClientCertVerifier>, u64), OperatorError> {
    let refused = |why: &dyn Display| refused("tlsClientCaFile", file, why);
    let pem = fs::read(file).map_err(|error| refused(&error))?;
    let mut authorities = RootCertStore::empty();
    for authority in certificates(&pem).map_err(|error| refused(&error))? {
        authorities
            .add(authority)
            .map_err(|error| refused(&error))?;
    }
    if authorities.is_empty() {
        return Err(refused(&"it holds no certificate"));
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(&error))?;
    let mut hasher = DefaultHasher::new();
    pem.hash(&mut hasher);
    Ok((verifier, hasher.finish()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn refused(option: &str, file: &Path, why: &dyn Display) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidConfig,
        format!("The {option} {} is refused: {why}.", file.display()),
    )
}
