//! Certificates for clusters with TLS: an authority, and a server certificate for the loopback address.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

/// A key in the form of `openssl genpkey`, and the same in that of `openssl pkcs8 -topk8`.
const KEY: &str = include_str!("../../fixtures/keys/client.pem");
const ENCRYPTED_KEY: &str = include_str!("../../fixtures/keys/client.encrypted.pem");
/// The password of the encrypted key.
pub const KEY_PASSWORD: &str = "key-s3cret";

/// Files in PEM.
pub struct Certificates {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The authority that clients and servers trust.
    pub authority: PathBuf,
    /// The server's certificate and its key.
    pub server: PathBuf,
}

impl Certificates {
    pub fn create(directory: &Path) -> Result<Self> {
        let issuer = authority()?;
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "tidegate test server");
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let files = Self {
            authority: directory.join("ca.pem"),
            server: directory.join("server.pem"),
            issuer,
        };
        std::fs::write(&files.authority, files.issuer.pem()).context("write ca.pem")?;
        std::fs::write(&files.server, certificate.pem() + &key.serialize_pem())
            .context("write server.pem")?;
        Ok(files)
    }

    /// A client's certificate and key: the file `NAME.pem`, with the subject `CN=NAME,O=tidegate test`.
    pub fn client(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let key = KeyPair::generate()?;
        self.client_with(directory, name, &key, &key.serialize_pem())
    }

    /// The same, with a key that [`KEY_PASSWORD`] encrypts.
    pub fn client_with_password(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        self.client_with(directory, name, &KeyPair::from_pem(KEY)?, ENCRYPTED_KEY)
    }

    fn client_with(
        &self,
        directory: &Path,
        name: &str,
        key: &KeyPair,
        shown: &str,
    ) -> Result<PathBuf> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "tidegate test");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(key, &self.issuer)?;
        let file = directory.join(format!("{name}.pem"));
        std::fs::write(&file, certificate.pem() + shown).context("write a client")?;
        Ok(file)
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "tidegate test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
